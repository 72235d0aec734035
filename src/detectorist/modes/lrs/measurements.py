"""Measurements of time-resolved spectra: the numbers that `quality` names and checks."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import bdtrc

from detectorist.algorithms.spectra.fixed_wavelengths import flux_of
from detectorist.algorithms.spectra.frame_checks import background_disagreement, find_trace_column
from detectorist.algorithms.spectra.light_curves import (
    USEFUL_UM,
    LightCurve,
    hours_since_first,
    point_to_point_scatter,
    scatter_of_bins,
    sum_wavelengths,
)
from detectorist.algorithms.spectra.quick_transit import (
    LEAST_INTEGRATIONS,
    TRANSIT_PARAMETERS,
    QuickTransit,
    fit_quick_transit,
)
from detectorist.modes.lrs.quality import WHITE_RATIO_LIMIT
from detectorist.modes.lrs.spectra_variables import NO_FLUX, REPLACED, SATURATED, TIME_FROM_HEADER
from detectorist.modes.quality import without_unknown

#: Standard deviation of a scatter, times the root of the number of integrations, over the scatter: of residuals, and,
#: measured on white noise, of second differences.
SCATTER_UNCERTAINTY, STEPS_UNCERTAINTY = 0.71, 1.0
#: Parameters of a baseline without a transit.
BASELINE_PARAMETERS = 2
#: Standard deviations by which a scatter from few integrations may be too large by chance.
CHANCE_SIGMA = 2.5
#: Deviations from both neighbours in time beyond which light is that of a cosmic ray.
SPIKE_SIGMA = 6.0
#: Integrations whose straight line tells where the first one should lie.
INTEGRATIONS_AFTER = 12
#: Probability, by chance, of as many cosmic-ray showers in one and the same group, below which they are none.
LEAST_CHANCE = 1e-4
#: Bins that a scatter of bins needs.
LEAST_BINS = 8
#: What the depth of a transit may depend on: variable -> its name for people.
REGRESSORS = {"x_shift": "movement across dispersion", "y_shift": "movement along dispersion", "psf_sigma": "width"}


def measure(
    dataset: Any,
    photon_error: np.ndarray | None = None,
    *,
    frames: Any = None,
    records: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the numbers of time-resolved spectra.

    dataset : mapping of str to array
        As `LrsSpectra.dataset`.
    photon_error : ndarray of float, shape (n_ints, n_wavelengths), optional
        Noise of the photons alone, as `LrsFrames.photon_error` at the rows of the dataset.
    frames : mapping of str to array, optional
        `raw` and `clean`, as `LrsFrames.dataset`.
    records : mapping
        {part of the exposure: {step: numbers}}.

    Returns
    -------
    dict
        Plain numbers; numbers that cannot be measured are left out. `white_residual_ppm` is the standard deviation of
        the white light about a first fit of the transit; `white_scatter_ppm` is that or, where it is smaller, the
        scatter from one integration to the next (second differences), which is blind to slow changes. That of single
        wavelengths is from one integration to the next. `pull_width` is the median over wavelengths of scatter over
        stated error: 1 if the errors are right.
    """
    arrays = {name: np.asarray(dataset[name]) for name in _READ}
    numbers = {**_of_spectra(arrays), **_of_records(records), **_of_frames(frames, records)}
    try:
        white = sum_wavelengths(arrays["wavelength"], flux_of(dataset), arrays["flux_error"])
    except ValueError as problem:
        return without_unknown({**numbers, "no_white_light": str(problem)})
    numbers |= _of_white_light(white, arrays, photon_error)
    return without_unknown({**numbers, **_of_transit(white, arrays), **_of_wavelengths(arrays)})


_READ = ("flux", "flux_error", "quality", "wavelength", "background", "time_mjd_utc", *REGRESSORS)


def _of_spectra(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    quality, useful = arrays["quality"], _useful(arrays)
    x_rms, y_rms = float(np.nanstd(arrays["x_shift"])), float(np.nanstd(arrays["y_shift"]))
    return {
        "n_integrations": arrays["flux"].shape[0],
        "n_wavelengths": arrays["flux"].shape[1],
        "replaced_pct": _share(quality, REPLACED),
        "saturated_pct": _share(quality, SATURATED),
        "no_flux_pct": _share(quality[:, useful], NO_FLUX) if useful.any() else 100.0,
        "times_from_header": bool((quality & TIME_FROM_HEADER).any()),
        "times_computed": int((quality & TIME_FROM_HEADER).any()),
        "x_rms_pix": x_rms,
        "y_rms_pix": y_rms,
        "motion_pix": float(np.hypot(x_rms, y_rms)),
        "width_pix": float(np.nanmedian(arrays["psf_sigma"])),
        "background_level": float(np.nanmedian(arrays["background"])),
    }


def _of_white_light(white: LightCurve, arrays: Mapping[str, np.ndarray], photons: np.ndarray | None) -> dict[str, Any]:
    numbers = {"white_expected_ppm": 1e6 * float(np.median(white.error))}
    if photons is not None and np.isfinite(photons).any():
        flux = arrays["flux"]
        used = _useful(arrays) & np.isfinite(flux).all(axis=0)
        total = np.median(flux[:, used].sum(axis=1))
        noise = np.sqrt(np.nansum(photons[:, used].astype(float) ** 2, axis=1))
        numbers["white_photon_ppm"] = 1e6 * float(np.median(noise) / abs(total))
    return numbers


def fit_white_light(white: LightCurve, arrays: Mapping[str, Any]) -> QuickTransit:
    """Return transit and baseline of a white light curve, with what its depth depends on."""
    series = (hours_since_first(arrays["time_mjd_utc"]), white.flux, *(arrays[name] for name in REGRESSORS))
    return _fit_once(*(np.asarray(one, float).tobytes() for one in series))


@lru_cache(maxsize=2)
def _fit_once(hours: bytes, flux: bytes, *regressors: bytes) -> QuickTransit:
    """Return the fit to series of float64: a run measures by it what its report shows a moment later."""
    series = dict(zip(REGRESSORS, map(_series, regressors), strict=True))
    return fit_quick_transit(_series(hours), _series(flux), regressors=series)


def _series(values: bytes) -> np.ndarray:
    return np.frombuffer(values).copy()


def _of_transit(white: LightCurve, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the first look at a transit, and the noise of what it leaves."""
    fit = fit_white_light(white, arrays)
    numbers = _of_scatter(white, fit)
    if fit.found and not fit.measured:
        numbers["dip_h"] = fit.mid_h
    if fit.measured:
        name, shift = max(fit.depth_shifts.items(), key=lambda one: abs(one[1]))
        numbers |= {
            "depth_pct": 100 * fit.depth,
            "depth_error_pct": 100 * fit.depth_error,
            "transit_mid_h": fit.mid_h,
            "transit_duration_h": fit.duration_h,
            "depth_shift_sigma": abs(shift),
            "depth_shift_by": REGRESSORS[name],
        }
    sizes, scatters, errors = scatter_of_bins(white.flux - fit.model, least_bins=LEAST_BINS)
    if sizes.size > 1 and scatters[0] > 0:
        ratio, uncertainty = (
            scatters * np.sqrt(sizes) / scatters[0],
            np.hypot(errors / scatters, errors[0] / scatters[0]),
        )
        worst = 1 + int((ratio / (1 + CHANCE_SIGMA * uncertainty))[1:].argmax())
        numbers["red_ratio"] = float(ratio[worst])
        numbers["red_ratio_error"] = float(ratio[worst] * uncertainty[worst])
        numbers["red_ratio_at_least"] = float(ratio[worst] / (1 + CHANCE_SIGMA * uncertainty[worst]))
    return numbers


def _of_scatter(white: LightCurve, fit: QuickTransit) -> dict[str, Any]:
    """Return the scatter of the white light, and what it is of the one expected from the errors.

    What the fit leaves of ingress, egress, and slow changes of the star is no noise of the detector. Second differences
    do not see it, but tell the scatter less well: the smaller of the two counts. Of so few integrations that no transit
    is fitted, ingress and egress are in most second differences as well: nothing is said of their scatter.
    """
    n = white.flux.size
    if n < LEAST_INTEGRATIONS:
        return {}
    residuals = white.flux - fit.model
    free = n - (TRANSIT_PARAMETERS if fit.found else BASELINE_PARAMETERS)
    about_fit = float(np.sqrt((residuals**2).sum() / free))
    scatter, uncertainty = min(
        (point_to_point_scatter(residuals), STEPS_UNCERTAINTY / np.sqrt(n)),
        (about_fit, SCATTER_UNCERTAINTY / np.sqrt(n)),
    )
    numbers = {"white_residual_ppm": 1e6 * about_fit}
    ratio = float(scatter / np.median(white.error))
    at_least = ratio / (1 + CHANCE_SIGMA * uncertainty)
    if 1 < at_least < WHITE_RATIO_LIMIT:
        # Few integrations: too noisy beyond chance, though by how much is uncertain.
        numbers["white_ratio_beyond_chance"] = ratio
    return (
        numbers
        | _of_first(residuals, scatter)
        | {
            "white_scatter_ppm": 1e6 * float(scatter),
            "white_ratio": ratio,
            "white_ratio_error": ratio * uncertainty,
            "white_ratio_at_least": at_least,
        }
    )


def _of_first(residuals: np.ndarray, scatter: float) -> dict[str, Any]:
    """Return by how much the first integration departs from a line through those after it."""
    after = residuals[1 : 1 + INTEGRATIONS_AFTER]
    if after.size < INTEGRATIONS_AFTER or not scatter > 0:
        return {}
    design = np.stack([np.ones(after.size), np.arange(1, 1 + after.size)], axis=1)
    # The first integration lies where the line has its constant.
    expected = np.linalg.lstsq(design, after, rcond=None)[0][0]
    error = scatter * np.sqrt(1 + np.linalg.inv(design.T @ design)[0, 0])
    departure = float(residuals[0] - expected)
    return {"first_integration_pct": 100 * departure, "first_integration_sigma": abs(departure) / error}


def _of_wavelengths(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return scatter over error of single wavelengths, and how many values a cosmic ray has made brighter.

    Few integrations tell the scatter too little: half of the second differences of noise make less than their rms.
    """
    flux, error, useful = arrays["flux"], arrays["flux_error"], _useful(arrays)
    if flux.shape[0] < 3:
        return {}
    scatter = point_to_point_scatter(flux[:, useful])
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)  # a wavelength never measured: NaN
        level = np.nanmedian(np.where(error[:, useful] > 0, error[:, useful], np.nan), axis=0)
        pulls = scatter / level
        above = flux[1:-1, useful] - (flux[:-2, useful] + flux[2:, useful]) / 2
        spikes = np.nanmean(above > SPIKE_SIGMA * np.sqrt(1.5) * scatter)
    known = np.isfinite(pulls)
    enough = flux.shape[0] >= LEAST_INTEGRATIONS and known.any()
    return {"pull_width": float(np.median(pulls[known])) if enough else None, "spikes_ppm": 1e6 * float(spikes)}


def _of_records(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the steps recorded of the exposure as a whole."""
    parts = list(records.values())
    chosen = parts[0].get("drop_groups", {}) if parts else {}
    counted = [part["inspect_dq_flags"] for part in parts if "inspect_dq_flags" in part]
    n_pixels = sum(one.get("n_pixels", 0) for one in counted)
    n_jumps = sum(one.get("counts", {}).get("JUMP_DET", 0) for one in counted)
    showers = [part.get("subtract_showers", {}) for part in parts]
    lost = [part.get("reference_pixel", {}).get("columns_unmeasured", 0) for part in parts]
    return {
        "groups_used": int(chosen["n_groups"]) - len(chosen.get("groups") or ()) if chosen.get("n_groups") else None,
        "jumps_pct": 100.0 * n_jumps / n_pixels if n_pixels else None,
        "reference_columns_lost": max(lost, default=0),
        "trace_changed": sum(len(part.get("trace_changed", ())) for part in showers),
        "error_scale": _error_scale(parts),
        **_of_group_showers(parts, chosen.get("n_groups")),
    }


def _of_group_showers(parts: Sequence[Mapping[str, Mapping[str, Any]]], n_groups: Any) -> dict[str, Any]:
    """Return the group in which showers were found more often than chance gives, and how often."""
    told = [part.get("flag_showers", {}).get("hits") or [] for part in parts]
    counted = Counter(group for hits in told for _, group in _pairs(hits))
    if not counted or not n_groups:
        return {}
    group, n = counted.most_common(1)[0]
    chance = n_groups * bdtrc(n - 1, counted.total(), 1 / n_groups)
    return {"showers_of_one_group": n, "shower_group": group} if chance < LEAST_CHANCE else {}


def _pairs(hits: Sequence[Any]) -> Iterator[Sequence[int]]:
    """Yield pairs of integration and group, of a record or of one joined from those of chunks."""
    for one in hits:
        if one and isinstance(one[0], int):
            yield one
        else:
            yield from _pairs(one)


def _error_scale(parts: Sequence[Mapping[str, Mapping[str, Any]]]) -> float | None:
    """Return the factor of the errors that is farthest from 1; None where they were not scaled."""
    steps = (part.get(name, {}) for part in parts for name in _EXTRACTIONS)
    found = [float(step["error_scale"]) for step in steps if step.get("error_scale")]
    return max(found, key=lambda one: abs(np.log(one)), default=None)


def _of_frames(frames: Mapping[str, Any] | None, records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return where the trace lies, and how far the two background regions agree."""
    if frames is None:
        return {}
    raw, clean = (np.asarray(frames[name], float) for name in ("raw", "clean"))
    column = find_trace_column(raw)
    if column is None:
        return {"no_trace": "no column stands out from the others in the mean frame"}
    parts = list(records.values())
    steps = parts[0] if parts else {}
    numbers: dict[str, Any] = {"trace_column": column}
    aperture = next((steps[name].get("aperture") for name in _EXTRACTIONS if name in steps), None)
    if aperture is not None and len(aperture) == 2:
        numbers["aperture_offset_pix"] = abs(column - float(np.mean(aperture)))
        width = float(aperture[1]) - float(aperture[0]) + 1
        regions = steps.get("background_subtract", {}).get("columns") or ()
        numbers["background_error_pct"] = background_disagreement(clean, column, regions, width)
    return numbers


_EXTRACTIONS = ("extract_1d_optimal", "extract_1d_box")


def _useful(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    return (arrays["wavelength"] >= USEFUL_UM[0]) & (arrays["wavelength"] <= USEFUL_UM[1])


def _share(quality: np.ndarray, bit: int) -> float:
    return 100.0 * float(((quality & bit) > 0).mean())
