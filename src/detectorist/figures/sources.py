"""Figures of source masks."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import new_figure, show_image


def draw_sources(image: np.ndarray, tier: np.ndarray) -> Figure:
    """Draw an image, the tier that masked each pixel, and what is left.

    image : ndarray, shape (ny, nx), unit of the rate. tier : ndarray of int, same shape, 0 where nothing is masked.
    """
    figure, axes = new_figure(1, 3, size=(12.6, 3.8))
    show_image(axes[0], image, label="rate (DN/s)", percentile=2)
    show_image(axes[1], tier, label="tier", percentile=0)
    show_image(axes[2], np.where(tier > 0, np.nan, image), label="without sources (DN/s)", percentile=1)
    for axis in axes:
        axis.set(xlabel="column", ylabel="row")
    return figure
