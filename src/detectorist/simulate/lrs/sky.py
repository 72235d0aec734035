"""The light on the LRS subarray: spectrum and position of the trace, transit, background."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from detectorist.detectors import LRS_SLITLESS
from detectorist.simulate.lrs.components import Background, LrsComponents, Star, Transit

SUBARRAY = LrsComponents.subarray
SHAPE = (SUBARRAY.n_rows, SUBARRAY.n_cols)
#: Broad dips of the star's spectrum: micron, width (sigma, micron), depth. They make shifts along the rows measurable.
_DIPS = ((4.65, 0.05, 0.03), (5.2, 0.04, 0.03), (6.1, 0.08, 0.03), (7.46, 0.05, 0.02), (9.6, 0.15, 0.03))
#: Rows (0-based) and widths (rows) where the light fades out: long-wavelength end, short-wavelength end.
_FADES = ((22.0, 6.0), (390.0, -0.8))


def wavelengths_um(rows: np.ndarray) -> np.ndarray:
    """Return the wavelength at `rows` (0-based, fractions allowed), micron; NaN beyond the ends of the calibration."""
    known_rows, known_um = np.transpose(LRS_SLITLESS.wavelength_table)
    return PchipInterpolator(known_rows, known_um, extrapolate=False)(rows)


def _wavelengths_everywhere(rows: np.ndarray) -> np.ndarray:
    """Return finite wavelengths for all rows: those at the ends continue."""
    first, last = LRS_SLITLESS.wavelength_table[0][0], LRS_SLITLESS.wavelength_table[-1][0]
    return wavelengths_um(np.clip(rows, first, last))


def star_spectrum(star: Star) -> np.ndarray:
    """Return the rate per row of the star out of transit, summed over columns, shape (n_rows,), DN/s.

    Photons of a Rayleigh-Jeans spectrum, lambda^-3 per wavelength, times the width of a row in wavelength, times a
    throughput that fades at both ends.
    """
    rows = np.arange(SUBARRAY.n_rows)
    um = _wavelengths_everywhere(rows)
    # The table is sampled coarsely: its derivative has kinks that a spectrum must not have.
    dispersion = gaussian_filter1d(-np.gradient(um), 8.0, mode="nearest")
    spectrum = um**-3.0 * dispersion * np.exp(-0.5 * ((um - 7.5) / 5.0) ** 2)
    for centre, width, depth in _DIPS:
        spectrum *= 1 - depth * np.exp(-0.5 * ((um - centre) / width) ** 2)
    for row, width in _FADES:
        spectrum /= 1 + np.exp(np.clip((row - rows) / width, -50, 50))
    brightest_pixel = np.max(spectrum * trace_profile(star, 0.0).max(axis=1))
    rate = star.peak_dn_s_at_mag_9 * 10 ** (-0.4 * (star.mag - 9.0))
    return spectrum / brightest_pixel * rate


def trace_profile(star: Star, x_shift_pix: float) -> np.ndarray:
    """Return each row's share of light per pixel, shape (n_rows, n_cols): Gaussians, integrated over the pixels."""
    um = _wavelengths_everywhere(np.arange(SUBARRAY.n_rows))
    sigma = star.sigma_pix + star.sigma_growth_pix_per_um * np.clip(um - 5.0, 0, None)
    edges = np.arange(SUBARRAY.n_cols + 1) - 0.5 - star.trace_column - x_shift_pix
    return np.diff(0.5 * erf(edges[None, :] / (np.sqrt(2) * sigma[:, None])), axis=1)


def transit_depth(transit: Transit, um: np.ndarray) -> np.ndarray:
    """Return the squared ratio of radii at wavelengths `um` (micron)."""
    if transit.depth_spectrum is not None:
        return np.interp(um, *np.transpose(transit.depth_spectrum))
    band = np.exp(-0.5 * ((um - transit.band_um) / transit.band_width_um) ** 2)
    return transit.depth + transit.band_depth * band


def row_depths(transit: Transit) -> np.ndarray:
    """Return the depth of every row, shape (n_rows,)."""
    return transit_depth(transit, _wavelengths_everywhere(np.arange(SUBARRAY.n_rows)))


def transit_period(transit: Transit, exposure_s: float) -> float:
    """Return the orbital period, s, for which the transit has the given duration."""
    inclination = np.radians(transit.inclination_deg)
    impact = transit.a_over_rs * np.cos(inclination)
    chord = np.sqrt((1 + np.sqrt(transit.depth)) ** 2 - impact**2)
    angle = np.arcsin(chord / (transit.a_over_rs * np.sin(inclination)))
    return float(transit.duration * exposure_s * np.pi / angle)


def light_curves(transit: Transit, mid_times_s: np.ndarray, exposure_s: float) -> np.ndarray:
    """Return the relative flux of every row, shape (n_ints, n_rows).

    mid_times_s : ndarray, shape (n_ints,)
        Middles of the integrations from the start of the exposure, s.
    """
    rows = np.arange(SUBARRAY.n_rows)
    um = _wavelengths_everywhere(rows)
    curve = transit_curve(
        transit, mid_times_s, mid_s=transit.mid * exposure_s, period_s=transit_period(transit, exposure_s)
    )
    return np.stack([curve(depth, at) for depth, at in zip(row_depths(transit), um, strict=True)], axis=1)


def transit_curve(
    transit: Transit, mid_times_s: np.ndarray, *, mid_s: float, period_s: float
) -> Callable[[float, float], np.ndarray]:
    """Return curve(depth, micron): the relative flux at the given times, shape (n_ints,), on the orbit of `transit`."""
    import batman

    parameters = batman.TransitParams()
    parameters.t0, parameters.per = mid_s, period_s
    parameters.a, parameters.inc = transit.a_over_rs, transit.inclination_deg
    parameters.ecc, parameters.w = 0.0, 90.0
    parameters.limb_dark = "quadratic"
    parameters.rp, parameters.u = np.sqrt(transit.depth), list(transit.limb_darkening)
    model = batman.TransitModel(parameters, np.ascontiguousarray(mid_times_s, float))

    def curve(depth: float, um: float) -> np.ndarray:
        parameters.rp = np.sqrt(depth)
        parameters.u = [u * 5.0 / um for u in transit.limb_darkening]
        return model.light_curve(parameters)

    return curve


def background_image(background: Background, progress: float) -> np.ndarray:
    """Return the background, shape (n_rows, n_cols), DN/s; `progress` is 0 in the first integration, 1 in the last."""
    rows, cols = np.arange(SUBARRAY.n_rows), np.arange(SUBARRAY.n_cols)
    distance = (390.0 - rows) / 390.0
    level = background.short_dn_s + background.long_dn_s * np.sign(distance) * distance**2
    slope = 1 + background.column_slope * (cols / (cols.size - 1) - 0.5)
    return level[:, None] * slope * (1 + background.drift * progress)


def shifted_spectrum(spectrum: np.ndarray, y_shift_pix: float) -> np.ndarray:
    """Return `spectrum` (n_rows,) shifted by a fraction of a row toward higher rows, not negative."""
    rows = np.arange(spectrum.size)
    return np.clip(CubicSpline(rows, spectrum)(rows - y_shift_pix), 0, None)
