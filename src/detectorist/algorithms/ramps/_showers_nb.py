"""Compiled loop of `showers`: the excess of a group over the usual rise of blocks of pixels."""

from __future__ import annotations

import numpy as np
from numba import njit

#: A pixel says no more than CLIP_SIGMA, and nothing beyond HIT_SIGMA: footprints of ordinary cosmic rays must not make
#: a shower, and one that is bright in its middle is found by what surrounds that.
CLIP_SIGMA, HIT_SIGMA = 1.5, 4.0


@njit(cache=True, nogil=True)
def usual_rise(rise, read_variance, gain):
    """Return the mean of the differences that lie within HIT_SIGMA of the mean of all; NaN for fewer than two."""
    total, number = 0.0, 0
    for value in rise:
        if np.isfinite(value):
            total += value
            number += 1
    if number < 2:
        return np.nan
    mean = total / number
    reach = HIT_SIGMA * np.sqrt(read_variance + max(mean, 0.0) / gain)
    total, number = 0.0, 0
    for value in rise:
        if abs(value - mean) < reach:
            total += value
            number += 1
    return total / number if number > 1 else np.nan


@njit(cache=True, nogil=True)
def sum_excess(ramp, flags, bad, usable, read_variance, gain, size, total, number, weight, usual):
    """Add up, block by block, the clipped excess of every difference over the usual one of its pixel.

    ramp : (n_groups, ny, nx) float32, DN. flags : (n_groups, ny, nx) uint8. bad : flags whose samples do not count.
    usable : (ny, nx) bool. read_variance : DN^2 of a difference. gain : e-/DN.
    size : pixels along the side of a block. Written, and 0 before:
    total : (n_groups - 1, n_blocks_y, n_blocks_x), in sigma of a pixel. number : same shape, pixels behind it.
    weight : same shape, their sigmas per DN: what an offset of one DN adds to `total`.
    usual : (n_blocks_y, n_blocks_x), mean rise of the block's pixels, DN per group.
    """
    n_groups, ny, nx = ramp.shape
    rise = np.empty(n_groups - 1)
    members = np.zeros(usual.shape, np.int64)
    for y in range(ny):
        by = y // size
        for x in range(nx):
            if not usable[y, x]:
                continue
            for g in range(n_groups - 1):
                sound = (flags[g, y, x] | flags[g + 1, y, x]) & bad == 0
                rise[g] = ramp[g + 1, y, x] - ramp[g, y, x] if sound else np.nan
            mean = usual_rise(rise, read_variance, gain)
            if not np.isfinite(mean):
                continue
            bx = x // size
            scale = 1 / np.sqrt(read_variance + max(mean, 0.0) / gain)
            usual[by, bx] += mean
            members[by, bx] += 1
            for g in range(n_groups - 1):
                excess = (rise[g] - mean) * scale
                if abs(excess) < HIT_SIGMA:
                    total[g, by, bx] += min(max(excess, -CLIP_SIGMA), CLIP_SIGMA)
                    number[g, by, bx] += 1
                    weight[g, by, bx] += scale
    for by in range(usual.shape[0]):
        for bx in range(usual.shape[1]):
            if members[by, bx]:
                usual[by, bx] /= members[by, bx]
