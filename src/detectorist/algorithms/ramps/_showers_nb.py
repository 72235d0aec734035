"""Compiled loop of `showers`: the excess of a group over the usual rise of blocks of pixels.

Innermost loops are without branches, so that they are compiled to vector instructions; each sum keeps its order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: A pixel says no more than CLIP_SIGMA, and nothing beyond HIT_SIGMA: footprints of ordinary cosmic rays must not make
#: a shower, and one that is bright in its middle is found by what surrounds that.
CLIP_SIGMA, HIT_SIGMA = 1.5, 4.0


@njit(cache=True, nogil=True)
def usual_rises(rise, read_variance, gain, mean, number, reach):
    """Fill `mean` with the mean of the differences within HIT_SIGMA of the mean of all; NaN for fewer than two.

    rise : (n_groups - 1, nx) of a row of pixels, NaN where unknown. mean, number, reach : (nx,), written.
    """
    n_differences, nx = rise.shape
    total = np.zeros(nx)
    mean[:], number[:] = 0.0, 0.0
    for g in range(n_differences):
        for x in range(nx):
            known = abs(rise[g, x]) < np.inf
            mean[x] += rise[g, x] if known else 0.0
            number[x] += 1.0 if known else 0.0
    for x in range(nx):
        mean[x] = mean[x] / number[x] if number[x] > 1 else np.nan
        reach[x] = HIT_SIGMA * np.sqrt(read_variance + max(mean[x], 0.0) / gain)
    number[:] = 0.0
    for g in range(n_differences):
        for x in range(nx):
            near = abs(rise[g, x] - mean[x]) < reach[x]
            total[x] += rise[g, x] if near else 0.0
            number[x] += 1.0 if near else 0.0
    for x in range(nx):
        mean[x] = total[x] / number[x] if number[x] > 1 else np.nan


@njit(cache=True, nogil=True)
def take_differences(ramp, flags, bad, y, rise, by_pixel):
    """Fill `rise`, (n_groups - 1, nx), and `by_pixel`, (nx, n_groups - 1), with the differences of a row of pixels.

    NaN where a sample does not count. By loops: numba takes seconds to compile what assigns arrays to slices.
    """
    for g in range(len(rise)):
        for x in range(len(by_pixel)):
            sound = (flags[g, y, x] | flags[g + 1, y, x]) & bad == 0
            rise[g, x] = ramp[g + 1, y, x] - ramp[g, y, x] if sound else np.float32(np.nan)
    for x in range(len(by_pixel)):
        for g in range(len(rise)):
            by_pixel[x, g] = rise[g, x]


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
    rise = np.empty((n_groups - 1, nx), np.float32)
    by_pixel = np.empty((nx, n_groups - 1), np.float32)
    mean, among, scale = np.empty(nx), np.empty(nx), np.empty(nx)
    members = np.zeros(usual.shape, np.int64)
    sums = np.zeros((3, usual.shape[1], n_groups - 1))  # of a row of blocks: total, number, weight
    for y in range(ny):  # row by row, as they lie in memory
        by = y // size
        take_differences(ramp, flags, bad, y, rise, by_pixel)
        usual_rises(rise, read_variance, gain, mean, among, scale)
        for x in range(nx):
            if not (usable[y, x] and np.isfinite(mean[x])):
                continue
            usual[by, x // size] += mean[x]
            members[by, x // size] += 1
            sigma = 1 / np.sqrt(read_variance + max(mean[x], 0.0) / gain)
            add_excess(by_pixel[x], mean[x], sigma, sums[0, x // size], sums[1, x // size], sums[2, x // size])
        if y % size == size - 1 or y == ny - 1:
            for bx in range(usual.shape[1]):
                for g in range(n_groups - 1):
                    total[g, by, bx], number[g, by, bx], weight[g, by, bx] = (
                        sums[0, bx, g],
                        sums[1, bx, g],
                        sums[2, bx, g],
                    )
            sums[:] = 0.0
    for by in range(usual.shape[0]):
        for bx in range(usual.shape[1]):
            if members[by, bx]:
                usual[by, bx] /= members[by, bx]


@njit(cache=True, nogil=True)
def add_excess(rise, mean, scale, total, number, weight):
    """Add the excess of the differences of a pixel to the sums of its block, all (n_groups - 1,)."""
    for g in range(len(rise)):
        excess = (rise[g] - mean) * scale
        counts = abs(excess) < HIT_SIGMA
        clipped = CLIP_SIGMA if excess > CLIP_SIGMA else -CLIP_SIGMA if excess < -CLIP_SIGMA else excess
        total[g] += clipped if counts else 0.0
        number[g] += 1.0 if counts else 0.0
        weight[g] += scale if counts else 0.0
