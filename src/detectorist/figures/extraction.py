"""Extraction of spectra: fits of the trace, the aperture, the spectra."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.algorithms.spectra.trace import TraceFit, gaussian
from detectorist.figures.style import COLOURS, new_figure, show_image


def draw_psf_fits(fit: TraceFit) -> Figure:
    """Return a figure of the fit in the middle integration, and of position and width in time."""
    figure, (left, middle, right) = new_figure(1, 3, size=(12, 3.6))
    index = len(fit.profiles) // 2
    left.step(fit.columns, fit.profiles[index], where="mid", lw=1, label=f"integration {index}, sum of the rows")
    if np.isfinite(fit.sigma_pix[index]):
        x = np.linspace(fit.columns[0], fit.columns[-1], 300)
        parameters = (a[index] for a in (fit.amplitude, fit.center_pix, fit.sigma_pix, fit.offset))
        left.plot(x, gaussian(x, *parameters), lw=1.2, color=COLOURS[1], label="Gaussian and constant")
    left.set(xlabel="column", ylabel="profile")
    left.margins(y=0.25)
    left.legend(frameon=False, fontsize=8, loc="upper left")
    for axis, values, label in ((middle, fit.center_pix, "position"), (right, fit.sigma_pix, "sigma")):
        axis.plot(values, ".", ms=4)
        axis.set(xlabel="integration", ylabel=f"{label} of the trace (pixel)")
        axis.ticklabel_format(useOffset=False)
    return figure


def draw_aperture(data: np.ndarray, aperture: tuple[float, float]) -> Figure:
    """Return a figure of the median image with the aperture, and of its profile across the dispersion.

    data : ndarray of float, shape (n_ints, n_rows, n_cols)
    aperture : first and last column, inclusive
    """
    image = np.nanmedian(data, axis=0)
    edges = aperture[0] - 0.5, aperture[1] + 0.5
    figure, (left, right) = new_figure(1, 2, size=(9, 4))
    show_image(left, image, label="median image", percentile=2)
    for edge in edges:
        left.axvline(edge, color=COLOURS[1], lw=1)
    left.set(xlabel="column", ylabel="row")
    right.step(np.arange(image.shape[1]), np.nansum(image, axis=0), where="mid", lw=1)
    right.axvspan(*edges, color=COLOURS[1], alpha=0.25, lw=0, label=f"columns {aperture[0]:g} to {aperture[1]:g}")
    right.set(xlabel="column", ylabel="sum of the rows", yscale="symlog")
    right.legend(frameon=False)
    return figure


def draw_spectra(wavelengths: np.ndarray, flux: np.ndarray, error: np.ndarray, *, units: str) -> Figure:
    """Return a figure of the median spectrum with its errors, and of all spectra over their median.

    wavelengths : ndarray of float, shape (n_rows,), micron; NaN rows are left out
    flux, error : ndarray of float, shape (n_ints, n_rows), in `units`
    """
    known = np.isfinite(wavelengths) & np.isfinite(flux).any(axis=0)
    order = np.flatnonzero(known)[np.argsort(wavelengths[known])]
    figure, (left, right) = new_figure(1, 2, size=(11, 4))
    left.set(xlabel="wavelength (µm)", ylabel=f"flux ({units})")
    right.set(xlabel="wavelength (µm)", ylabel="integration")
    if order.size < 2:
        return figure
    median = np.nanmedian(flux[:, order], axis=0)
    left.plot(wavelengths[order], median, lw=1, label="median")
    left.plot(wavelengths[order], np.nanmedian(error[:, order], axis=0), lw=1, label="error of one integration")
    left.set_yscale("symlog", linthresh=max(float(np.nanmedian(error[:, order])), 1e-12))
    left.legend(frameon=False)
    safe = np.where(np.abs(median) > 0, median, np.nan)
    relative = 100 * (flux[:, order] / safe - 1)
    shown = relative[:, median > 0.05 * np.nanmax(median)]
    limit = np.nanpercentile(np.abs(shown), 98) if np.isfinite(shown).any() else 1.0
    mesh = right.pcolormesh(
        wavelengths[order], np.arange(len(flux)), relative, cmap="RdBu_r", vmin=-limit, vmax=limit, shading="nearest"
    )
    figure.colorbar(mesh, ax=right, label="flux over its median - 1 (%)")
    return figure
