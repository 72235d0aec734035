"""Figure of a wisp template made from exposures."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import new_figure, show_image


def draw_template(template: np.ndarray, n_used: np.ndarray, strength: np.ndarray) -> Figure:
    """Draw a template, the number of exposures that contributed to each pixel, and the wisp strength in each exposure.

    template : ndarray, shape (ny, nx), unit of the rate. n_used : ndarray of int, same shape. strength : 1-D.
    """
    figure, axes = new_figure(1, 3, size=(12.6, 3.8))
    show_image(axes[0], template, label="template (DN/s)", percentile=0.1)
    show_image(axes[1], n_used, label="exposures behind a pixel", percentile=0)
    axes[2].plot(np.arange(1, len(strength) + 1), strength, "o", ms=4)
    axes[2].axhline(1, lw=0.8, color="0.5")
    axes[2].set(xlabel="exposure", ylabel="strength", ylim=(0, None))
    return figure
