"""How well an image was corrected: noise of rows, scatter against the strength of a wisp."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from detectorist.algorithms.medians import typed_median

#: Rows over which the light of the sky and of galaxies is taken as smooth.
WINDOW_ROWS = 65
#: Pixels farther from the level of the image, in its own scatter, are left out.
CLIP_SIGMA = 5.0
#: Rows of an image from which every fourth tells that scatter.
CLIP_FROM_ROWS = 1024
#: Least part of a row that is usable for its mean to count.
LEAST_USABLE = 0.1
#: Pixels along the side of the bins in which the scatter over a wisp is measured; wisps are tens of pixels wide.
BIN_PIX = 8
#: Where a template has light: above this part of its maximum.
LIT = 0.1


class RowNoise(NamedTuple):
    """Scatter of the rows of an image about their neighbours.

    rms : float, unit of the image, robust standard deviation of the means of rows; NaN where too few rows are usable.
    white : float, what the scatter from pixel to pixel alone explains of it.
    """

    rms: float
    white: float


def measure_row_noise(image: np.ndarray, mask: np.ndarray) -> RowNoise:
    """Measure the scatter of the means of rows about a running mean over 65 of them.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Flat-fielded. Non-finite pixels are ignored.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used: bad pixels and sources.

    Returns
    -------
    RowNoise

    Notes
    -----
    The scatter of pixels is measured from neighbours along the row, which 1/f noise hardly affects.
    """
    image = np.ascontiguousarray(image)  # columns come as a turned image
    usable = ~np.ascontiguousarray(mask, bool) & np.isfinite(image)
    if not usable.any():
        return RowNoise(np.nan, np.nan)
    pixel = 1.4826 / np.sqrt(2) * _median_step(image, usable)
    every = 4 if len(image) >= CLIP_FROM_ROWS and usable[::4].any() else 1
    values = image[::every][usable[::every]]
    middle = typed_median(values)
    spread = 1.4826 * float(typed_median(np.abs(values - middle)))
    usable &= np.abs(image - middle) <= CLIP_SIGMA * max(pixel, spread)
    n = np.count_nonzero(usable, axis=1)
    rows = n >= max(LEAST_USABLE * image.shape[1], 2)
    if rows.sum() < 3:
        return RowNoise(np.nan, np.nan)
    means = np.where(usable, image, 0).sum(axis=1, dtype=float)[rows] / n[rows]
    window = min(WINDOW_ROWS, means.size)
    rest = means - ndimage.uniform_filter1d(means, window, mode="nearest")
    return RowNoise(_spread(rest) / np.sqrt(1 - 1 / window), float(pixel / np.sqrt(typed_median(n[rows]))))


def measure_wisp_curve(image: np.ndarray, mask: np.ndarray, wisp: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Measure the scatter of `image - factor * wisp` where the wisp has light, for several factors.

    Parameters
    ----------
    image, wisp : ndarray of float, shape (ny, nx)
        In one unit. Non-finite pixels are ignored.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used: bad pixels and sources.
    factors : ndarray of float, shape (n,)

    Returns
    -------
    ndarray of float, shape (n,)
        Robust standard deviation of the means of bins of 8 x 8 pixels; NaN where fewer than ten bins have light.
    """
    usable = ~np.asarray(mask, bool) & np.isfinite(image)
    count = _sums(usable)
    known = count >= BIN_PIX**2 / 4
    data, light = (_sums(np.where(usable, one, 0)) / np.maximum(count, 1) for one in (image, wisp))
    lit = known & (light > LIT * light.max(initial=0))
    if lit.sum() < 10:
        return np.full(len(factors), np.nan)
    return np.array([_spread(data[lit] - factor * light[lit]) for factor in factors])


def hidden_share(mask: np.ndarray, wisp: np.ndarray) -> float:
    """Return the part of a mask's pixels where the wisp has light, in bins of 8 x 8 pixels; NaN where it has none.

    mask : ndarray of bool, shape (ny, nx)
        True where something hides the wisp.
    wisp : ndarray of float, shape (ny, nx)
        Finite; its noise is averaged over the bins.
    """
    light, hidden = _sums(wisp), _sums(np.asarray(mask, bool)) / BIN_PIX**2
    lit = light > LIT * max(light.max(initial=0), 0)
    return float(hidden[lit].mean()) if lit.any() else float("nan")


def _sums(image):
    """Return sums over bins, float64: rows first, whose values lie side by side in memory."""
    ny, nx = (n // BIN_PIX for n in image.shape)
    rows = np.zeros((ny, nx * BIN_PIX))
    for k in range(BIN_PIX):
        rows += image[k : ny * BIN_PIX : BIN_PIX, : nx * BIN_PIX]
    return rows.reshape(ny, nx, BIN_PIX).sum(axis=2)


def _median_step(image, usable):
    both = usable[::4, 1:] & usable[::4, :-1]
    steps = np.abs(image[::4, 1:] - image[::4, :-1])[both]
    return float(typed_median(steps)) if steps.size else 0.0


def _spread(values):
    return float(1.4826 * typed_median(np.abs(values - typed_median(values))))
