"""Patches of light, several blocks wide, in maps of blocks of pixels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from detectorist.algorithms.medians import median

#: Sides of the squares of blocks in which a patch is looked for.
SCALES = (2, 4, 8)
#: Share of a square that must be known.
LEAST_FILLED = 0.3
SIGMA_PER_MAD = 1.4826


def significance(excess: np.ndarray) -> np.ndarray:
    """Return the significance of the most deviant square of blocks around every block.

    excess : ndarray of float, shape (n_maps, n_blocks_y, n_blocks_x)
        Of blocks, in units of their own noise; NaN where unknown.

    Returns ndarray of float, same shape: the mean of squares of 2, 4 and 8 blocks, each size in robust sigmas of all
    such squares of all maps, so that noise correlated between neighbours raises the threshold; 0 where unknown.
    """
    most = np.zeros(excess.shape)
    known = np.isfinite(excess)
    filled = np.where(known, excess, 0.0)
    alike = bool((known == known[:1]).all())  # as most maps are: one of them tells then how much is known in all
    for side in SCALES:
        window = (0, min(side, excess.shape[1]), min(side, excess.shape[2]))
        weight = uniform_filter(known[: 1 if alike else None].astype(float), window, mode="constant")
        with np.errstate(invalid="ignore", divide="ignore"):
            square = uniform_filter(filled, window, mode="constant") / np.sqrt(weight)
        square[np.broadcast_to(~(weight > LEAST_FILLED), square.shape)] = np.nan
        scatter = SIGMA_PER_MAD * median(np.abs(square[np.isfinite(square)]))
        if scatter > 0:
            most = np.fmax(most, square / scatter)
    return most


def common_to_rows(offset: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the median of every row of blocks over the fainter half of them; 0 where none is known.

    offset : (n_maps, n_blocks_y, n_blocks_x). usual : (n_blocks_y, n_blocks_x) brightness of the blocks.
    Returns (n_maps, n_blocks_y, 1).
    """
    faint = usual <= np.median(usual, axis=1, keepdims=True)
    return np.nan_to_num(nanmedian(np.where(faint, offset, np.nan), axis=2))[..., None]


def running_median(series: np.ndarray, length: int) -> np.ndarray:
    """Return the median over `length` maps about each one, over all where there are fewer; NaN is left out."""
    n = len(series)
    if n == 0:
        return series
    if n <= length:
        return nanmedian(series, axis=0)[None]
    from detectorist.algorithms.images._running_medians_nb import running_medians

    medians = np.empty((n - length + 1, *series.shape[1:]))
    running_medians(np.ascontiguousarray(series, float).reshape(n, -1), length, medians.reshape(len(medians), -1))
    return medians[np.clip(np.arange(n) - length // 2, 0, n - length)]


def nanmedian(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the median of what is finite, NaN where nothing is, without a warning; no value may be infinite."""
    ordered = np.sort(values, axis=axis)
    n = np.isfinite(values).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(n - 1, 0) // 2, axis)
    high = np.take_along_axis(ordered, np.minimum(n // 2, values.shape[axis] - 1), axis)
    return np.where(n > 0, 0.5 * (low + high), np.nan).squeeze(axis)
