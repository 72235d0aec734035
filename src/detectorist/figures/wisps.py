"""Figures of the subtraction of wisps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import new_figure, show_image


def draw_wisps(before: np.ndarray, after: np.ndarray, wisp: np.ndarray, mask: np.ndarray) -> Figure:
    """Draw an image before and after, the wisp, and the sources that were left out.

    before, after, wisp : ndarray, shape (ny, nx), unit of the rate. mask : ndarray of bool, same shape.
    """
    figure, axes = new_figure(2, 2, size=(9.0, 7.6))
    show_image(axes[0, 0], before, label="before (DN/s)", percentile=3)
    show_image(axes[0, 1], after, label="after (DN/s)", percentile=3)
    show_image(axes[1, 0], wisp, label="wisp (DN/s)", percentile=0)
    show_image(axes[1, 1], np.where(mask, np.nan, after), label="after, without sources (DN/s)", percentile=1)
    return figure
