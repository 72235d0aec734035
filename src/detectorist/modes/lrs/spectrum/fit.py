"""Fit white light for the orbit, then every bin of wavelength for its depth."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.spectra.baselines import make_baseline
from detectorist.algorithms.spectra.binning import bin_edges, bin_spectra
from detectorist.algorithms.spectra.depth_covariance import depth_covariance
from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit, fit_light_curve, weigh_noise_anew
from detectorist.algorithms.spectra.light_curve_problem import LightCurveProblem, Unknown
from detectorist.algorithms.spectra.red_noise import share_without_red_noise
from detectorist.algorithms.spectra.sampling import sample_posterior
from detectorist.algorithms.spectra.transit_models import Orbit, PlanetModel
from detectorist.errors import InputError, ParameterError
from detectorist.modes.lrs.spectrum.result import FittedCurve, TransitSpectrum, WhiteLight
from detectorist.modes.lrs.spectrum.settings import FitSettings
from detectorist.modes.lrs.time_series import MJD_ZERO, TimeSeries, exposures_by_gaps, read_time_series

log = logging.getLogger(__name__)

Progress = Callable[[float, int, str], None]
#: Depth from which the search starts when in- and out-of-event levels do not tell a better one.
START_DEPTH = {"transit": 0.01, "eclipse": 0.001, "phase_curve": 0.01}
#: A depth may come out negative where noise says so; none is half of the star.
LARGEST_DEPTH = 0.5
#: Steps of numerical derivatives, by name; each changes the flux by far more than batman's error of 1 ppm.
STEPS = {"mid_time": 1e-5, "a_over_rs": 1e-3, "inclination_deg": 1e-2, "settling_d": 1e-5}
DEPTH_STEP, LIMB_DARKENING_STEP = 1e-4, 1e-2


@dataclass(frozen=True)
class _Curve:
    """A light curve and what it may depend on."""

    time: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    exposure: np.ndarray
    regressors: Mapping[str, np.ndarray]


@one_thread
def fit_spectrum(
    sources: str | Path | Sequence[str | Path] | TimeSeries,
    settings: FitSettings,
    *,
    progress: Progress | None = None,
) -> TransitSpectrum:
    """Fit the spectrum of a transit, an eclipse or a planet's phase curve.

    sources : path, sequence of paths, or TimeSeries
        What `detectorist run lrs` wrote: files, or folders that hold them; several exposures are joined in time, each
        with a baseline of its own.
    progress : callable, optional
        progress(done, total, text).

    Raises
    ------
    InputError
        When a file is missing or unusable, or the data hold no such event.
    ParameterError
        When a setting makes no sense for these data.
    """
    series = sources if isinstance(sources, TimeSeries) else read_time_series(sources)
    settings = _on_the_data(settings, series.time_bjd_tdb, series.source)
    regressors = _regressors(series, settings.regressors)
    edges = bin_edges(settings.bins, settings.range_um, series.wavelength)
    flux = series.flux_at_fixed_wavelengths
    all_light = bin_spectra(series.wavelength, flux, series.flux_error, edges[[0, -1]])
    bins = bin_spectra(series.wavelength, flux, series.flux_error, edges)
    n_fits = 1 + len(bins.centre)
    say = _teller(progress, n_fits)

    def curve_of(flux: np.ndarray, error: np.ndarray) -> _Curve:
        return _Curve(series.time_bjd_tdb, flux, error, series.exposure, regressors)

    say(0, "white light")
    white = _fit_white(
        curve_of(all_light.flux[0], all_light.flux_error[0]), settings, float(all_light.centre[0]), say, series.source
    )
    fits = []
    for k, um in enumerate(bins.centre):
        say(k + 1, f"{bins.low[k]:.2f} to {bins.high[k]:.2f} um")
        fits.append(_fit_bin(curve_of(bins.flux[k], bins.flux_error[k]), settings, float(um), white))
    share = share_without_red_noise([fit.estimate for fit in fits])
    curves = [_finish(weigh_noise_anew(fit, share), settings, say, k + 1) for k, fit in enumerate(fits)]
    covariance = _covariance(settings, white, curves)
    say(n_fits, "done")
    light = WhiteLight(settings, white, str(series.attributes.get("time_scale", "BJD_TDB")), _provenance(series))
    found = TransitSpectrum(light, bins, curves, covariance)
    for concern in found.concerns:
        log.warning("%s", concern)
    return found


@one_thread
def fit_white_light(
    time: np.ndarray,
    flux: np.ndarray,
    error: np.ndarray,
    settings: FitSettings,
    *,
    exposure: np.ndarray | None = None,
    regressors: Mapping[str, np.ndarray] | None = None,
    wavelength_um: float = 8.0,
    source: str = "the light curve",
    progress: Progress | None = None,
) -> WhiteLight:
    """Fit one light curve, wherever it comes from.

    time, flux, error : ndarray of float, shape (n_ints,)
        Mid-times (BJD_TDB, or less 2400000.5), ascending; flux in any unit; its standard deviation.
    exposure : ndarray of int, shape (n_ints,), optional
        Which exposure an integration belongs to; told apart by gaps when not given.
    regressors : mapping of str to ndarray of float, shape (n_ints,), optional
    wavelength_um : float
        Where coefficients of limb darkening are looked up, when they vary with wavelength.

    Raises
    ------
    InputError
        When the arrays do not agree or hold no such event.
    """
    time, flux, error = (np.asarray(values, float) for values in (time, flux, error))
    if not (time.ndim == 1 and time.shape == flux.shape == error.shape):
        raise InputError(f"{source}: time {time.shape}, flux {flux.shape} and error {error.shape} do not agree")
    if not (np.isfinite(time).all() and np.isfinite(flux).all() and (error > 0).all()):
        raise InputError(f"{source}: finite times and fluxes and positive errors are needed; leave out the others")
    if time.size < 3 or (np.diff(time) <= 0).any():
        raise InputError(f"{source}: three or more ascending times are needed")
    time = time if time[0] > 1e6 else time + MJD_ZERO
    level = float(np.median(flux))
    settings = _on_the_data(settings, time, source)
    numbers = exposures_by_gaps(time) if exposure is None else np.asarray(exposure)
    curve = _Curve(time, flux / level, error / level, numbers, regressors or {})
    say = _teller(progress, 1)
    say(0, "white light")
    fitted = _fit_white(curve, settings, wavelength_um, say, source)
    say(1, "done")
    return WhiteLight(settings, fitted, "BJD_TDB", {"source": source})


def _teller(progress: Progress | None, total: int) -> Callable[[float, str], None]:
    return lambda done, text: progress(done, total, text) if progress else None


def _on_the_data(settings: FitSettings, time: np.ndarray, source: str) -> FitSettings:
    """Return the settings with the mid-time of the orbit that the data saw."""
    orbit = settings.orbit
    if orbit.mid_time < 1e6:
        orbit = replace(orbit, mid_time=orbit.mid_time + MJD_ZERO)
    event = "eclipse" if settings.event == "eclipse" else "transit"
    orbit = orbit.centred_on(float(0.5 * (time[0] + time[-1])), event)
    middle = orbit.mid_time + (0.5 * orbit.period_d if event == "eclipse" else 0.0)
    half = 0.5 * orbit.duration_d(START_DEPTH["transit"])
    if middle + half < time[0] or middle - half > time[-1]:
        raise InputError(
            f"{source}: no {event} in the data: they run from BJD {time[0]:.4f} to {time[-1]:.4f}, the nearest is at "
            f"{middle:.4f}; are mid_time and period_d right?",
            data_start=float(time[0]),
            data_end=float(time[-1]),
            event=float(middle),
        )
    return replace(settings, orbit=orbit)


def _regressors(series: TimeSeries, names: Sequence[str]) -> dict[str, np.ndarray]:
    known = {name: values for name, values in series.series.items() if np.ndim(values) == 1}
    for name in names:
        if name not in known:
            raise ParameterError(f"{series.source}: no variable {name} per integration; {', '.join(sorted(known))} are")
    usable = {}
    for name in names:
        values = np.asarray(known[name], float)
        if np.isfinite(values).all() and np.ptp(values) > 0:
            usable[name] = values
        else:
            log.warning("%s: %s is constant or not known for all integrations, and is left out", series.source, name)
    return usable


def _fit_white(
    curve: _Curve, settings: FitSettings, um: float, say: Callable[[float, str], None], source: str
) -> FittedCurve:
    model = _planet_model(curve, settings)
    names = [settings.depth_name, *settings.orbital]
    if settings.event == "phase_curve":
        names += ["eclipse_depth", *model.phase_names]
    names += ["settling_d"] if settings.settling else []
    names += model.limb_darkening_names if settings.limb_darkening.fitted and settings.event != "eclipse" else []
    for name in settings.priors:
        if name not in names:
            raise ParameterError(f"prior of {name}: white light is fitted for {', '.join(names)}")
    start = _start_depth(curve, settings, source)
    unknowns = [_unknown(name, settings, curve, start) for name in names]
    problem = _problem(curve, settings, model, unknowns, _orbit_values(settings.orbit) | settings.limb_darkening.at(um))
    fit = fit_light_curve(problem, noise=settings.noise, clip_sigma=settings.clip_sigma)
    depth, error = fit.value(settings.depth_name), fit.error(settings.depth_name)
    if not (np.isfinite(error) and error > 0 and depth > settings.least_sigma * error):
        raise InputError(
            f"{source}: no {settings.event} found in white light: its depth is {1e6 * depth:.0f} +- {1e6 * error:.0f} "
            f"ppm, {settings.least_sigma:g} standard deviations are needed",
            depth=depth,
            error=error,
        )
    return _finish(fit, settings, say, 0)


def _fit_bin(curve: _Curve, settings: FitSettings, um: float, white: FittedCurve) -> LightCurveFit:
    """Fit a bin with the orbit of white light."""
    model = _planet_model(curve, settings)
    names = [settings.depth_name]
    if settings.event == "phase_curve":
        names += ["eclipse_depth", *model.phase_names]
    names += model.limb_darkening_names if settings.limb_darkening.fitted and settings.event != "eclipse" else []
    unknowns = [_unknown(name, settings, curve, white.fit.value(settings.depth_name)) for name in names]
    unknowns = [replace(unknown, prior=None) for unknown in unknowns]
    held = {name: white.fit.value(name) for name in _orbit_values(settings.orbit)}
    if settings.settling:
        held["settling_d"] = white.fit.value("settling_d")
    problem = _problem(curve, settings, model, unknowns, held | settings.limb_darkening.at(um))
    return fit_light_curve(problem, noise=settings.noise, clip_sigma=settings.clip_sigma)


def _finish(fit: LightCurveFit, settings: FitSettings, say: Callable[[float, str], None], number: int) -> FittedCurve:
    posterior = None
    if settings.sampler:
        posterior = sample_posterior(
            fit,
            n_live=settings.n_live,
            seed=settings.seed + number,
            progress=lambda part: say(number + part, "sampling"),
        )
    return FittedCurve.of(fit, settings.orbit.duration_d(START_DEPTH["transit"]), posterior)


def _planet_model(curve: _Curve, settings: FitSettings) -> PlanetModel:
    cadence = float(np.median(np.diff(curve.time)))
    return PlanetModel(
        curve.time,
        settings.orbit,
        event=settings.event,
        law=settings.limb_darkening.law,
        n_harmonics=settings.n_harmonics,
        exposure_d=cadence if settings.average_exposure else 0.0,
    )


def _problem(
    curve: _Curve,
    settings: FitSettings,
    model: PlanetModel,
    unknowns: Sequence[Unknown],
    known: Mapping[str, float],
) -> LightCurveProblem:
    baseline = make_baseline(curve.time, curve.exposure, order=settings.baseline_order, regressors=curve.regressors)
    free = {unknown.name for unknown in unknowns}
    held = {name: value for name, value in known.items() if name not in free}
    return LightCurveProblem(curve.time, curve.flux, curve.error, curve.exposure, model, baseline, unknowns, held)


def _orbit_values(orbit: Orbit) -> dict[str, float]:
    return {"mid_time": orbit.mid_time, "a_over_rs": orbit.a_over_rs, "inclination_deg": orbit.inclination_deg}


def _unknown(name: str, settings: FitSettings, curve: _Curve, depth: float) -> Unknown:
    """Return a parameter with its start, bounds and prior."""
    orbit, prior = settings.orbit, settings.priors.get(name)
    half = 0.5 * orbit.duration_d(START_DEPTH["transit"])
    cadence, span = float(np.median(np.diff(curve.time))), float(np.ptp(curve.time))
    if name == "mid_time":
        start, low, high = orbit.mid_time, orbit.mid_time - half, orbit.mid_time + half
    elif name == "a_over_rs":
        start, low, high = orbit.a_over_rs, 1.0 + 0.1 * (orbit.a_over_rs - 1), 5 * orbit.a_over_rs
    elif name == "inclination_deg":
        start = min(orbit.inclination_deg, 180 - orbit.inclination_deg)
        low, high = 0.5 * start, 90.0
    elif name == "settling_d":
        start, low, high = 0.1 * span, 3 * cadence, span
    elif name.startswith("u"):
        start, low, high = 0.1, -1.0, 2.0
    elif name == settings.depth_name:
        start, low, high = depth, -LARGEST_DEPTH, LARGEST_DEPTH
    else:
        start, low, high = 0.0, -LARGEST_DEPTH, LARGEST_DEPTH
    step = STEPS.get(name, LIMB_DARKENING_STEP if name.startswith("u") else DEPTH_STEP)
    return Unknown(name, start, low, high, step, prior, mirror=90.0 if name == "inclination_deg" else None)


def _start_depth(curve: _Curve, settings: FitSettings, source: str) -> float:
    """Return the depth from the levels in and out of the event."""
    orbit = settings.orbit
    middle = orbit.mid_time + (0.5 * orbit.period_d if settings.event == "eclipse" else 0.0)
    half = 0.5 * orbit.duration_d(START_DEPTH["transit"])
    inside = np.abs(curve.time - middle) < 0.7 * half
    outside = np.abs(curve.time - middle) > 1.1 * half
    if inside.sum() < 2 or outside.sum() < 2:
        raise InputError(
            f"{source}: {inside.sum()} integrations lie within the {settings.event} and {outside.sum()} outside; "
            "2 or more of each are needed: are a_over_rs, period_d and mid_time right?",
            inside=int(inside.sum()),
            outside=int(outside.sum()),
        )
    found = 1 - float(np.median(curve.flux[inside]) / np.median(curve.flux[outside]))
    return found if 0 < found < LARGEST_DEPTH else START_DEPTH[settings.event]


def _covariance(settings: FitSettings, white: FittedCurve, curves: Sequence[FittedCurve]) -> np.ndarray:
    problem = white.fit.problem
    shared = [unknown for unknown in problem.unknowns if unknown.name in (*settings.orbital, "settling_d")]
    place = [problem.names.index(unknown.name) for unknown in shared]
    fits = [curve.fit for curve in curves]
    return depth_covariance(fits, settings.depth_name, shared, white.fit.covariance[np.ix_(place, place)])


def _provenance(series: TimeSeries) -> dict[str, object]:
    """Return what the file of spectra says of its origin."""
    kept = {name: value for name, value in series.attributes.items() if isinstance(value, str | int | float)}
    return {"source": series.source, **kept}
