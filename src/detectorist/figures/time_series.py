"""Figures of a MIRI LRS time series, from the dataset that the pipeline writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from detectorist.algorithms.spectra.fixed_wavelengths import flux_of
from detectorist.algorithms.spectra.light_curves import (
    USEFUL_UM,
    LightCurve,
    scatter_of_bins,
    sum_wavelengths,
)
from detectorist.algorithms.spectra.quick_transit import QuickTransit, fit_quick_transit
from detectorist.figures.style import COLOURS, DIFFERENCE_CMAP, new_figure
from detectorist.figures.time_series_quality import LEAST_INTEGRATIONS, hours_of

#: Names of all figures of `overview`.
OVERVIEW = ("spectrum", "light_curves_2d", "trace", "white_light", "noise")


def overview(dataset: Mapping[str, Any]) -> dict[str, Figure]:
    """Return all figures that a dataset allows, by name.

    dataset : mapping of str to array-like
        `flux`, `flux_error`, `background` (n_ints, n_wavelengths), `wavelength`, `x_shift`, `y_shift`, `psf_sigma`,
        `time_mjd_utc`, as `LrsSpectra.dataset`.
    """
    arrays = {name: np.asarray(dataset[name]) for name in _NEEDED}
    figures = {
        "spectrum": draw_spectrum(arrays),
        "light_curves_2d": draw_light_curves(arrays),
        "trace": draw_trace(arrays),
    }
    try:
        white = sum_wavelengths(arrays["wavelength"], flux_of(dataset), arrays["flux_error"])
    except ValueError:
        return figures
    hours = hours_of(arrays)
    fit = fit_quick_transit(hours, white.flux)
    figures["white_light"] = draw_white_light(white, hours, fit)
    if white.flux.size >= LEAST_INTEGRATIONS:
        figures["noise"] = draw_noise(white, fit)
    return figures


_NEEDED = (
    "flux",
    "flux_error",
    "background",
    "wavelength",
    "x_shift",
    "y_shift",
    "psf_sigma",
    "time_mjd_utc",
)


def median_in_time(values: np.ndarray) -> np.ndarray:
    """Return the median over the integrations, NaN without a warning where there is no value."""
    known = np.isfinite(values).any(axis=0)
    median = np.full(values.shape[1:], np.nan)
    median[known] = np.nanmedian(values[:, known], axis=0)
    return median


def draw_spectrum(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Median spectrum and background over wavelength."""
    figure, axis = new_figure(size=(5.6, 3.3))
    order, wavelength = _by_wavelength(arrays["wavelength"])
    axis.plot(wavelength, median_in_time(arrays["flux"])[order], lw=1, label="star, in the aperture")
    axis.plot(wavelength, median_in_time(arrays["background"])[order], lw=1, label="background, per pixel")
    axis.set(xlabel="wavelength (µm)", ylabel="count rate (DN/s)", yscale="symlog")
    axis.legend(frameon=False)
    return figure


def draw_light_curves(arrays: Mapping[str, np.ndarray]) -> Figure:
    """All light curves at once: time by wavelength, each wavelength relative to its median.

    The colour scale is set by the quieter half of the wavelengths; the noise of the red end may exceed it.
    """
    figure, axis = new_figure(size=(5.6, 3.8))
    order, wavelength = _by_wavelength(arrays["wavelength"])
    flux = arrays["flux"][:, order]
    inside = (wavelength >= USEFUL_UM[0]) & (wavelength <= USEFUL_UM[1])
    level = median_in_time(flux)
    inside &= np.isfinite(level) & (level > 0)
    if not inside.any():
        inside = np.isfinite(level) & (level != 0)
    relative = 1e2 * (flux[:, inside] / level[inside] - 1)
    spread = limit_of_colours(relative)
    hours = hours_of(arrays)
    image = axis.pcolormesh(
        wavelength[inside],
        hours,
        relative,
        cmap=DIFFERENCE_CMAP,
        vmin=-spread,
        vmax=spread,
        shading="nearest",
        rasterized=True,
    )
    figure.colorbar(image, ax=axis, label="flux relative to its median (%)", extend="both")
    axis.set(xlabel="wavelength (µm)", ylabel="time from the first integration (h)")
    return figure


def limit_of_colours(relative: np.ndarray) -> float:
    """Return the limit of the colour scale: the median over wavelengths of each one's own 98 % range."""
    finite = np.isfinite(relative).any(axis=0) if relative.size else np.zeros(0, bool)
    if not finite.any():
        return 1.0
    return float(np.median(np.nanpercentile(np.abs(relative[:, finite]), 98, axis=0))) or 1.0


def draw_trace(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Position and width of the trace through time."""
    figure, axes = new_figure(3, 1, size=(5.6, 5.2), sharex=True)
    hours = hours_of(arrays)
    for axis, name, label in zip(
        axes,
        ("x_shift", "y_shift", "psf_sigma"),
        ("x shift (pixel)", "y shift (pixel)", "width σ (pixel)"),
        strict=True,
    ):
        axis.plot(hours, arrays[name], ".", ms=5)
        axis.set_ylabel(label)
    axes[-1].set_xlabel("time from the first integration (h)")
    return figure


def draw_white_light(white: LightCurve, hours: np.ndarray, fit: QuickTransit) -> Figure:
    """White light curve with its expected errors, transit and baseline, and residuals."""
    figure, (upper, lower) = new_figure(2, 1, size=(7.6, 4.6), sharex=True, height_ratios=(2.4, 1))
    upper.errorbar(hours, white.flux, white.error, fmt=".", ms=5, elinewidth=0.7, alpha=0.9, label="white light")
    what = "a dip of unknown depth" if fit.found else "straight baseline"
    if fit.measured:
        what = f"transit {100 * fit.depth:.3f} ± {100 * fit.depth_error:.3f} %"
    upper.plot(hours, fit.model, lw=1.4, color=COLOURS[1], label=what, zorder=3)
    upper.set(ylabel=f"relative flux, {USEFUL_UM[0]:g} to {USEFUL_UM[1]:g} µm")
    upper.ticklabel_format(useOffset=False)
    upper.legend(frameon=False)
    rest = 1e6 * (white.flux - fit.model)
    lower.errorbar(hours, rest, 1e6 * white.error, fmt=".", ms=4, elinewidth=0.7, alpha=0.9)
    lower.axhline(0, lw=1.2, color=COLOURS[1], zorder=3)
    lower.set(xlabel="time from the first integration (h)", ylabel="residuals (ppm)")
    return figure


def draw_noise(white: LightCurve, fit: QuickTransit, photon_error: np.ndarray | None = None) -> Figure:
    """Scatter of the residuals against bin size with its error, what white noise and photons alone would give."""
    figure, axis = new_figure(size=(5.6, 3.4))
    sizes, scatters, errors = scatter_of_bins(white.flux - fit.model)
    axis.errorbar(sizes, 1e6 * scatters, 1e6 * errors, fmt="o-", ms=4, lw=1, capsize=2, label="residuals")
    axis.plot(
        sizes, 1e6 * scatters[0] / np.sqrt(sizes), "--", color=COLOURS[1], label="white noise of the same scatter"
    )
    expected = np.median(white.error) / np.sqrt(sizes)
    axis.plot(sizes, 1e6 * expected, "-.", lw=1, color=COLOURS[3], label="expected from the errors")
    if photon_error is not None:
        limit = np.median(photon_error) / np.sqrt(sizes)
        axis.plot(sizes, 1e6 * limit, ":", color=COLOURS[2], label="photons alone")
    axis.set(xlabel="integrations per bin", ylabel="scatter of bins (ppm)", xscale="log", yscale="log")
    axis.set_xticks(sizes, [str(size) for size in sizes])
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    return figure


def _by_wavelength(wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the known wavelengths, ascending, and these."""
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order])]
    return order, wavelength[order]
