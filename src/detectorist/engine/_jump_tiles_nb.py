"""Jumps of a tile of pixels: a vectorised test that settles the ordinary ones, and a scalar routine for the
rest.

Data are (n_ints, n_groups, n_pix), pixels of the image in one row: neighbours matter only later. A pixel goes
to the scalar routine ("hard") when any group has a flag, a difference is NaN, the largest excess comes within
0.02 % of the threshold, or the largest |difference| is not alone (stock leaves out all equal ones).
Everything else cannot have a jump.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS, TILE
from detectorist.engine._jump_pixel_nb import (
    clip_bounds,
    differences,
    electrons,
    flag_in_one_pass,
    flag_iteratively,
    mark_for_neighbors,
    set_jumps,
)
from detectorist.engine._sorting_nb import sort_tile
from detectorist.engine.flags import JUMP, UNUSABLE

#: The vectorised test works in float32 and with another order of operations: it must be stricter than its
#: rounding errors.
_STRICTER = 0.9998
#: The same for second moments in float32, per group; the rounding of the sums adds n^2 * 2.4e-7 (see
#: `_calm_limit`).
_STRICTER_MOMENTS = 0.99


@njit(**OPTIONS)
def flag_tiles(data, gdq, gain, read_noise, rule, network, start, stop):
    """Set JUMP (and MARK) in `gdq` for pixels start to stop: iterative or one-pass rule."""
    n_ints, n_groups, _ = data.shape
    n = n_ints * (n_groups - 1)
    networked = network.shape[0] > 0
    sizes = np.empty((n if networked else 1, TILE), np.float32)
    hard = np.empty(TILE, np.uint8)
    diffs = np.empty(n)
    scratch = np.empty((2, n))
    found = np.empty(n, np.uint8)
    for p in range(start, stop, TILE):
        width = min(TILE, stop - p)
        _hard_by_flag(gdq, p, width, np.uint8(255), hard)
        if networked:
            _difference_rows(data, gain, p, width, rule.iterate, sizes, hard)
            sort_tile(sizes, network)
            _hard_by_excess(sizes, n, gain, read_noise, p, width, rule, hard)
        else:
            hard[:] = 1
        for c in range(width):
            if hard[c]:
                _flag_hard_pixel(data, gdq, p + c, gain, read_noise, rule, diffs, found, scratch)


@njit(**OPTIONS)
def _variance(gain, read_noise, p, n_frames):
    noise = read_noise[p] * gain[p]
    return np.float64(noise * noise) / n_frames


@njit(**OPTIONS)
def _flag_hard_pixel(data, gdq, p, gain, read_noise, rule, diffs, found, scratch):
    n = diffs.size
    variance = _variance(gain, read_noise, p, rule.n_frames)
    differences(data, gdq, p, gain[p], diffs)
    found[:] = 0
    if rule.iterate:
        flag_iteratively(diffs, n, variance, rule, found, scratch[0], scratch[1])
    else:
        flag_in_one_pass(diffs, n, variance, rule, found, scratch[0])
    if set_jumps(gdq, p, found) and rule.neighbors:
        mark_for_neighbors(gdq, p, diffs, variance, rule, scratch[0])


@njit(**OPTIONS)
def _hard_by_flag(gdq, p, width, bits, hard):
    hard[:] = 0
    for i in range(gdq.shape[0]):
        for g in range(gdq.shape[1]):
            row = gdq[i, g, p : p + width]
            for c in range(width):
                hard[c] |= row[c] & bits


@njit(**OPTIONS)
def _difference_rows(data, gain, p, width, absolute, out, hard):
    """Fill the rows of `out` with the differences (or their sizes) of a tile, in electrons; NaN makes a pixel hard."""
    last = np.empty(TILE, np.float32)
    scale = gain[p : p + width]
    k = 0
    for i in range(data.shape[0]):
        first = data[i, 0, p : p + width]
        for c in range(width):
            last[c] = first[c] * scale[c]
        for g in range(1, data.shape[1]):
            row = data[i, g, p : p + width]
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


@njit(**OPTIONS)
def flag_tiles_clipped(data, gdq, gain, read_noise, rule, start, stop):
    """Set JUMP (and MARK) in `gdq` for pixels start to stop: sigma clipping of every group across many integrations."""
    n_ints, n_groups, _ = data.shape
    n_diffs = n_groups - 1
    moments = np.empty((4, n_diffs, TILE), np.float32)
    flagged = np.empty((2, n_diffs, TILE), np.uint8)
    jumpy = np.empty(TILE, np.uint8)
    column = np.empty(n_ints)
    diffs = np.empty(n_ints * n_diffs)
    scratch = np.empty(n_ints * n_diffs)
    for p in range(start, stop, TILE):
        width = min(TILE, stop - p)
        _hard_by_flag(gdq, p, width, np.uint8(JUMP), jumpy)
        _group_moments(data, gdq, gain, p, width, moments, flagged)
        for g in range(n_diffs):
            for c in range(width):
                if not _is_calm(moments, flagged, g, c, n_ints, rule.threshold_sigma) and _clip_group(
                    data, gdq, gain, p + c, g, rule.threshold_sigma, column, scratch
                ):
                    jumpy[c] = 1
        if rule.neighbors:
            for c in range(width):
                if jumpy[c]:
                    variance = _variance(gain, read_noise, p + c, rule.n_frames)
                    differences(data, gdq, p + c, gain[p + c], diffs)
                    mark_for_neighbors(gdq, p + c, diffs, variance, rule, scratch)


@njit(**OPTIONS)
def _group_moments(data, gdq, gain, p, width, moments, flagged):
    """Sum, sum of squares, minimum and maximum of every difference over the integrations, relative to the
    first one.

    Relative, since float32 sums of squares of a bright star's differences would drown the scatter. `flagged`
    tells whether any, and whether every, integration has an unusable group in the difference.
    """
    n_ints, n_groups, _ = data.shape
    moments[:2] = 0
    moments[2] = np.inf
    moments[3] = -np.inf
    flagged[0] = 0
    flagged[1] = 1
    zero = np.empty((n_groups - 1, TILE), np.float32)
    scale = gain[p : p + width]
    for i in range(n_ints):
        for g in range(n_groups - 1):
            _note_flags(gdq[i, g, p : p + width], gdq[i, g + 1, p : p + width], flagged[0, g], flagged[1, g])
            low = data[i, g, p : p + width]
            high = data[i, g + 1, p : p + width]
            origin = zero[g]
            if i == 0:
                for c in range(width):
                    origin[c] = high[c] * scale[c] - low[c] * scale[c]
            _add_moments(low, high, scale, origin, moments[0, g], moments[1, g], moments[2, g], moments[3, g])


@njit(**OPTIONS)
def _note_flags(low, high, some, every):
    for c in range(low.size):
        unusable = np.uint8(((low[c] | high[c]) & UNUSABLE) != 0)
        some[c] |= unusable
        every[c] &= unusable


@njit(**OPTIONS)
def _add_moments(low, high, scale, origin, total, squares, smallest, largest):
    for c in range(low.size):
        value = high[c] * scale[c] - low[c] * scale[c] - origin[c]
        total[c] += value
        squares[c] += value * value
        smallest[c] = value if value < smallest[c] else smallest[c]
        largest[c] = value if value > largest[c] else largest[c]


@njit(**OPTIONS)
def _is_calm(moments, flagged, g, c, n_ints, threshold):
    """Tell that clipping cannot touch this group: every value within (threshold - 1) deviations of the mean.

    The median lies within one deviation of the mean, so all values are within `threshold` deviations of the
    median. A group that is unusable in every integration has no value to clip.
    """
    if flagged[1, g, c]:
        return True
    if flagged[0, g, c]:
        return False
    n = np.float32(n_ints)
    mean = moments[0, g, c] / n
    variance = moments[1, g, c] / n - mean * mean
    reach = max(moments[3, g, c] - mean, mean - moments[2, g, c])
    limit = np.float32(_calm_limit(threshold, n_ints))
    return limit > 0 and reach * reach < limit * variance


@njit(**OPTIONS)
def _calm_limit(threshold, n_ints):
    """Return the square of the reach, in variances, below which a group is calm, less the rounding of float32 sums."""
    if threshold <= 1.0:
        return 0.0
    return (threshold - 1.0) ** 2 * (_STRICTER_MOMENTS - 2.4e-7 * n_ints * n_ints)


@njit(**OPTIONS)
def _clip_group(data, gdq, gain, p, g, threshold, column, scratch):
    """Clip one group of one pixel across the integrations; return whether anything was flagged."""
    n_ints = data.shape[0]
    for i in range(n_ints):
        high = electrons(data, gdq, i, g + 1, p, gain[p])
        column[i] = np.float64(high - electrons(data, gdq, i, g, p, gain[p]))
    low, high = clip_bounds(column, n_ints, threshold, scratch)
    found = False
    for i in range(n_ints):
        if np.isfinite(column[i]) and (column[i] < low or column[i] > high):
            gdq[i, g + 1, p] |= JUMP
            found = True
    return found
