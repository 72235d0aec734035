"""Compiled running medians of maps: the values of a window stay in order while it moves on by one map."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def running_medians(series, length, out):
    """Fill out[k] with the medians of series[k : k + length], pixel by pixel; NaN is left out, and stands for none.

    series : (n, n_pixels). out : (n - length + 1, n_pixels). No value may be infinite.
    """
    ordered = np.empty(length)
    for pixel in range(series.shape[1]):
        n = 0
        for k in range(length):
            n = _insert(ordered, n, series[k, pixel])
        out[0, pixel] = _middle(ordered, n)
        for k in range(1, len(out)):
            n = _remove(ordered, n, series[k - 1, pixel])
            n = _insert(ordered, n, series[k + length - 1, pixel])
            out[k, pixel] = _middle(ordered, n)


@njit(cache=True, nogil=True)
def _insert(ordered, n, value):
    """Put a value in its place among the first n; return how many there are."""
    if np.isnan(value):
        return n
    at = n
    while at > 0 and ordered[at - 1] > value:
        ordered[at] = ordered[at - 1]
        at -= 1
    ordered[at] = value
    return n + 1


@njit(cache=True, nogil=True)
def _remove(ordered, n, value):
    """Take a value from among the first n; return how many are left."""
    if np.isnan(value):
        return n
    at = 0
    while ordered[at] != value:
        at += 1
    for k in range(at, n - 1):
        ordered[k] = ordered[k + 1]
    return n - 1


@njit(cache=True, nogil=True)
def _middle(ordered, n):
    return 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2]) if n else np.nan
