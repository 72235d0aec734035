"""Compiled loops of `stripes`: clipped medians of stretches of rows and of columns."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Distance of the quartiles of a Gaussian in standard deviations.
QUARTILES_TO_SIGMA = 1.349


@njit(cache=True, nogil=True)
def row_medians(image, usable, edges, clip_sigma):
    """Clipped median, error variance and usable pixels of every stretch of every row.

    image, usable : (ny, nx). edges : (n_parts + 1,), the columns where stretches begin and the last ends.
    Returns three (ny, n_parts) float64 arrays; median 0 and variance infinite where no pixel is usable.
    """
    ny = image.shape[0]
    n_parts = edges.size - 1
    median, variance, count = np.zeros((ny, n_parts)), np.full((ny, n_parts), np.inf), np.zeros((ny, n_parts))
    values = np.empty(image.shape[1], np.float32)
    for y in range(ny):
        for part in range(n_parts):
            n = 0
            for x in range(edges[part], edges[part + 1]):
                if usable[y, x]:
                    values[n] = image[y, x]
                    n += 1
            count[y, part] = n
            if n:
                median[y, part], variance[y, part] = clipped_median(np.sort(values[:n]), clip_sigma)
    return median, variance, count


@njit(cache=True, nogil=True)
def clipped_median(ordered, clip_sigma):
    """Median of ascending values after clipping at so many standard deviations from it, and its error variance.

    The error of the median of Gaussian values is sqrt(pi / 2) times that of their mean. Their width is taken from the
    quartiles of all: repeated clipping narrows the standard deviation of what is left.
    """
    size = ordered.size
    width = (ordered[(3 * size) // 4] - ordered[size // 4]) / QUARTILES_TO_SIGMA
    variance = 0.5 * np.pi * width * width / size
    low, high = 0, size
    total, squares = 0.0, 0.0
    pivot = ordered[ordered.size // 2]
    for value in ordered:
        total += value - pivot
        squares += (value - pivot) ** 2
    while True:
        n = high - low
        median = 0.5 * (ordered[low + (n - 1) // 2] + ordered[low + n // 2])
        mean = total / n
        spread = np.sqrt(max(squares / n - mean * mean, 0.0))
        if spread == 0.0:
            return median, variance
        first, last = low, high
        while ordered[low] < median - clip_sigma * spread:
            total -= ordered[low] - pivot
            squares -= (ordered[low] - pivot) ** 2
            low += 1
        while ordered[high - 1] > median + clip_sigma * spread:
            high -= 1
            total -= ordered[high] - pivot
            squares -= (ordered[high] - pivot) ** 2
        if low == first and high == last:
            return median, variance
