"""Saturation in ramps: where each pixel saturates first, spread to its neighbours, and written to the group flags.

A pixel that saturated stays saturated: one number per pixel, the first saturated group, stands for all planes, and
the growth of every group by a box is one minimum filter of that number.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS
from detectorist.engine.flags import AD_FLOOR, DO_NOT_USE, SATURATED, UNUSABLE


@njit(**OPTIONS)
def first_saturated_group(ramp, threshold, flags, first, floor, start, stop):
    """Fill `first` (ny, nx) with the first group at or above the threshold, n_groups for none, in rows start to stop.

    Also flags groups at or below 0, which the converter cannot have seen, as AD_FLOOR and DO_NOT_USE, and notes the
    pixels in `floor`.
    """
    n_groups = ramp.shape[0]
    for y in range(start, stop):
        to = first[y]
        limit = threshold[y]
        to[:] = n_groups
        for g in range(n_groups - 1, -1, -1):
            row = ramp[g, y]
            flag = flags[g, y]
            for x in range(to.size):
                to[x] = np.uint16(g) if row[x] >= limit[x] else to[x]
            for x in range(to.size):
                low = np.uint8(AD_FLOOR | DO_NOT_USE) if row[x] <= 0 else np.uint8(0)
                flag[x] |= low
                floor[y, x] |= low


@njit(**OPTIONS)
def box_minimum(image, radius, out, start, stop):
    """Fill rows start to stop of `out` with the minimum of `image` in a box of 2 radius + 1, smaller at the edges."""
    ny, nx = image.shape
    column = np.empty(nx, image.dtype)
    for y in range(start, stop):
        column[:] = image[y]
        for other in range(max(0, y - radius), min(ny, y + radius + 1)):
            row = image[other]
            for x in range(nx):
                column[x] = min(column[x], row[x])
        to = out[y]
        to[:] = column
        for shift in range(1, min(radius, nx - 1) + 1):
            for x in range(shift, nx):
                to[x] = min(to[x], column[x - shift])
            for x in range(nx - shift):
                to[x] = min(to[x], column[x + shift])


@njit(**OPTIONS)
def write_saturation(first, flags, start, stop):
    """Set SATURATED from the first saturated group on."""
    n_groups = flags.shape[0]
    for y in range(start, stop):
        row = first[y]
        earliest = np.uint16(n_groups)
        for x in range(row.size):
            earliest = min(earliest, row[x])
        for g in range(np.int64(earliest), n_groups):
            flag = flags[g, y]
            for x in range(row.size):
                flag[x] |= np.uint8(SATURATED) if row[x] <= g else np.uint8(0)


@njit(**OPTIONS)
def flag_hidden_saturation(ramp, threshold, unchecked, first, dilution, radius, flags):
    """Flag the group before saturation as DO_NOT_USE, and the pixels around, where some of its frames were saturated.

    The mean of frames that rise to the threshold lies below it by `dilution`, the mean number of the frames over the
    last (1 for a single frame). Only the group right before the first saturated one can be concerned. All are found
    before any flag is set, since they must not count as unusable for each other.
    """
    n_groups, ny, nx = ramp.shape
    found_y = np.empty(1024, np.int64)
    found_x = np.empty(1024, np.int64)
    n = 0
    for y in range(ny):
        for x in range(nx):
            g = np.int64(first[y, x]) - 1
            if g < 0 or g >= n_groups - 1 or dilution[g] == 1.0 or flags[g, y, x] & UNUSABLE:
                continue
            factor = 1.0 if unchecked[y, x] else dilution[g]
            if np.float64(ramp[g, y, x]) >= np.float64(threshold[y, x]) * factor:
                if n == found_y.size:
                    found_y = np.append(found_y, np.empty(n, np.int64))
                    found_x = np.append(found_x, np.empty(n, np.int64))
                found_y[n] = y
                found_x[n] = x
                n += 1
    for k in range(n):
        g = np.int64(first[found_y[k], found_x[k]]) - 1
        for y in range(max(0, found_y[k] - radius), min(ny, found_y[k] + radius + 1)):
            for x in range(max(0, found_x[k] - radius), min(nx, found_x[k] + radius + 1)):
                flags[g, y, x] |= DO_NOT_USE


@njit(**OPTIONS)
def flag_second_group(ramp, threshold, bias, first, mean_first, last_third, frames_second, flags, start, stop):
    """Flag a second group whose last frame saturated: the third is saturated, though the first does not predict it.

    Predicted in float64, compared in float32, as numpy promotes the types in stock.
    """
    for y in range(start, stop):
        for x in range(first.shape[1]):
            if first[y, x] != 2:
                continue
            low = ramp[0, y, x]
            limit = threshold[y, x]
            offset = bias[y, x]
            predicted = np.float64(low - offset) / mean_first * last_third + np.float64(offset)
            rise = ramp[1, y, x] - low
            if predicted < np.float64(limit) and rise > (limit - low) / np.float32(frames_second):
                flags[1, y, x] |= DO_NOT_USE
