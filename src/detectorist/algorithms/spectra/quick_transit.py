"""A first look at a white light curve: is there a transit, how deep is it, and what does its depth depend on?

No orbit is needed. For results to be published, fit with the orbit's parameters and priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from detectorist.algorithms.spectra.baselines import make_baseline
from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit, fit_light_curve
from detectorist.algorithms.spectra.light_curve_problem import LightCurveProblem, Unknown
from detectorist.algorithms.spectra.light_curves import point_to_point_scatter
from detectorist.algorithms.spectra.transit_models import ORBITAL, Orbit, PlanetModel

#: Improvement of chi-squared that makes a dip a transit; the best of thousands of boxes in noise reaches about 20.
LEAST_IMPROVEMENT = 50.0
#: Integrations below which nothing is fitted.
LEAST_INTEGRATIONS = 12
#: Unknowns of a transit on a straight baseline: middle, duration, impact parameter, depth, level, slope.
TRANSIT_PARAMETERS = 6
#: Limb darkening, quadratic: weak at 5 to 12 micron, and a small part of the depth's error there.
LIMB_DARKENING = (0.08, 0.08)
#: Period that stands for any: only the duration of the transit is measured.
PERIOD_H = 72.0
#: Impact parameter from which the fit starts, and the lowest inclination that it tries over the one it starts from.
START_IMPACT, LEAST_INCLINATION = 0.3, 0.8
#: Times its error that a depth must have: few integrations, or a part of a transit, leave depth and shape degenerate.
LEAST_DEPTH_SIGMA = 3.0
#: Impact parameter beyond which nothing is seen of a planet.
MOST_IMPACT = 1.4
#: A quantity counts as one that the flux depends on from this many standard deviations of its coefficient: one that
#: happens to run like the transit moves the depth by its errors or more with any coefficient that noise gives it.
LEAST_DEPENDENCE_SIGMA = 3.0
#: Points that the search for a dip works on, and durations that it tries, as shares of the exposure.
SEARCHED_POINTS = 240
DURATIONS = np.geomspace(0.04, 0.9, 20)
#: Integrations that a transit lasts at least: the fit takes shorter dips for outliers.
LEAST_DURATION = 5


@dataclass(frozen=True)
class QuickTransit:
    """A transit and a straight baseline in a light curve.

    Attributes
    ----------
    model, baseline : ndarray of float, shape (n_ints,)
        Relative flux with and without the transit.
    depth, depth_error : float
        Light lost in mid-transit without limb darkening, (Rp/R*)^2; NaN where no transit was found.
    mid_h, duration_h : float
        Middle of the transit and its length from first to last contact, h, on the time axis given.
    depth_shifts : dict
        {regressor: change of the depth in its errors when the regressor is part of the fit}; 0 where the flux does not
        depend on it by 3 standard deviations.
    """

    model: np.ndarray
    baseline: np.ndarray
    depth: float = float("nan")
    depth_error: float = float("nan")
    mid_h: float = float("nan")
    duration_h: float = float("nan")
    depth_shifts: dict[str, float] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether there is a transit."""
        return bool(np.isfinite(self.depth))

    @property
    def measured(self) -> bool:
        """Whether its depth is known: a dip may be there whose depth cannot be told from its shape."""
        return self.found and self.depth >= LEAST_DEPTH_SIGMA * self.depth_error > 0


def fit_quick_transit(
    hours: np.ndarray, flux: np.ndarray, *, regressors: Mapping[str, np.ndarray] | None = None
) -> QuickTransit:
    """Fit a transit or an eclipse of unknown orbit, with a straight baseline.

    Parameters
    ----------
    hours : ndarray of float, shape (n_ints,)
        Times, h; finite.
    flux : ndarray of float, shape (n_ints,)
        Relative flux; finite.
    regressors : mapping of str to ndarray of float, shape (n_ints,), optional
        Quantities that the depth may depend on, such as movements of the trace.

    Returns
    -------
    QuickTransit
        With fewer than 12 integrations, or without a significant dip, the baseline alone.

    Notes
    -----
    The fit is that of spectra (`fit_light_curve`), with an arbitrary period of the orbit. Noise is taken as white,
    in units of the scatter from one integration to the next. The transit is that of Mandel & Agol (2002) as batman
    computes it (Kreidberg 2015).
    """
    hours, flux = np.asarray(hours, float), np.asarray(flux, float)
    time = _scaled(hours)
    base = np.stack([np.ones_like(time), time], axis=1)
    straight = base @ np.linalg.lstsq(base, flux, rcond=None)[0]
    noise = point_to_point_scatter(flux) if flux.size >= LEAST_INTEGRATIONS else 0.0
    if not noise > 0:
        return QuickTransit(straight, straight)
    start = _search(hours, flux, noise)
    if start is None:
        return QuickTransit(straight, straight)
    return _fit(hours, flux, noise, start, regressors or {}) or QuickTransit(straight, straight)


def _scaled(hours: np.ndarray) -> np.ndarray:
    return (hours - hours.mean()) / max(float(np.ptp(hours)), 1e-12)


def _search(hours: np.ndarray, flux: np.ndarray, noise: float) -> tuple[float, float, float] | None:
    """Return (middle, duration, depth) of the box that explains most; None where it explains too little."""
    size = -(-flux.size // SEARCHED_POINTS)
    n = flux.size // size
    time, level = (one[: n * size].reshape(n, size).mean(axis=1) for one in (hours, flux))
    base, _ = np.linalg.qr(np.stack([np.ones(n), _scaled(time)], axis=1))
    rest = level - base @ (base.T @ level)
    span = float(np.ptp(time))
    best = (LEAST_IMPROVEMENT, 0.0, 0.0, 0.0)
    shortest = (LEAST_DURATION - 1) * float(np.ptp(hours)) / (hours.size - 1)
    for duration in np.maximum(DURATIONS * span, shortest):
        inside = (np.abs(time[None, :] - time[:, None]) <= duration / 2).astype(float)
        free = inside - (inside @ base) @ base.T
        power = np.maximum((free**2).sum(axis=1), 1e-9)
        depth = -(free @ rest) / power
        gain = np.where((depth > 0) & (power > 0.5), depth**2 * power * size / noise**2, 0)
        at = int(gain.argmax())
        if gain[at] > best[0]:
            best = (float(gain[at]), float(time[at]), float(duration), float(depth[at]))
    return best[1:] if best[2] else None


def _fit(
    hours: np.ndarray,
    flux: np.ndarray,
    noise: float,
    start: tuple[float, float, float],
    regressors: Mapping[str, np.ndarray],
) -> QuickTransit | None:
    """Fit middle, duration, impact parameter and depth, with the same machinery as fits with a known orbit.

    None where the fit ends on an orbit without a transit, or has left out the dip as an outlier.
    """
    problem = _problem(hours, flux, noise, start)
    fit = fit_light_curve(problem, noise="white")
    if fit.value("a_over_rs") * np.cos(np.radians(fit.value("inclination_deg"))) > MOST_IMPACT:
        return None
    if _improvement(fit, noise) < LEAST_IMPROVEMENT:
        return None
    orbit = replace(problem.planet_model.orbit, **{name: fit.value(name) for name in ORBITAL})
    depth, error = fit.value("depth"), fit.error("depth")
    n = len(problem.unknowns)
    # Depth and baseline alone: the shape of the transit is not to give way to a regressor.
    derivatives = fit.problem.derivatives(fit.values[:n], fit.values[n:])
    use = fit.problem.usable
    design = np.column_stack([derivatives[:, n:], derivatives[:, n - 1]])[use]
    shifts = {
        name: _shift(design, fit.residuals[use], np.asarray(one, float)[use]) / error
        for name, one in regressors.items()
        if np.shape(one) == use.shape
    }
    return QuickTransit(
        fit.model, fit.baseline, depth, error, 24 * orbit.mid_time, 24 * orbit.duration_d(depth), shifts
    )


def _improvement(fit: LightCurveFit, noise: float) -> float:
    """Return by how much the transit lowers chi-squared, over the integrations that were fitted."""
    problem, use = fit.problem, fit.problem.usable
    time = _scaled(problem.time[use])
    base, _ = np.linalg.qr(np.stack([np.ones_like(time), time], axis=1))
    straight = problem.flux[use] - base @ (base.T @ problem.flux[use])
    return float(((straight**2).sum() - (fit.residuals[use] ** 2).sum()) / noise**2)


def _problem(hours: np.ndarray, flux: np.ndarray, noise: float, start: tuple[float, float, float]) -> LightCurveProblem:
    days, (mid_h, duration_h, depth) = hours / 24, start
    span, step = float(np.ptp(days)), float(np.median(np.diff(days)))
    orbit = orbit_of(mid_h, duration_h, START_IMPACT, depth)
    # The shortest and the longest transit that the exposure can tell.
    lowest, highest = (orbit_of(0.0, 24 * length, 0.0, depth).a_over_rs for length in (3 * span, 2 * step))
    unknowns = (
        Unknown("mid_time", orbit.mid_time, days[0] - span / 4, days[-1] + span / 4, step / 50),
        Unknown("a_over_rs", orbit.a_over_rs, lowest, highest, 1e-3 * orbit.a_over_rs),
        Unknown(
            "inclination_deg", orbit.inclination_deg, LEAST_INCLINATION * orbit.inclination_deg, 90.0, 1e-2, mirror=90
        ),
        Unknown("depth", depth, 1e-6, 0.5, max(1e-2 * depth, 1e-5)),
    )
    exposure = np.zeros(days.size, int)
    return LightCurveProblem(
        days,
        flux,
        np.full(days.size, noise),
        exposure,
        PlanetModel(days, orbit),
        make_baseline(days, exposure, order=1),
        unknowns,
        dict(zip(("u1", "u2"), LIMB_DARKENING, strict=True)),
    )


def orbit_of(mid_h: float, duration_h: float, impact: float, depth: float) -> Orbit:
    """Return an orbit of arbitrary period on which a transit has this mid-time, duration and impact parameter."""
    angle = np.pi * min(duration_h / PERIOD_H, 0.49)
    distance = max(float(np.sqrt((1 + np.sqrt(depth)) ** 2 - impact**2) / np.sin(angle)), 1.5)
    inclination = float(np.degrees(np.arccos(min(impact / distance, 1.0))))
    return Orbit(PERIOD_H / 24, mid_h / 24, distance, inclination)


def transit_curve(hours: np.ndarray, mid_h: float, duration_h: float, impact: float, depth: float) -> np.ndarray:
    """Return the relative flux during a transit of given middle, length and impact parameter, shape (n_ints,)."""
    model = PlanetModel(np.asarray(hours, float) / 24, orbit_of(mid_h, duration_h, impact, depth))
    return model({"depth": depth, **dict(zip(("u1", "u2"), LIMB_DARKENING, strict=True))})


def _shift(design: np.ndarray, residuals: np.ndarray, regressor: np.ndarray) -> float:
    """Return by how much a regressor in the fit changes the depth, the design's last column.

    0 where the flux does not depend on it, and for a constant.
    """
    if regressor.shape != residuals.shape or not np.isfinite(regressor).all() or not np.ptp(regressor) > 0:
        return 0.0
    free = (regressor - regressor.mean()) / regressor.std()
    own = free - design @ np.linalg.lstsq(design, free, rcond=None)[0]
    with_it = np.linalg.lstsq(np.concatenate([design, free[:, None]], axis=1), residuals, rcond=None)[0]
    left = residuals - np.concatenate([design, free[:, None]], axis=1) @ with_it
    error = np.sqrt((left**2).sum() / max(left.size - TRANSIT_PARAMETERS - 1, 1) / max((own**2).sum(), 1e-12))
    if not abs(with_it[-1]) > LEAST_DEPENDENCE_SIGMA * error:
        return 0.0
    without = np.linalg.lstsq(design, residuals, rcond=None)[0]
    return float(with_it[design.shape[1] - 1] - without[-1])
