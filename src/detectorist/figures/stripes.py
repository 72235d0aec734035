"""Figures of the correction of stripes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_before_and_after, show_image


def draw_stripes(before: np.ndarray, after: np.ndarray, stripes: np.ndarray, mask: np.ndarray) -> Figure:
    """Draw an image before and after, what was subtracted, and medians of rows and columns without sources.

    before, after, stripes : ndarray, shape (ny, nx), unit of the rate, NaN where nothing is known.
    mask : ndarray of bool, same shape, True on sources.
    """
    figure, axes = new_figure(2, 2, size=(9.0, 7.6))
    show_before_and_after(axes[0], before, after, unit="DN/s", percentile=3)
    show_image(axes[1, 0], stripes, label="subtracted (DN/s)", centred=True)
    for image, label, colour in ((before, "before", COLOURS[1]), (after, "after", COLOURS[0])):
        free = np.where(mask, np.nan, image)
        seen = np.isfinite(free).any(axis=1)
        rows = np.full(len(image), np.nan)
        rows[seen] = np.nanmedian(free[seen], axis=1)
        axes[1, 1].plot(rows - np.nanmedian(rows), lw=0.6, color=colour, label=label)
    for axis in (axes[0, 0], axes[0, 1], axes[1, 0]):
        axis.set(xlabel="column", ylabel="row")
    axes[1, 1].set(xlabel="row", ylabel="median of the row (DN/s)")
    axes[1, 1].legend(fontsize=8)
    return figure
