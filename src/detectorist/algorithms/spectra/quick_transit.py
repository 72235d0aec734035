"""A first look at a white light curve: is there a transit, how deep is it, and what does its depth depend on?

No orbit has to be known. For results that are published, fit with the orbit's parameters and priors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from detectorist.algorithms.spectra.light_curves import point_to_point_scatter

#: Improvement of chi-squared that makes a dip a transit; the best of thousands of boxes in noise reaches about 20.
LEAST_IMPROVEMENT = 50.0
#: Integrations below which nothing is fitted.
LEAST_INTEGRATIONS = 12
#: Limb darkening, quadratic: weak at 5 to 12 micron, and a small part of the depth's error there.
LIMB_DARKENING = (0.08, 0.08)
#: Period that stands for any: only the duration of the transit is measured.
PERIOD_H = 72.0
#: Points that the search for a dip works on, and durations that it tries, as shares of the exposure.
SEARCHED_POINTS = 240
DURATIONS = np.geomspace(0.04, 0.9, 20)


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
        {regressor: change of the depth in its errors when the regressor is part of the fit}.
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
        What the depth may depend on, as movements of the trace.

    Returns
    -------
    QuickTransit
        With fewer than 12 integrations, or without a significant dip, the baseline alone.

    Notes
    -----
    Noise is taken as white, with the scatter from one integration to the next; the depth's error grows with what the
    residuals have beyond it. The transit is that of Mandel & Agol (2002) as batman computes it (Kreidberg 2015).
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
    return _fit(hours, flux, base, noise, start, regressors or {})


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
    for duration in DURATIONS * span:
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
    base: np.ndarray,
    noise: float,
    start: tuple[float, float, float],
    regressors: Mapping[str, np.ndarray],
) -> QuickTransit:
    span, step = float(np.ptp(hours)), float(np.median(np.diff(hours)))
    low = np.array([hours[0] - span / 4, np.log(2 * step), 0.0, 1e-6])
    high = np.array([hours[-1] + span / 4, np.log(3 * span), 0.95, 0.5])
    first = np.clip([start[0], np.log(start[1]), 0.3, start[2]], low + 1e-9, high - 1e-9)

    def with_baseline(shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        curve = transit_curve(hours, shape[0], float(np.exp(shape[1])), shape[2], shape[3])
        design = base * curve[:, None]
        return design, design @ np.linalg.lstsq(design, flux, rcond=None)[0]

    def residuals(shape: np.ndarray) -> np.ndarray:
        return (flux - with_baseline(shape)[1]) / noise

    scale = np.array([start[1] / 10, 0.1, 0.1, max(start[2] / 10, 1e-5)])
    found = least_squares(residuals, first, bounds=(low, high), x_scale=scale, diff_step=1e-4, max_nfev=60)
    design, model = with_baseline(found.x)
    curve = transit_curve(hours, found.x[0], float(np.exp(found.x[1])), found.x[2], found.x[3])
    columns = [design, *(_derivative(hours, found.x, k, scale[k])[:, None] for k in range(4))]
    excess = max(1.0, float(np.sqrt(np.mean(found.fun**2))))
    covariance = np.linalg.pinv(_gram(np.concatenate(columns, axis=1) / noise))
    error = excess * float(np.sqrt(covariance[-1, -1]))
    fixed = np.concatenate([design, columns[-1]], axis=1)
    return QuickTransit(
        model,
        model / curve,
        float(found.x[3]),
        error,
        float(found.x[0]),
        float(np.exp(found.x[1])),
        {name: _shift(fixed, flux - model, np.asarray(one, float)) / error for name, one in regressors.items()},
    )


def transit_curve(hours: np.ndarray, mid_h: float, duration_h: float, impact: float, depth: float) -> np.ndarray:
    """Return the relative flux during a transit of given middle, length and impact parameter, shape (n_ints,)."""
    import batman

    ratio = np.sqrt(depth)
    angle = np.pi * min(duration_h / PERIOD_H, 0.49)
    distance = max(float(np.sqrt((1 + ratio) ** 2 - impact**2) / np.sin(angle)), 1.5)
    orbit = batman.TransitParams()
    orbit.t0, orbit.per, orbit.rp, orbit.a = mid_h, PERIOD_H, float(ratio), distance
    orbit.inc, orbit.ecc, orbit.w = float(np.degrees(np.arccos(min(impact / distance, 1.0)))), 0.0, 90.0
    orbit.limb_dark, orbit.u = "quadratic", list(LIMB_DARKENING)
    return batman.TransitModel(orbit, np.ascontiguousarray(hours, float)).light_curve(orbit)


def _derivative(hours: np.ndarray, shape: np.ndarray, which: int, step: float) -> np.ndarray:
    """Return the derivative of the transit with respect to one of its parameters, from a difference."""
    curves = []
    for sign in (1.0, -1.0):
        moved = shape.copy()
        moved[which] += sign * 0.1 * step
        moved[2:] = np.clip(moved[2:], (0, 1e-8), (0.99, 0.6))
        curves.append(transit_curve(hours, moved[0], float(np.exp(moved[1])), moved[2], moved[3]))
    return (curves[0] - curves[1]) / (0.2 * step)


def _shift(design: np.ndarray, residuals: np.ndarray, regressor: np.ndarray) -> float:
    """Return by how much a regressor in the fit changes the depth, the design's last column; 0 for a constant."""
    if regressor.shape != residuals.shape or not np.isfinite(regressor).all() or not np.ptp(regressor) > 0:
        return 0.0
    free = (regressor - regressor.mean()) / regressor.std()
    with_it = np.linalg.lstsq(np.concatenate([design, free[:, None]], axis=1), residuals, rcond=None)[0]
    without = np.linalg.lstsq(design, residuals, rcond=None)[0]
    return float(with_it[design.shape[1] - 1] - without[-1])


def _gram(matrix: np.ndarray) -> np.ndarray:
    return matrix.T @ matrix
