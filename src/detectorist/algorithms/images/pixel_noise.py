"""The variance of every pixel, estimated where the error array does not give it."""

from __future__ import annotations

import numpy as np

#: Rows on either side that stand in for an unknown pixel: a spectrum hardly changes over them.
NEIGHBOUR_ROWS = 3

#: Integrations from which scatter in time is measured; with fewer it is measured along the rows.
MIN_INTS_IN_TIME = 8

#: With this many integrations a pixel's own scatter is a fair measure.
MANY_INTS = 30

#: Rows over which an empirical scatter is averaged.
SCATTER_ROWS = 15

SIGMA_PER_MAD = 1.482602218505602


def complete_variance(data: np.ndarray, err: np.ndarray | None) -> np.ndarray:
    """Return the variance of every pixel: the square of its error where that is known, an estimate elsewhere.

    data : ndarray of float, shape (n_ints, n_rows, n_cols)
        Images whose scatter is used where no error is given; NaN is ignored.
    err : ndarray of float, shape of `data`, or None
        Standard deviations. NaN, infinite, zero and negative mean "unknown", never "exact": an unknown
        pixel gets the mean variance of its neighbours up to three rows away in its own column; where those
        are unknown as well, the robust scatter of the column in time (8 integrations or more) or along the
        rows (second differences).

    Returns ndarray of float64, shape of `data`; NaN where nothing at all is known (no error, no finite
    data), and never 0 unless the data without errors have no scatter either.
    """
    if err is None:
        return np.broadcast_to(_scatter_variance(data), data.shape).copy()
    variance = err.astype(float)
    np.square(variance, out=variance)
    unknown = ~((err > 0) & (variance < np.inf))
    if not unknown.any():
        return variance
    variance[unknown] = np.nan
    if unknown.all():
        return np.broadcast_to(_scatter_variance(data), data.shape).copy()
    variance = bridge_rows(variance)
    unknown = np.isnan(variance)
    if unknown.any():
        variance[unknown] = np.broadcast_to(_scatter_variance(data), data.shape)[unknown]
    return variance


def bridge_rows(values: np.ndarray) -> np.ndarray:
    """Return a copy with each NaN replaced by the mean of the finite values up to three rows away in its column.

    values : ndarray of float, shape (..., n_rows, n_cols)
    """
    filled = values.copy()
    where = np.nonzero(np.isnan(values))
    total, count = np.zeros(len(where[0])), np.zeros(len(where[0]))
    *front, rows, cols = where
    for offset in range(-NEIGHBOUR_ROWS, NEIGHBOUR_ROWS + 1):
        there = rows + offset
        inside = (there >= 0) & (there < values.shape[-2])
        near = values[(*front, np.clip(there, 0, values.shape[-2] - 1), cols)]
        good = inside & np.isfinite(near)
        total += np.where(good, near, 0.0)
        count += good
    filled[where] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return filled


def typical_variance(variance: np.ndarray, *, n_sampled: int = 15) -> np.ndarray:
    """Return the median over integrations, shape (n_rows, n_cols), from at most `n_sampled` of them, evenly spaced.

    Weights that follow every integration's own errors would follow its own noise, and bias a weighted mean.
    """
    chosen = np.unique(np.linspace(0, len(variance) - 1, min(n_sampled, len(variance))).astype(int))
    ordered = np.sort(variance[chosen], axis=0)
    n = len(chosen) - np.isnan(ordered).sum(axis=0, keepdims=True)
    return np.take_along_axis(ordered, np.maximum(n - 1, 0) // 2, axis=0)[0]


def _scatter_variance(data: np.ndarray) -> np.ndarray:
    """Return a robust variance per pixel, shape (1, n_rows, n_cols), from the data alone."""
    if len(data) >= MIN_INTS_IN_TIME:
        deviations = np.abs(np.diff(data, axis=0).astype(float)) / np.sqrt(2)
    elif data.shape[1] >= 3:
        bends = np.abs(data[:, 2:] - 2.0 * data[:, 1:-1] + data[:, :-2]) / np.sqrt(6)
        deviations = np.pad(bends, ((0, 0), (1, 1), (0, 0)), constant_values=np.nan)
    else:
        return np.full((1, *data.shape[1:]), np.nan)
    if len(deviations) >= MANY_INTS:
        return _running_mean((SIGMA_PER_MAD * _nanmedian(deviations, axis=0)) ** 2)[None]
    # The square of a median of few is too large on average: pool the rows before taking the median.
    half = SCATTER_ROWS // 2
    padded = np.pad(deviations, ((0, 0), (half, half), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, SCATTER_ROWS, axis=1)
    pooled = np.moveaxis(windows, 0, -1).reshape(*data.shape[1:], -1)
    return (SIGMA_PER_MAD * _nanmedian(pooled, axis=-1))[None] ** 2


def _running_mean(image: np.ndarray) -> np.ndarray:
    """Return the mean over rows about each pixel, NaN ignored."""
    known = np.isfinite(image)
    half = SCATTER_ROWS // 2
    rows = np.arange(len(image))
    low, high = np.maximum(rows - half, 0), np.minimum(rows + half + 1, len(image))

    def total(values):
        cumulative = np.vstack([np.zeros((1, image.shape[1])), np.cumsum(values, axis=0)])
        return cumulative[high] - cumulative[low]

    count = total(known.astype(float))
    return np.where(count > 0, total(np.where(known, image, 0.0)) / np.maximum(count, 1), np.nan)


def _nanmedian(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the (lower) median without NaN; NaN, and no warning, where there is nothing."""
    ordered = np.sort(values, axis=axis)
    n = (~np.isnan(ordered)).sum(axis=axis, keepdims=True)
    return np.take_along_axis(ordered, np.maximum(n - 1, 0) // 2, axis=axis).squeeze(axis)
