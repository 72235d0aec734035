"""Medians without numpy's overhead: selection for one pixel, sorting networks for a tile of pixels."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import middle_two

OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True}

#: Longest sorting network; above it a selection for each pixel is quicker.
LONGEST_NETWORK = 128

#: Below this many values insertion sort beats selection.
_SHORT = 32


@cache
def sorting_network(n: int) -> np.ndarray:
    """Return the comparators of Batcher's odd-even merge sort for `n` values, shape (n_comparators, 2).

    A network does the same comparisons for every pixel, so that a tile of pixels can be sorted side by side
    with vector instructions. Source: K. E. Batcher, AFIPS 32 (1968) 307; Knuth, TAOCP 3, 5.2.2M.
    """
    pairs = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                pairs += [
                    (i + j, i + j + k) for i in range(min(k, n - j - k)) if (i + j) // (2 * p) == (i + j + k) // (2 * p)
                ]
            k //= 2
        p *= 2
    return np.array(pairs, np.int64).reshape(-1, 2)


def network_or_none(n: int, *, longest: int = LONGEST_NETWORK) -> np.ndarray:
    """Return the network for `n` values, or one without comparators for more than `longest` of them."""
    return sorting_network(n) if n <= longest else np.zeros((0, 2), np.int64)


@njit(**OPTIONS)
def sort_tile(values, network):
    """Sort the columns of `values` (n, TILE) in place. NaN must have been dealt with: it spoils its own column only."""
    for pair in range(network.shape[0]):
        low = values[network[pair, 0]]
        high = values[network[pair, 1]]
        for c in range(low.size):
            a = low[c]
            b = high[c]
            low[c] = a if a < b else b
            high[c] = b if a < b else a


@njit(**OPTIONS)
def insertion_sort(a, n):
    """Sort a[:n] in place; quick for few values."""
    for i in range(1, n):
        value = a[i]
        j = i - 1
        while j >= 0 and a[j] > value:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = value


@njit(**OPTIONS)
def median_of(a, n):
    """Return the median of a[:n] without NaN, NaN when n is 0; reorders `a`."""
    if n == 0:
        return np.nan
    if n <= _SHORT:
        insertion_sort(a, n)
        return a[n // 2] if n & 1 else (a[n // 2 - 1] + a[n // 2]) / 2.0
    lower, upper = middle_two(a, n)
    return (lower + upper) / 2.0
