"""Figures of the subtraction of wisps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_before_and_after, show_image


def draw_wisps(before: np.ndarray, after: np.ndarray, wisp: np.ndarray, mask: np.ndarray) -> Figure:
    """Draw an image before and after, the wisp, and the sources that were left out.

    before, after, wisp : ndarray, shape (ny, nx), unit of the rate. mask : ndarray of bool, same shape.
    """
    figure, axes = new_figure(2, 2, size=(9.0, 7.6))
    show_before_and_after(axes[0], before, after, unit="DN/s", percentile=3)
    show_image(axes[1, 0], wisp, label="wisp (DN/s)", percentile=0)
    show_image(axes[1, 1], np.where(mask, np.nan, after), label="after, without sources (DN/s)", percentile=1)
    for axis in axes.flat:
        axis.set(xlabel="column", ylabel="row")
    return figure


def draw_wisp_curve(scales: np.ndarray, spread: np.ndarray, *, best: float, error: float) -> Figure:
    """Draw the scatter of the image against the strength of the wisp template, and mark the fitted strength.

    scales : ndarray of float, shape (n,), trial strengths
    spread : ndarray of float, shape (n,), scatter of image - strength * template, sources left out
    best, error : float, the strength found and its standard deviation
    """
    figure, axis = new_figure(size=(5.6, 3.4))
    axis.plot(scales, spread, "o-", ms=3, lw=1, label="scatter of the image without the wisp")
    axis.axvspan(best - error, best + error, color=COLOURS[1], alpha=0.25, lw=0)
    axis.axvline(best, color=COLOURS[1], lw=1.2, label=f"strength found, {best:.3f} ± {error:.3f}")
    axis.set(xlabel="strength of the wisp", ylabel="scatter of the image")
    axis.ticklabel_format(useOffset=False)
    axis.legend(frameon=False, fontsize=8)
    return figure
