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
def take_differences(ramp, flags, bad, y, rise):
    """Fill `rise`, (n_groups - 1, nx), with the differences of a row of pixels, NaN where a sample does not count."""
    for g in range(len(rise)):
        for x in range(rise.shape[1]):
            sound = (flags[g, y, x] | flags[g + 1, y, x]) & bad == 0
            rise[g, x] = ramp[g + 1, y, x] - ramp[g, y, x] if sound else np.float32(np.nan)


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
    mean, scale, room = np.empty(nx), np.empty(nx), np.empty((3, nx))
    members = np.zeros(usual.shape, np.int64)
    sums = np.zeros((3, n_groups - 1, usual.shape[1]))  # of a row of blocks: total, number, weight
    for y in range(ny):  # row by row, as they lie in memory
        by = y // size
        take_differences(ramp, flags, bad, y, rise)
        usual_rises(rise, read_variance, gain, mean, room[0], room[1])
        for x in range(nx):
            scale[x] = np.nan
            if usable[y, x] and np.isfinite(mean[x]):
                usual[by, x // size] += mean[x]
                members[by, x // size] += 1
                scale[x] = 1 / np.sqrt(read_variance + max(mean[x], 0.0) / gain)
        add_excess(rise, mean, scale, size, room, sums)
        if y % size == size - 1 or y == ny - 1:
            for g in range(n_groups - 1):
                for bx in range(usual.shape[1]):
                    total[g, by, bx], number[g, by, bx], weight[g, by, bx] = (
                        sums[0, g, bx],
                        sums[1, g, bx],
                        sums[2, g, bx],
                    )
            sums[:] = 0.0
    for by in range(usual.shape[0]):
        for bx in range(usual.shape[1]):
            if members[by, bx]:
                usual[by, bx] /= members[by, bx]


@njit(cache=True, nogil=True)
def add_excess(rise, mean, scale, size, room, sums):
    """Add the excess of a row of pixels to the sums of their blocks, (3, n_groups - 1, n_blocks_x), pixel by pixel.

    scale : (nx,) sigmas per DN, NaN for a pixel that does not count. room : (3, nx) to work in.
    """
    clipped, known, scaled = room[0], room[1], room[2]
    nx = scale.size
    for g in range(len(rise)):
        for x in range(nx):
            excess = (rise[g, x] - mean[x]) * scale[x]
            counts = abs(excess) < HIT_SIGMA
            within = CLIP_SIGMA if excess > CLIP_SIGMA else -CLIP_SIGMA if excess < -CLIP_SIGMA else excess
            clipped[x] = within if counts else 0.0
            known[x] = 1.0 if counts else 0.0
            scaled[x] = scale[x] if counts else 0.0
        for bx in range(sums.shape[2]):
            total, number, weight = sums[0, g, bx], sums[1, g, bx], sums[2, g, bx]
            for x in range(bx * size, min((bx + 1) * size, nx)):
                total += clipped[x]
                number += known[x]
                weight += scaled[x]
            sums[0, g, bx], sums[1, g, bx], sums[2, g, bx] = total, number, weight
