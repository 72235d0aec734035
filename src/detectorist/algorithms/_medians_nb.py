"""Medians of long rows in half the time that numpy takes, which looks through each row three times."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import kth_smallest

#: Values of a row that its median is guessed from, and how far from their middle it is looked for: four times as far as
#: the median of so many is off.
SAMPLE, REACH = 256, 32


@njit(cache=True, nogil=True)
def median_of_row(row, kept, sample):
    """Return the median of a row as numpy has it, NaN with a NaN or without values.

    Room to work in: `kept` holds one value more than the row, `sample` SAMPLE of them.

    A sorted sample tells two values that the median lies between, all but always; only what lies between them is
    searched for it.
    """
    n = row.size
    if n == 0:
        return np.nan
    low, high = -np.inf, np.inf
    if n > 4 * SAMPLE:
        for k in range(SAMPLE):
            sample[k] = row[k * n // SAMPLE]
        low = kth_smallest(sample, SAMPLE, SAMPLE // 2 - REACH)
        high = kth_smallest(sample, SAMPLE, SAMPLE // 2 + REACH)
    below, number = _between(row, low, high, kept)
    if below < 0:
        return np.nan
    if below > (n - 1) // 2 or below + number <= n // 2:
        below, number = _between(row, -np.inf, np.inf, kept)
    upper = kth_smallest(kept, number, n // 2 - below)
    if n % 2:
        return upper
    lower = kept[0]
    for k in range(1, n // 2 - below):
        lower = max(lower, kept[k])
    return (lower + upper) / 2.0


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
