"""Figures of outliers across integrations."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_image


def draw_rateints_outliers(rates: np.ndarray, flagged: np.ndarray, *, unit: str = "DN/s") -> Figure:
    """Draw the integration with most outliers without the median of all, and how many there are in each.

    rates : ndarray of float, shape (n_ints, ny, nx)
    flagged : ndarray of bool, same shape
    """
    each = flagged.sum(axis=(1, 2))
    worst = int(each.argmax())
    middle = np.full(rates.shape[1:], np.nan)
    known = np.isfinite(rates).any(axis=0)
    middle[known] = np.nanmedian(rates[:, known], axis=0)
    figure, axes = new_figure(1, 3, size=(12.6, 3.8))
    show_image(axes[0], rates[worst] - middle, label=unit, centred=True)
    y, x = np.nonzero(flagged[worst])
    axes[0].plot(x, y, "o", ms=6, mfc="none", mec=COLOURS[6], mew=0.8, ls="")
    axes[0].set(xlabel="column", ylabel="row", title=f"integration {worst + 1} minus the median, circles: flagged")
    show_image(axes[1], flagged.sum(axis=0), label="integrations", percentile=0)
    axes[1].set(xlabel="column", ylabel="row", title="how often each pixel is flagged")
    axes[2].bar(np.arange(1, len(each) + 1), each, color=COLOURS[0])
    axes[2].set(xlabel="integration", ylabel="outliers")
    return figure
