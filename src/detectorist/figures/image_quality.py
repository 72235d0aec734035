"""Correlated noise along the rows of an image, before and after correction."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.algorithms.medians import typed_median
from detectorist.figures.style import COLOURS, new_figure

#: Standard error of a median of many values over that of their mean.
MEDIAN_OVER_MEAN = np.sqrt(np.pi / 2)
#: Rows, or more, from which the scatter of pixels is measured.
WHITE_ROWS = 512


def draw_rows(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> Figure:
    """Medians of the rows before and after, and their power spectra with the level that white noise gives.

    before, after : ndarray of float, shape (ny, nx), unit of the rate
    mask : ndarray of bool, same shape, True on sources and bad pixels
    """
    figure, (upper, lower) = new_figure(2, 1, size=(5.6, 5.4))
    for image, label, colour in ((before, "before", COLOURS[1]), (after, "after", COLOURS[0])):
        levels = row_levels(image, mask)
        upper.plot(levels, lw=0.7, color=colour, label=label, alpha=0.9)
        lower.loglog(*power_of_levels(levels[None]), lw=1.2, color=colour, label=label)
    lower.axhline(white_level(after, mask), ls="--", lw=1, color=COLOURS[6], label="white noise alone")
    upper.set(xlabel="row", ylabel="median of the row (DN/s)")
    lower.set(xlabel="frequency (1/row)", ylabel="power of row medians (DN²/s²)")
    for axis in (upper, lower):
        axis.legend(frameon=False, fontsize=8)
    return figure


def binned_power(images: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (frequency in 1/row, power of row medians), means over images and logarithmic bins of frequency.

    images : ndarray of float, shape (n, ny, nx). mask : ndarray of bool, shape (ny, nx), True where not to be used.
    """
    return power_of_levels(np.array([row_levels(image, mask) for image in images]))


def power_of_levels(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (frequency in 1/row, power) of levels of rows, shape (n, ny), as `binned_power`; NaN count as 0."""
    levels = np.nan_to_num(levels)
    power = (np.abs(np.fft.rfft(levels, axis=1))[:, 1:] ** 2 / levels.shape[1]).mean(axis=0)
    return _binned(np.fft.rfftfreq(levels.shape[1])[1:], power)


def row_levels(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the median of every row without its mean over the image, shape (ny,); NaN where all is masked."""
    usable = np.isfinite(image) & ~np.asarray(mask, bool)
    n = np.count_nonzero(usable, axis=1)[:, None]
    ordered = np.where(usable, image, np.nan)
    ordered.sort(axis=1)  # those not usable come last
    low, high = (
        np.take_along_axis(ordered, place, axis=1)
        for place in (np.maximum(n - 1, 0) // 2, np.minimum(n // 2, image.shape[1] - 1))
    )
    level = np.where(n > 0, 0.5 * (low + high), np.nan)[:, 0].astype(float)
    return level - np.nanmedian(level) if n.any() else level


def white_level(image: np.ndarray, mask: np.ndarray) -> float:
    """Return the variance of a row's median where pixels are independent: from differences of neighbours in a row.

    Of a large image, the rows between those that are looked at would hardly make it more precise.
    """
    usable = np.isfinite(image) & ~np.asarray(mask, bool)
    every = max(len(image) // WHITE_ROWS, 1)
    some, seen = image[::every], usable[::every]
    difference = (some[:, 1:] - some[:, :-1])[seen[:, 1:] & seen[:, :-1]]
    if not difference.size:
        return float("nan")
    sigma = typed_median(np.abs(difference)) / (0.6745 * np.sqrt(2))
    count = np.count_nonzero(usable, axis=1)
    return float(np.mean((MEDIAN_OVER_MEAN * sigma) ** 2 / count[count > 0]))


def _binned(frequency: np.ndarray, power: np.ndarray, n_bins: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Return means over logarithmic bins of frequency."""
    edges = np.geomspace(frequency[0], frequency[-1] * 1.001, n_bins + 1)
    which = np.digitize(frequency, edges)
    present = np.unique(which)
    return (
        np.array([frequency[which == k].mean() for k in present]),
        np.array([power[which == k].mean() for k in present]),
    )
