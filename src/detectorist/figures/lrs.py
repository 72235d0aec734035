"""Figures of a MIRI LRS time series, from the dataset that the pipeline writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from detectorist.algorithms.spectra.light_curves import USEFUL_UM, LightCurve, scatter_of_bins, sum_wavelengths
from detectorist.figures.lrs_quality import hours_of
from detectorist.figures.style import COLOURS, new_figure


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
        white = sum_wavelengths(arrays["wavelength"], arrays["flux"], arrays["flux_error"])
    except ValueError:
        return figures
    figures["white_light"] = draw_white_light(white, hours_of(arrays))
    if white.flux.size >= 8:
        figures["noise"] = draw_noise(white)
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
    """All light curves at once: time by wavelength, each wavelength relative to its median."""
    figure, axis = new_figure(size=(5.6, 3.8))
    order, wavelength = _by_wavelength(arrays["wavelength"])
    flux = arrays["flux"][:, order]
    inside = (wavelength >= USEFUL_UM[0]) & (wavelength <= USEFUL_UM[1])
    level = median_in_time(flux)
    inside &= np.isfinite(level) & (level > 0)
    if not inside.any():
        inside = np.isfinite(level) & (level != 0)
    relative = 1e2 * (flux[:, inside] / level[inside] - 1)
    spread = np.nanpercentile(np.abs(relative), 98) if relative.size else 1.0
    number = np.arange(1, len(flux) + 1)
    image = axis.pcolormesh(
        wavelength[inside],
        number,
        relative,
        cmap="RdBu_r",
        vmin=-spread,
        vmax=spread,
        shading="nearest",
        rasterized=True,
    )
    figure.colorbar(image, ax=axis, label="flux relative to its median (%)")
    axis.set(xlabel="wavelength (µm)", ylabel="integration")
    return figure


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


def draw_white_light(white: LightCurve, hours: np.ndarray) -> Figure:
    """White light curve with its expected errors."""
    figure, axis = new_figure(size=(5.6, 3.4))
    axis.errorbar(hours, white.flux, white.error, fmt=".", ms=5, elinewidth=0.7, alpha=0.9)
    axis.set(
        xlabel="time from the first integration (h)",
        ylabel="relative flux",
        title=f"white light, {USEFUL_UM[0]:g} to {USEFUL_UM[1]:g} µm",
    )
    return figure


def draw_noise(white: LightCurve, photon_error: np.ndarray | None = None) -> Figure:
    """Scatter against bin size, with what independent errors would give, and photons alone."""
    figure, axis = new_figure(size=(5.6, 3.4))
    sizes, scatters = scatter_of_bins(white.flux)
    expected = np.median(white.error) / np.sqrt(sizes)
    axis.loglog(sizes, 1e6 * scatters, "o-", label="found (includes the transit)")
    axis.loglog(sizes, 1e6 * expected, "--", color=COLOURS[1], label="expected from the errors")
    if photon_error is not None:
        limit = np.median(photon_error) / np.sqrt(sizes)
        axis.loglog(sizes, 1e6 * limit, ":", color=COLOURS[2], label="photon limit")
    axis.set(xlabel="integrations per bin", ylabel="scatter of bins (ppm)")
    axis.legend(frameon=False)
    return figure


def _by_wavelength(wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the known wavelengths, ascending, and these."""
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order])]
    return order, wavelength[order]
