"""Ordinary pixels of `small_hits`, a tile at a time: nothing in them exceeds the threshold. The rest goes one by one.

The tile's test works in float32 and leaves out what only raises the limit; see `_small_hits_nb` for the method.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._sorting_nb import OPTIONS, sort_tile
from detectorist.algorithms.ramps._small_hits_nb import JUMP, UNUSABLE, place_of_sigma, search_pixel, trim

#: Pixels side by side: 64 float32 are four cache lines.
TILE = 64
#: float32 sums may be off by so much of the threshold's square.
_STRICTER = 0.999


@njit(**OPTIONS)
def flag_tiles(data, gdq, used, picked, network, gain, read_noise, rule):
    """Set JUMP in `gdq`, arrays (n_ints, n_groups, n_pix); return in how many groups.

    used : differences that are searched, by their earlier group. picked : integrations that tell what is usual.
    """
    n_ints, _, n_pix = data.shape
    differences = np.zeros((used.size, n_ints, TILE), np.float32)
    x = np.empty((used.size, n_ints, TILE), np.float32)
    planes = np.empty((5, used.size, TILE), np.float32)
    ordered = np.empty((picked.size, TILE), np.float32)
    sums = np.empty((n_ints, TILE), np.float32)
    hard = np.empty(TILE, np.uint8)
    found = 0
    for p in range(0, n_pix, TILE):
        width = min(TILE, n_pix - p)
        _take_differences(data, gdq, used, p, width, differences, hard)
        _subtract_usual(differences, picked, network, ordered, planes[0], x)
        total = _invert(used, gain, read_noise, rule.n_frames, p, width, planes)
        _solve(x, planes, sums)
        share = _share_of_rates(sums, total, picked, network, ordered)
        _judge(x, planes, sums, share, np.float32(rule.threshold_sigma**2 * _STRICTER), hard)
        for c in range(width):
            if hard[c] and gain[p + c] > 0 and read_noise[p + c] > 0:
                read_variance = np.float64(read_noise[p + c]) ** 2 / rule.n_frames
                noise = (np.float64(gain[p + c]), read_variance)
                found += search_pixel(differences[:, :, c], used, gdq[:, :, p + c], noise, picked, network, rule)
    return found


@njit(**OPTIONS)
def _take_differences(data, gdq, used, p, width, differences, hard):
    """Fill differences[number, integration, pixel], NaN where a group is unusable or has a jump; hard: some are NaN."""
    hard[:] = 0
    last = np.empty(TILE, np.float32)
    for i in range(data.shape[0]):
        at = -1
        for m in range(used.size):
            if at != used[m]:
                at = used[m]
                row, flags = data[i, at, p : p + width], gdq[i, at, p : p + width]
                for c in range(width):
                    last[c] = np.float32(np.nan) if flags[c] & UNUSABLE else row[c]
            at += 1
            row, flags, to = data[i, at, p : p + width], gdq[i, at, p : p + width], differences[m, i]
            for c in range(width):
                this = np.float32(np.nan) if flags[c] & UNUSABLE else row[c]
                to[c] = np.float32(np.nan) if flags[c] & JUMP else this - last[c]
                last[c] = this
            for c in range(width):
                hard[c] |= np.uint8(to[c] != to[c])


@njit(**OPTIONS)
def _subtract_usual(differences, picked, network, ordered, usual, x):
    """Fill x with the differences less their trimmed mean over the integrations, kept in `usual`."""
    trimmed = trim(picked.size)
    share = np.float32(1 / (picked.size - 2 * trimmed))
    for m in range(x.shape[0]):
        for k in range(picked.size):
            ordered[k] = differences[m, picked[k]]
        sort_tile(ordered, network)
        mean = usual[m]
        mean[:] = 0
        for k in range(trimmed, picked.size - trimmed):
            row = ordered[k]
            for c in range(TILE):
                mean[c] += row[c]
        for c in range(TILE):
            mean[c] *= share
        for i in range(x.shape[1]):
            row, to = differences[m, i], x[m, i]
            for c in range(TILE):
                to[c] = row[c] - mean[c]


@njit(**OPTIONS)
def _invert(used, gain, read_noise, n_frames, p, width, planes):
    """Fill the planes: 1 factor forwards, 2 inverse pivot, 3 diagonal of the inverse of C, 4 C^-1 1, 0 back coupling.

    Returns 1 C^-1 1 of every pixel. See `_invert` of one pixel for the recursions.
    """
    n = used.size
    variance, factor, inverse, diagonal, ones = planes[0], planes[1], planes[2], planes[3], planes[4]
    coupling, total = np.zeros(TILE, np.float32), np.zeros(TILE, np.float32)
    backward = np.ones(TILE, np.float32)
    for c in range(width):
        read = np.float32(read_noise[p + c] * read_noise[p + c] / n_frames)
        coupling[c] = np.float32(-0.5) * read
        for m in range(n):
            variance[m, c] = max(variance[m, c], np.float32(0)) / gain[p + c] + read
    variance[:, width:] = 1
    for m in range(n):
        tied = np.float32(m > 0 and used[m] - used[m - 1] == 1)
        for c in range(TILE):
            factor[m, c] = tied * coupling[c] * inverse[m - 1, c] if m else np.float32(0)
            inverse[m, c] = np.float32(1) / (variance[m, c] - factor[m, c] * coupling[c])
            ones[m, c] = np.float32(1) - (factor[m, c] * ones[m - 1, c] if m else np.float32(0))
    for m in range(n - 1, -1, -1):
        tied = np.float32(m < n - 1 and used[min(m + 1, n - 1)] - used[m] == 1)
        following = min(m + 1, n - 1)
        for c in range(TILE):
            back = tied * coupling[c]
            backward[c] = variance[m, c] - back * back / backward[c]
            diagonal[m, c] = np.float32(1) / (np.float32(1) / inverse[m, c] + backward[c] - variance[m, c])
            ones[m, c] = (ones[m, c] - back * ones[following, c]) * inverse[m, c]
            total[c] += ones[m, c]
            variance[m, c] = back
    return total


@njit(**OPTIONS)
def _solve(x, planes, sums):
    """Put C^-1 x in the place of x, and fill 1 C^-1 x of every integration."""
    back, factor, inverse, ones = planes[0], planes[1], planes[2], planes[4]
    n, n_ints, _ = x.shape
    for i in range(n_ints):
        to = sums[i]
        to[:] = 0
        for m in range(n):
            row, w = x[m, i], ones[m]
            for c in range(TILE):
                to[c] += w[c] * row[c]
        for m in range(1, n):
            row, last, f = x[m, i], x[m - 1, i], factor[m]
            for c in range(TILE):
                row[c] -= f[c] * last[c]
        for m in range(n - 1, -1, -1):
            row, after, b, r = x[m, i], x[min(m + 1, n - 1), i], back[m], inverse[m]
            for c in range(TILE):
                row[c] = (row[c] - b[c] * after[c]) * r[c]


@njit(**OPTIONS)
def _share_of_rates(sums, total, picked, network, ordered):
    """Return tau^2 / (1 + tau^2 1 C^-1 1), with tau^2 the variance of rates beyond their noise."""
    for k in range(picked.size):
        row, to = sums[picked[k]], ordered[k]
        for c in range(TILE):
            to[c] = abs(row[c])
    sort_tile(ordered, network)
    size = ordered[place_of_sigma(picked.size)]
    share = np.empty(TILE, np.float32)
    for c in range(TILE):
        tau2 = max(size[c] * size[c] / (total[c] * total[c]) - np.float32(1) / total[c], np.float32(0))
        share[c] = tau2 / (np.float32(1) + tau2 * total[c])
    return share


@njit(**OPTIONS)
def _judge(solved, planes, sums, share, limit, hard):
    """Make hard what may hold a hit: some difference explains more than `limit` of chi squared."""
    diagonal, ones = planes[3], planes[4]
    weight = np.empty(TILE, np.float32)
    least = np.empty(TILE, np.float32)
    for m in range(solved.shape[0]):
        for c in range(TILE):
            weight[c] = share[c] * ones[m, c]
            least[c] = limit * (diagonal[m, c] - weight[c] * ones[m, c])
        for i in range(solved.shape[1]):
            row, rate = solved[m, i], sums[i]
            for c in range(TILE):
                gain = row[c] - weight[c] * rate[c]
                hard[c] |= np.uint8(gain > 0) & np.uint8(gain * gain > least[c])
