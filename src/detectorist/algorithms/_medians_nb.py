"""Medians of long rows in half the time that numpy takes, which looks through each row three times."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import kth_smallest, middle_between

#: Values of a row that its median is guessed from, and how far from their middle it is looked for: four times as far as
#: the median of so many is off.
SAMPLE, REACH = 256, 32
#: Values between two limits that are few enough to be searched, and times that wrong limits are moved apart.
FEW, MOST_TRIES = 64, 8
#: Standard deviations by which the rank of a value that is interpolated between two limits may be off.
RANK_SIGMA = 5.0
#: Values that are looked at together: in most such blocks none lies between the last limits.
BLOCK = 8


@njit(cache=True, nogil=True)
def median_of_row(row, kept, sample):
    """Return the median of a row as numpy has it, NaN with a NaN or without values.

    Room to work in: `kept` holds one value more than the row, `sample` SAMPLE of them.

    The middle of a sorted sample tells where the median lies, and its neighbours how far off that may be.
    """
    n = row.size
    unknown = 0
    for k in range(n):
        unknown += np.isnan(row[k])
    if n == 0 or unknown:
        return np.nan
    if n <= 4 * SAMPLE:
        kept[:n] = row
        return middle_between(kept, n, 0, n)
    for k in range(SAMPLE):
        sample[k] = row[k * n // SAMPLE]
    low = kth_smallest(sample, SAMPLE, SAMPLE // 2 - REACH)
    high = kth_smallest(sample, SAMPLE, SAMPLE // 2 + REACH)
    return median_near(row, 0.5 * (low + high), 0.5 * (high - low), kept)


@njit(cache=True, nogil=True)
def median_near(row, guess, reach, kept):
    """Return what `median_of_row` does of a row without NaN, in a third of its time where the guess is good.

    guess, reach : where the median is expected, and how far from there it may lie; a wrong guess costs time alone.
    kept : room for one value more than the row has.

    How many values are below a limit is told by counting, several at a time in vector instructions; limits close in on
    the median until few values lie between them.
    """
    n = row.size
    first, last = (n - 1) // 2, n // 2
    for _ in range(MOST_TRIES):
        low, high = guess - reach, guess + reach
        below, within = _count(row, low, high)
        if below <= first and last < within:
            break
        reach *= 4.0
    if not (below <= first and last < within):
        kept[:n] = row
        return middle_between(kept, n, 0, n)
    while within - below > FEW:
        place = (first + 0.5 - below) / (within - below)
        half = 0.5 * RANK_SIGMA / np.sqrt(within - below)
        closer, farther = low + (high - low) * (place - half), low + (high - low) * (place + half)
        fewer, more = _count(row, closer, farther)
        if fewer > first or more <= last or more - fewer >= within - below:
            break
        low, high, below, within = closer, farther, fewer, more
    return middle_between(kept, _take_between(row, low, high, kept), below, n)


@njit(cache=True, nogil=True)
def _count(row, low, high):
    """Return how many values are less than one limit, and how many are not above the other."""
    below, within = 0, 0
    for k in range(row.size):
        below += row[k] < low
        within += row[k] <= high
    return below, within


@njit(cache=True, nogil=True)
def _take_between(row, low, high, kept):
    """Copy the values from `low` to `high`, which are few; return their number."""
    number = 0
    whole = row.size - row.size % BLOCK
    for first in range(0, whole, BLOCK):
        inside = 0
        for k in range(first, first + BLOCK):
            inside += (row[k] >= low) & (row[k] <= high)
        if inside:
            number = _append_between(row, first, first + BLOCK, low, high, kept, number)
    return _append_between(row, whole, row.size, low, high, kept, number)


@njit(cache=True, nogil=True)
def _append_between(row, first, stop, low, high, kept, number):
    for k in range(first, stop):
        kept[number] = row[k]
        number += (row[k] >= low) & (row[k] <= high)
    return number
