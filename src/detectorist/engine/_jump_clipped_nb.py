"""Jumps by sigma clipping of every difference across many integrations, a tile of pixels at a time.

Data are (n_ints, n_groups, n_pix). A difference of a pixel is "calm" when no integration can be clipped; moments of all
integrations, taken side by side for a tile, settle most, and a look at the column itself nearly all others.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS, TILE
from detectorist.engine._jump_pixel_nb import (
    clip_bounds,
    difference_variance,
    differences,
    electrons,
    mark_for_neighbors,
)
from detectorist.engine.flags import JUMP, UNUSABLE

#: The vectorised test works in float32: it must be stricter than its rounding errors. The sums add n^2 * 2.4e-7.
_STRICTER = 0.99
#: The same for float64.
_STRICTER_COLUMN = 1.0 - 1e-6
#: In deviations: how far the median of a calm column may lie from its mean.
_MEDIAN_REACH = 0.3


@njit(**OPTIONS)
def flag_tiles_clipped(data, gdq, gain, read_noise, rule, start, stop):
    """Set JUMP (and MARK) in `gdq` for pixels start to stop: sigma clipping of every group across the integrations."""
    n_ints, n_groups, _ = data.shape
    n_diffs = n_groups - 1
    block = np.empty((n_diffs, n_ints, TILE), np.float32)
    moments = np.empty((4, n_diffs, TILE), np.float32)
    flagged = np.empty((2, n_diffs, TILE), np.uint8)
    jumpy = np.empty(TILE, np.uint8)
    spoiled = np.empty(TILE, np.uint8)
    column = np.empty(n_ints)
    diffs = np.empty(n_ints * n_diffs)
    scratch = np.empty(n_ints * n_diffs)
    for p in range(start, stop, TILE):
        width = min(TILE, stop - p)
        _difference_block(data, gain, p, width, block)
        _group_moments(block, width, moments)
        _note_flags(gdq, p, width, flagged, jumpy, spoiled)
        for g in range(n_diffs):
            for c in range(width):
                if flagged[0, g, c]:
                    if flagged[1, g, c]:
                        continue
                    _flagged_column(data, gdq, gain, p + c, g, column)
                elif _is_calm(moments[:, g, c], n_ints, rule.threshold_sigma):
                    continue
                else:
                    column[:] = block[g, :, c]
                jumpy[c] |= _clip_column(gdq, p + c, g, rule.threshold_sigma, column, scratch)
        if rule.neighbors:
            _mark_tile(data, gdq, gain, read_noise, p, width, rule, block, jumpy, spoiled, diffs, scratch)


@njit(**OPTIONS)
def _mark_tile(data, gdq, gain, read_noise, p, width, rule, block, jumpy, spoiled, diffs, scratch):
    n_diffs, n_ints, _ = block.shape
    for c in range(width):
        if jumpy[c]:
            if spoiled[c]:
                differences(data, gdq, p + c, gain[p + c], diffs)
            else:
                diffs.reshape(n_ints, n_diffs)[:] = block[:, :, c].T
            variance = difference_variance(gain, read_noise, p + c, rule.n_frames)
            mark_for_neighbors(gdq, p + c, diffs, variance, rule, scratch)


@njit(**OPTIONS)
def _difference_block(data, gain, p, width, block):
    """Fill block[g, i] with the difference of groups g + 1 and g in electrons, whatever their flags."""
    n_ints, n_groups, _ = data.shape
    scale = gain[p : p + width]
    last = np.empty(TILE, np.float32)
    for i in range(n_ints):
        first = data[i, 0, p : p + width]
        for c in range(width):
            last[c] = first[c] * scale[c]
        for g in range(n_groups - 1):
            row = data[i, g + 1, p : p + width]
            to = block[g, i]
            for c in range(width):
                this = row[c] * scale[c]
                to[c] = this - last[c]
                last[c] = this


@njit(**OPTIONS)
def _group_moments(block, width, moments):
    """Sum, sum of squares, smallest and largest of every difference over the integrations, less the first one.

    Less the first one, since float32 sums of squares of a bright star's differences would drown the scatter.
    """
    moments[:2] = 0
    moments[2] = np.inf
    moments[3] = -np.inf
    for g in range(block.shape[0]):
        total = moments[0, g]
        squares = moments[1, g]
        smallest = moments[2, g]
        largest = moments[3, g]
        origin = block[g, 0]
        for i in range(block.shape[1]):
            row = block[g, i]
            for c in range(width):
                value = row[c] - origin[c]
                total[c] += value
                squares[c] += value * value
                smallest[c] = value if value < smallest[c] else smallest[c]
                largest[c] = value if value > largest[c] else largest[c]


@njit(**OPTIONS)
def _note_flags(gdq, p, width, flagged, jumpy, spoiled):
    """Note pixels with an old JUMP or anything unusable, and differences unusable in some integrations, or in all."""
    n_ints, n_groups, _ = gdq.shape
    flagged[0] = 0
    flagged[1] = 1
    jumpy[:] = 0
    spoiled[:] = 0
    for i in range(n_ints):
        low = gdq[i, 0, p : p + width]
        for c in range(width):
            spoiled[c] |= low[c] & UNUSABLE
        for g in range(n_groups - 1):
            high = gdq[i, g + 1, p : p + width]
            some = flagged[0, g]
            every = flagged[1, g]
            for c in range(width):
                unusable = np.uint8(((low[c] | high[c]) & UNUSABLE) != 0)
                some[c] |= unusable
                every[c] &= unusable
            for c in range(width):
                jumpy[c] |= high[c] & JUMP
                spoiled[c] |= high[c] & UNUSABLE
            low = high


@njit(**OPTIONS)
def _is_calm(moments, n_ints, threshold):
    """Tell that clipping cannot touch this group: every value within (threshold - 1) deviations of the mean.

    The median lies within one deviation of the mean, so all values are within `threshold` deviations of the median.
    """
    n = np.float32(n_ints)
    mean = moments[0] / n
    variance = moments[1] / n - mean * mean
    reach = max(moments[3] - mean, mean - moments[2])
    limit = np.float32(_calm_limit(threshold, n_ints))
    return limit > 0 and reach * reach < limit * variance


@njit(**OPTIONS)
def _calm_limit(threshold, n_ints):
    """Return the square of the reach, in variances, below which a group is calm, less the rounding of float32 sums."""
    if threshold <= 1.0:
        return 0.0
    return (threshold - 1.0) ** 2 * (_STRICTER - 2.4e-7 * n_ints * n_ints)


@njit(**OPTIONS)
def _is_calm_column(column, threshold):
    """Tell the same with the column at hand.

    Where less than half of the values lie beyond 0.3 deviations on either side of the mean, the median is within.
    """
    n = column.size
    mean = 0.0
    for i in range(n):
        mean += column[i]
    mean /= n
    variance = 0.0
    reach = 0.0
    for i in range(n):
        away = column[i] - mean
        variance += away * away
        reach = max(reach, abs(away))
    deviation = np.sqrt(variance / n)
    if not reach < (threshold - _MEDIAN_REACH) * deviation * _STRICTER_COLUMN:  # NaN: not calm
        return False
    below = 0
    above = 0
    for i in range(n):
        below += column[i] < mean - _MEDIAN_REACH * deviation
        above += column[i] > mean + _MEDIAN_REACH * deviation
    return 2 * below < n and 2 * above < n


@njit(**OPTIONS)
def _flagged_column(data, gdq, gain, p, g, column):
    """Fill `column` with one difference of all integrations, NaN where unusable."""
    for i in range(column.size):
        high = electrons(data, gdq, i, g + 1, p, gain[p])
        column[i] = np.float64(high - electrons(data, gdq, i, g, p, gain[p]))


@njit(**OPTIONS)
def _clip_column(gdq, p, g, threshold, column, scratch):
    """Clip one difference of one pixel across the integrations; return whether anything was flagged."""
    if _is_calm_column(column, threshold):
        return False
    low, high = clip_bounds(column, column.size, threshold, scratch)
    found = False
    for i in range(column.size):
        if np.isfinite(column[i]) and (column[i] < low or column[i] > high):
            gdq[i, g + 1, p] |= JUMP
            found = True
    return found
