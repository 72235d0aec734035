"""Jumps of a tile of pixels: a vectorised test that settles the ordinary ones, and a scalar routine for the
rest.

Data are (n_ints, n_groups, n_pix), pixels of the image in one row: neighbours matter only later. A pixel goes
to the scalar routine ("hard") when any group has a flag, a difference is NaN, the largest excess comes within
0.02 % of the threshold, or the largest |difference| is not alone (stock leaves out all equal ones).
Everything else cannot have a jump. Where all jumps are found at once, moments of the differences settle nearly all
pixels before anything is sorted. Groups that are dropped in all pixels, as the last one of MIRI is, make none hard:
the test does without their differences.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._sorting_nb import sort_tile
from detectorist.engine._compiled import OPTIONS, TILE
from detectorist.engine._jump_pixel_nb import (
    difference_variance,
    differences,
    flag_in_one_pass,
    flag_iteratively,
    mark_for_neighbors,
    set_jumps,
)
from detectorist.engine.flags import UNUSABLE

#: The vectorised test works in float32 and with another order of operations: it must be stricter than its
#: rounding errors.
_STRICTER = 0.9998
#: The same for moments: their sums may be off by this share of the sum of squares, for each difference.
_ROUNDING = 2.4e-7
#: In a tile with so many pixels that moments do not settle, or fewer, these are searched one by one: it costs less than
#: to sort the differences of all.
_FEW_UNSETTLED = 4


@njit(**OPTIONS)
def flag_tiles(data, gdq, dropped, n_differences, gain, read_noise, rule, network, start, stop):
    """Set JUMP (and MARK) in `gdq` for pixels start to stop: iterative or one-pass rule.

    dropped : (n_ints, n_groups), groups that no pixel can use; n_differences : those between two other groups, which
    `network` sorts if it has comparators.
    """
    n_ints, n_groups, _ = data.shape
    n = n_ints * (n_groups - 1)
    networked = network.shape[0] > 0
    sized = networked or not rule.iterate
    sizes = np.empty((n_differences if sized else 1, TILE), np.float32)
    moments = np.empty((4, TILE), np.float32)
    unsettled = np.empty(TILE, np.uint8)
    hard = np.empty(TILE, np.uint8)
    diffs = np.empty(n)
    scratch = np.empty((2, n))
    found = np.empty(n, np.uint8)
    for p in range(start, stop, TILE):
        width = min(TILE, stop - p)
        _hard_by_flag(gdq, dropped, p, width, hard)
        if sized and n_differences > 0:
            _difference_rows(data, dropped, gain, p, width, rule.iterate, sizes, hard)
            n_unsettled = TILE
            if not rule.iterate:
                _take_moments(sizes, n_differences, width, moments)
                n_unsettled = _unsettled_by_moments(
                    moments, n_differences, gain, read_noise, p, width, rule, hard, unsettled
                )
            if networked and n_unsettled > _FEW_UNSETTLED:
                sort_tile(sizes, network)
                _hard_by_excess(sizes, n_differences, gain, read_noise, p, width, rule, hard)
            else:
                for c in range(width):
                    hard[c] |= unsettled[c]
        else:
            hard[:] = 1
        for c in range(width):
            if hard[c]:
                _flag_hard_pixel(data, gdq, p + c, gain, read_noise, rule, diffs, found, scratch)


@njit(**OPTIONS)
def _flag_hard_pixel(data, gdq, p, gain, read_noise, rule, diffs, found, scratch):
    n = diffs.size
    variance = difference_variance(gain, read_noise, p, rule.n_frames)
    differences(data, gdq, p, gain[p], diffs)
    found[:] = 0
    if rule.iterate:
        flag_iteratively(diffs, n, variance, rule, found, scratch[0], scratch[1])
    else:
        flag_in_one_pass(diffs, n, variance, rule, found, scratch[0])
    if set_jumps(gdq, p, found) and rule.neighbors:
        mark_for_neighbors(gdq, p, diffs, variance, rule, scratch[0])


@njit(**OPTIONS)
def _hard_by_flag(gdq, dropped, p, width, hard):
    """Make hard what has a flag, other than those by which a dropped group is not used."""
    hard[:] = 0
    for i in range(gdq.shape[0]):
        for g in range(gdq.shape[1]):
            row = gdq[i, g, p : p + width]
            asked = np.uint8(~UNUSABLE & 0xFF) if dropped[i, g] else np.uint8(0xFF)
            for c in range(width):
                hard[c] |= row[c] & asked


@njit(**OPTIONS)
def _difference_rows(data, dropped, gain, p, width, absolute, out, hard):
    """Fill the rows of `out` with the differences (or their sizes) of a tile, in electrons; NaN makes a pixel hard.

    Differences from or to a dropped group are left out.
    """
    last = np.empty(TILE, np.float32)
    scale = gain[p : p + width]
    k = 0
    for i in range(data.shape[0]):
        first = data[i, 0, p : p + width]
        for c in range(width):
            last[c] = first[c] * scale[c]
        for g in range(1, data.shape[1]):
            row = data[i, g, p : p + width]
            if dropped[i, g] or dropped[i, g - 1]:
                for c in range(width):
                    last[c] = row[c] * scale[c]
                continue
            to = out[k]
            for c in range(width):
                this = row[c] * scale[c]
                to[c] = this - last[c]
                last[c] = this
            for c in range(width):
                hard[c] |= np.uint8(to[c] != to[c])
            if absolute:
                for c in range(width):
                    to[c] = abs(to[c])
            k += 1


@njit(**OPTIONS)
def _take_moments(differences, n, width, moments):
    """Fill `moments`: mean and variance of the differences of a tile, smallest and largest of them.

    Summed less the first one. What roundings may have taken off the variance is added to it.
    """
    total, squares, smallest, largest = moments[0], moments[1], moments[2], moments[3]
    moments[:] = 0
    origin = differences[0]
    for k in range(1, n):
        row = differences[k]
        for c in range(width):
            value = row[c] - origin[c]
            total[c] += value
            squares[c] += value * value
        for c in range(width):
            value = row[c] - origin[c]
            smallest[c] = value if value < smallest[c] else smallest[c]
            largest[c] = value if value > largest[c] else largest[c]
    count = np.float32(n)
    for c in range(width):
        mean = total[c] / count
        squares[c] = squares[c] / count - mean * mean + np.float32(_ROUNDING) * squares[c]
        total[c] = mean + origin[c]
        smallest[c] += origin[c]
        largest[c] += origin[c]


@njit(**OPTIONS)
def _unsettled_by_moments(moments, n, gain, read_noise, p, width, rule, hard, unsettled):
    """Note what may exceed the threshold, of pixels that are not hard, and return how many do.

    The median lies within one deviation of the mean: no difference is further from it than from the mean by more than
    that, and the noise is that of a median which is as much nearer to zero.
    """
    limit = np.float32(rule.threshold_sigma * _STRICTER)
    number = 0
    for c in range(width):
        mean, deviation = moments[0, c], np.sqrt(max(moments[1, c], np.float32(0)))
        noise = read_noise[p + c] * gain[p + c]
        variance = max(abs(mean) - deviation, np.float32(0)) + noise * noise / np.float32(rule.n_frames)
        reach = max(moments[3, c] - mean, mean - moments[2, c]) + deviation
        calm = reach < limit * np.sqrt(variance) * np.float32(_STRICTER) and variance > 0
        unsettled[c] = not calm
        number += not calm and hard[c] == 0
    return number


@njit(**OPTIONS)
def _hard_by_excess(ordered, n, gain, read_noise, p, width, rule, hard):
    """Make hard what may exceed the threshold, from the sorted differences; of two, the smaller is the centre."""
    kept = n - 1 if rule.iterate and n >= 4 else n
    low = ordered[(kept - 1) // 2 if n > 2 or not rule.iterate else 0]
    high = ordered[kept // 2 if n > 2 or not rule.iterate else 0]
    limit = rule.threshold_sigma
    if rule.iterate and n < 4:
        limit = rule.three_threshold_sigma if n == 3 else rule.two_threshold_sigma
    limit = np.float32(limit * _STRICTER)
    smallest = ordered[0]
    largest = ordered[n - 1]
    second = ordered[max(n - 2, 0)]
    ties_matter = rule.iterate and n >= 4
    for c in range(width):
        median = np.float32(0.5) * (low[c] + high[c])
        noise = read_noise[p + c] * gain[p + c]
        sigma = np.sqrt(abs(median) + noise * noise / np.float32(rule.n_frames))
        excess = max(largest[c] - median, median - smallest[c])
        calm = excess < limit * sigma and sigma > 0
        if ties_matter and not second[c] < largest[c]:
            calm = False
        if not calm:
            hard[c] = 1
