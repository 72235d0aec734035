"""Compiled loop of `medians`."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import kth_smallest

#: Values of a row that its median is guessed from, and how far from their middle it is looked for: four times as far as
#: the median of so many is off.
SAMPLE, REACH = 256, 32


@njit(cache=True, nogil=True)
def medians_of_rows(values, out):
    """Fill `out` with the medians of the rows of `values`, (n_rows, n), as numpy has them; NaN for a row with NaN.

    A sorted sample tells two values that the median lies between, all but always; only what lies between them is
    searched for it.
    """
    n_rows, n = values.shape
    kept = np.empty(n + 1)
    sample = np.empty(SAMPLE)
    for r in range(n_rows):
        row = values[r]
        low, high = -np.inf, np.inf
        if n > 4 * SAMPLE:
            for k in range(SAMPLE):
                sample[k] = row[k * n // SAMPLE]
            low = kth_smallest(sample, SAMPLE, SAMPLE // 2 - REACH)
            high = kth_smallest(sample, SAMPLE, SAMPLE // 2 + REACH)
        below, number = _between(row, low, high, kept)
        if below < 0:
            out[r] = np.nan
            continue
        if below > (n - 1) // 2 or below + number <= n // 2:
            below, number = _between(row, -np.inf, np.inf, kept)
        upper = kth_smallest(kept, number, n // 2 - below)
        lower = upper
        if n % 2 == 0:
            lower = kept[0]
            for k in range(1, n // 2 - below):
                lower = max(lower, kept[k])
        out[r] = upper if n % 2 else (lower + upper) / 2.0


@njit(cache=True, nogil=True)
def _between(row, low, high, kept):
    """Copy what lies between two values; return how many are below it, -1 if any is NaN, and how many lie between."""
    below, number, unknown = 0, 0, 0
    for value in row:
        below += value < low
        unknown += np.isnan(value)
        kept[number] = value
        number += (value >= low) & (value <= high)
    return (-1, 0) if unknown else (below, number)
