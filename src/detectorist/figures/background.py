"""The background of dispersed images: where it was measured, and how it varies along the rows and in time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_image


def draw_background(
    data: np.ndarray, background: np.ndarray, variance: np.ndarray, *, regions: Iterable[tuple[int, int]]
) -> Figure:
    """Return a figure of the mean image with the regions, and of how the background varies along the rows and in time.

    data, background : ndarray of float, shape (n_ints, n_rows, n_cols), before the subtraction
    variance : ndarray of float, shape (n_ints, n_rows)
    regions : pairs of columns, ends exclusive
    """
    figure, (left, middle, right) = new_figure(1, 3, size=(12, 4))
    show_image(left, np.nanmedian(data, axis=0), label="median image", percentile=2)
    for start, end in regions:
        left.axvspan(start - 0.5, end - 0.5, color=COLOURS[1], alpha=0.35, lw=0)
    left.set(xlabel="column", ylabel="row")

    centre = background.shape[2] // 2
    level = np.nanmedian(background[..., centre], axis=0)
    error = np.sqrt(np.nanmedian(variance, axis=0))
    rows = np.arange(level.size)
    middle.plot(rows, level, lw=1)
    middle.fill_between(rows, level - error, level + error, alpha=0.3, lw=0, label="error in one integration")
    middle.set(xlabel="row", ylabel="background, median in time")
    middle.legend(frameon=False)

    in_time = np.nanmean(background[..., centre], axis=1)
    right.errorbar(
        np.arange(in_time.size), in_time, np.sqrt(np.nansum(variance, axis=1)) / level.size, fmt=".", ms=4, lw=0.8
    )
    right.set(xlabel="integration", ylabel="background, mean of the rows")
    return figure
