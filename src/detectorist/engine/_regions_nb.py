"""Connected regions of a bit in a plane of flags, as runs along rows: the cost is that of the flagged pixels.

Pixels are connected with all eight neighbours. A region is a linked list of runs with its sums of coordinates, all
integer and so exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS, TILE

#: Columns of `Regions.stats`.
AREA, SUM_R, SUM_C, SUM_RR, SUM_RC, SUM_CC, R_LOW, R_HIGH, C_LOW, C_HIGH, N_RUNS = range(11)


class Regions(NamedTuple):
    """Runs (row, start, stop, next run of the region or -1), the first run of every region, and its statistics."""

    runs: np.ndarray  # int64, (n_runs, 4)
    first: np.ndarray  # int64, (n_regions,)
    stats: np.ndarray  # int64, (n_regions, 11); R_HIGH and C_HIGH are exclusive


@njit(**OPTIONS)
def find_regions(plane, before, bit, only_new):
    """Return the regions of pixels of `plane` (ny, nx; uint8) with `bit`, or only of those without it before."""
    runs = np.empty((1024, 4), np.int64)
    n_runs = 0
    n_above = 0  # runs of the row above
    for y in range(plane.shape[0]):
        start_of_row = n_runs
        runs, n_runs = _runs_of_row(plane[y], before[y], bit, only_new, y, runs, n_runs)
        _join(runs, start_of_row - n_above, start_of_row, n_runs)
        n_above = n_runs - start_of_row
    return _collect(runs[:n_runs])


@njit(**OPTIONS)
def _runs_of_row(row, before, bit, only_new, y, runs, n_runs):
    """Append the runs of one row; blocks without the bit, nearly all, are skipped by a vectorised test."""
    nx = row.size
    start = -1
    for low in range(0, nx, TILE):
        high = min(low + TILE, nx)
        if start < 0 and not _any(row[low:high], before[low:high], bit, only_new):
            continue
        for x in range(low, high):
            flagged = row[x] & bit and not (only_new and before[x] & bit)
            if flagged and start < 0:
                start = x
            elif start >= 0 and not flagged:
                runs = _append(runs, n_runs, y, start, x)
                n_runs += 1
                start = -1
    if start >= 0:
        runs = _append(runs, n_runs, y, start, nx)
        n_runs += 1
    return runs, n_runs


@njit(**OPTIONS)
def _any(row, before, bit, only_new):
    together = np.uint8(0)
    if only_new:
        for x in range(row.size):
            together |= row[x] & ~before[x]
    else:
        for x in range(row.size):
            together |= row[x]
    return together & bit


@njit(**OPTIONS)
def _append(runs, n_runs, y, start, stop):
    """Return `runs` with one more, in a larger array when it was full; column 3 is the parent in a forest of unions."""
    if n_runs == runs.shape[0]:
        larger = np.empty((2 * n_runs, 4), np.int64)
        larger[:n_runs] = runs
        runs = larger
    runs[n_runs, 0] = y
    runs[n_runs, 1] = start
    runs[n_runs, 2] = stop
    runs[n_runs, 3] = n_runs
    return runs


@njit(**OPTIONS)
def _root(runs, k):
    while runs[k, 3] != k:
        runs[k, 3] = runs[runs[k, 3], 3]
        k = runs[k, 3]
    return k


@njit(**OPTIONS)
def _join(runs, above, here, end):
    """Unite the runs here..end with those above..here that touch them, corners included; both go left to right."""
    a = above
    for k in range(here, end):
        while a < here and runs[a, 2] < runs[k, 1]:
            a += 1
        b = a
        while b < here and runs[b, 1] <= runs[k, 2]:
            one = _root(runs, b)
            other = _root(runs, k)
            runs[max(one, other), 3] = min(one, other)
            b += 1


@njit(**OPTIONS)
def _collect(runs):
    """Turn the forest into linked lists and add up the regions."""
    n_runs = runs.shape[0]
    label = np.empty(n_runs, np.int64)
    n_regions = 0
    for k in range(n_runs):
        root = _root(runs, k)
        if root == k:
            label[k] = n_regions
            n_regions += 1
        else:
            label[k] = label[root]
    first = np.full(n_regions, -1, np.int64)
    last = np.empty(n_regions, np.int64)
    stats = np.zeros((n_regions, 11), np.int64)
    for k in range(n_runs):
        s = label[k]
        if first[s] < 0:
            first[s] = k
            stats[s, R_LOW] = runs[k, 0]
            stats[s, C_LOW] = runs[k, 1]
        else:
            runs[last[s], 3] = k
        last[s] = k
        _add_run(stats[s], runs[k, 0], runs[k, 1], runs[k, 2])
    for s in range(n_regions):
        runs[last[s], 3] = -1
    return Regions(runs, first, stats)


@njit(**OPTIONS)
def _add_run(stats, y, start, stop):
    length = stop - start
    sum_c = (start + stop - 1) * length // 2
    sum_cc = (stop - 1) * stop * (2 * stop - 1) // 6 - (start - 1) * start * (2 * start - 1) // 6
    stats[AREA] += length
    stats[SUM_R] += y * length
    stats[SUM_C] += sum_c
    stats[SUM_RR] += y * y * length
    stats[SUM_RC] += y * sum_c
    stats[SUM_CC] += sum_cc
    stats[R_HIGH] = y + 1
    stats[C_LOW] = min(stats[C_LOW], start)
    stats[C_HIGH] = max(stats[C_HIGH], stop)
    stats[N_RUNS] += 1


@njit(**OPTIONS)
def region_image(regions, s, image):
    """Set the pixels of region s in `image`, the zeroed bool array of its bounding box."""
    k = regions.first[s]
    while k >= 0:
        y = regions.runs[k, 0] - regions.stats[s, R_LOW]
        image[y, regions.runs[k, 1] - regions.stats[s, C_LOW] : regions.runs[k, 2] - regions.stats[s, C_LOW]] = True
        k = regions.runs[k, 3]


@njit(**OPTIONS)
def approximate_ellipses(stats):
    """Return row, column, minor and major axis (full, less one pixel; good to 1e-5) and angle of every region.

    The axes are those of the ellipse with the region's second moments, 4 sqrt(eigenvalue), and the angle is that of
    the major axis from the row axis.
    """
    out = np.empty((stats.shape[0], 5))
    for s in range(stats.shape[0]):
        n = stats[s, AREA]
        r0 = stats[s, R_LOW]
        c0 = stats[s, C_LOW]
        # about the corner of the bounding box, in integers: nothing is lost
        sum_r = stats[s, SUM_R] - r0 * n
        sum_c = stats[s, SUM_C] - c0 * n
        mean_r = sum_r / n
        mean_c = sum_c / n
        rr = (stats[s, SUM_RR] - 2 * r0 * stats[s, SUM_R] + r0 * r0 * n) / n - mean_r * mean_r
        cc = (stats[s, SUM_CC] - 2 * c0 * stats[s, SUM_C] + c0 * c0 * n) / n - mean_c * mean_c
        rc = (stats[s, SUM_RC] - r0 * stats[s, SUM_C] - c0 * sum_r) / n - mean_r * mean_c
        middle = 0.5 * (rr + cc)
        spread = np.sqrt(0.25 * (rr - cc) * (rr - cc) + rc * rc)
        out[s, 0] = stats[s, SUM_R] / n
        out[s, 1] = stats[s, SUM_C] / n
        out[s, 2] = 4.0 * np.sqrt(max(middle - spread, 0.0)) - 1.0
        out[s, 3] = 4.0 * np.sqrt(max(middle + spread, 0.0)) - 1.0
        out[s, 4] = 0.5 * np.arctan2(2 * rc, rr - cc)
    return out
