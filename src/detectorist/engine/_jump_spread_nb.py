"""What happens to the flags after the jumps are found: neighbours, later groups, and the tidying up."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS
from detectorist.engine._jump_pixel_nb import differences, median_difference
from detectorist.engine.flags import JUMP, MARK, UNUSABLE


@njit(**OPTIONS)
def count_jumps(gdq, start, stop):
    """Return how many groups of pixels start to stop have JUMP; flags are (n_ints, n_groups, n_pix)."""
    total = 0
    for i in range(gdq.shape[0]):
        for g in range(gdq.shape[1]):
            row = gdq[i, g, start:stop]
            here = 0
            for c in range(row.size):
                here += (row[c] & JUMP) != 0
            total += here
    return total


@njit(**OPTIONS)
def spread_to_neighbors(gdq, start, stop):
    """Set JUMP on the four neighbours of every MARK in rows start to stop, unless they are unusable.

    Flags are (n_ints, n_groups, ny, nx). Every row gathers from the rows around it and writes only itself, so
    that rows can be shared out among threads.
    """
    n_ints, n_groups, ny, nx = gdq.shape
    nothing = np.zeros(nx, np.uint8)
    for i in range(n_ints):
        for g in range(n_groups):
            plane = gdq[i, g]
            if not _has_mark(plane[max(start - 1, 0) : min(stop + 1, ny)].reshape(-1)):
                continue
            for y in range(start, stop):
                above = plane[y + 1] if y < ny - 1 else nothing
                below = plane[y - 1] if y > 0 else nothing
                if _has_mark(above) or _has_mark(below) or _has_mark(plane[y]):
                    _gather(plane[y], above, below)


@njit(**OPTIONS)
def _has_mark(flags):
    """Tell whether any of these has MARK: few groups have one, and few of their rows."""
    found = np.uint8(0)
    for k in range(flags.size):
        found |= flags[k]
    return found & MARK != 0


@njit(**OPTIONS)
def _gather(row, above, below):
    nx = row.size
    for x in range(nx):
        jump = np.uint8(((above[x] | below[x]) & MARK) >> 2)
        row[x] |= jump if (row[x] & UNUSABLE) == 0 else np.uint8(0)
    for x in range(1, nx):
        jump = np.uint8((row[x - 1] & MARK) >> 2)
        row[x] |= jump if (row[x] & UNUSABLE) == 0 else np.uint8(0)
    for x in range(nx - 1):
        jump = np.uint8((row[x + 1] & MARK) >> 2)
        row[x] |= jump if (row[x] & UNUSABLE) == 0 else np.uint8(0)


@njit(**OPTIONS)
def tidy(gdq, start, stop):
    """Remove every MARK, and JUMP from groups that are unusable anyway; flags are (n_ints, n_groups, n_pix)."""
    for i in range(gdq.shape[0]):
        for g in range(gdq.shape[1]):
            row = gdq[i, g, start:stop]
            for c in range(row.size):
                flags = row[c] & np.uint8(255 - MARK)
                row[c] = flags & np.uint8(255 - JUMP) if flags & UNUSABLE else flags


@njit(**OPTIONS)
def flag_after_jumps(data, gdq, gain, first_e, first_groups, second_e, second_groups, start, stop):
    """Set JUMP on the groups that follow a large jump, for either of two sizes in electrons, in pixels start
    to stop.

    The size is the difference less the median of all; the flags looked at include those of neighbours. At
    least one group of a ramp is left alone by the reach of n_groups - 2.
    """
    n_ints, n_groups, _ = data.shape
    n_diffs = n_groups - 1
    diffs = np.empty(n_ints * n_diffs)
    scratch = np.empty(n_ints * n_diffs)
    after = np.empty(n_groups, np.uint8)
    reach_first = min(first_groups, n_groups - 2)
    reach_second = min(second_groups, n_groups - 2)
    for p in range(start, stop):
        if not _has_jump(gdq, p):
            continue
        differences(data, gdq, p, gain[p], diffs)
        median = median_difference(diffs, diffs.size, scratch)
        for i in range(n_ints):
            after[:] = 0
            for g in range(1, n_groups):
                if gdq[i, g, p] & JUMP:
                    excess = diffs[i * n_diffs + g - 1] - median
                    if excess >= first_e:
                        after[g : g + reach_first + 1] = 1
                    if excess >= second_e:
                        after[g : g + reach_second + 1] = 1
            for g in range(n_groups):
                if after[g] and not gdq[i, g, p] & UNUSABLE:
                    gdq[i, g, p] |= JUMP


@njit(**OPTIONS)
def _has_jump(gdq, p):
    for i in range(gdq.shape[0]):
        for g in range(1, gdq.shape[1]):
            if gdq[i, g, p] & JUMP:
                return True
    return False
