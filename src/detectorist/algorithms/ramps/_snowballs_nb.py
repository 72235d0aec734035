"""Compiled loops of `snowballs`: connected regions as runs of pixels, their moments, disks."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Pixels that are looked at together, as one word: most have no flag.
WORD = 8
#: Columns of a table of regions.
AREA, JUMPS, OLD, SUM_Y, SUM_X, SUM_YY, SUM_XX, SUM_XY, N_COLUMNS = range(9)


@njit(cache=True, nogil=True)
def find_runs(plane, bits):
    """Runs of pixels with any of some bits: (n_runs, 3) of row, first and past-last column, in reading order."""
    ny, nx = plane.shape
    runs = np.empty((1024, 3), np.int32)
    wanted = np.empty(nx, np.uint8)
    words = wanted[: nx // WORD * WORD].view(np.uint64)
    n = 0
    for y in range(ny):
        for x in range(nx):
            wanted[x] = plane[y, x] & bits
        x = 0
        while x < nx:
            if x % WORD == 0 and x + WORD <= nx and words[x // WORD] == 0:
                x += WORD
                continue
            if wanted[x] == 0:
                x += 1
                continue
            first = x
            while x < nx and wanted[x]:
                x += 1
            if n == len(runs):
                larger = np.empty((2 * n, 3), np.int32)
                larger[:n] = runs
                runs = larger
            runs[n, 0], runs[n, 1], runs[n, 2] = y, first, x
            n += 1
    return runs[:n].copy()


@njit(cache=True, nogil=True)
def join_runs(runs):
    """Number of the region, from 0, of every run; pixels that touch, corners included, are of one region."""
    n = len(runs)
    parent = np.arange(n)
    above = 0
    for i in range(n):
        while runs[above, 0] < runs[i, 0] - 1:
            above += 1
        j = above
        while j < i and runs[j, 0] == runs[i, 0] - 1 and runs[j, 1] <= runs[i, 2]:
            if runs[j, 2] >= runs[i, 1]:
                a, b = _root(parent, i), _root(parent, j)
                parent[max(a, b)] = min(a, b)
            j += 1
    numbers = np.empty(n, np.int64)
    last = 0
    for i in range(n):
        root = _root(parent, i)
        if root == i:
            numbers[i] = last
            last += 1
        else:
            numbers[i] = numbers[root]
    return numbers, last


@njit(cache=True, nogil=True)
def _root(parent, i):
    """Follow parents to the root, halving the path."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def measure_regions(plane, previous, runs, numbers, n_regions, jump, saturated):
    """Area, pixels with the bit `jump` or saturated before, and moments of every region: (n_regions, N_COLUMNS)."""
    table = np.zeros((n_regions, N_COLUMNS))
    for i in range(len(runs)):
        row = table[numbers[i]]
        y = runs[i, 0]
        for x in range(runs[i, 1], runs[i, 2]):
            row[AREA] += 1
            if plane[y, x] & jump:
                row[JUMPS] += 1
            if previous[y, x] & saturated:
                row[OLD] += 1
            row[SUM_Y] += y
            row[SUM_X] += x
            row[SUM_YY] += y * y
            row[SUM_XX] += x * x
            row[SUM_XY] += x * y
    return table


@njit(cache=True, nogil=True)
def set_disk(plane, y, x, radius, bit, unless):
    """Set a bit on a plane within a disk, except where any of the bits `unless` is set. Returns pixels newly set."""
    ny, nx = plane.shape
    changed = 0
    for row in range(max(int(np.ceil(y - radius)), 0), min(int(np.floor(y + radius)), ny - 1) + 1):
        half = np.sqrt(radius * radius - (row - y) ** 2)
        for column in range(max(int(np.ceil(x - half)), 0), min(int(np.floor(x + half)), nx - 1) + 1):
            if plane[row, column] & (bit | unless) == 0:
                plane[row, column] |= bit
                changed += 1
    return changed


@njit(cache=True, nogil=True)
def set_disks(plane, pixels, radius, bit, unless):
    """Set a bit as `set_disk` around each of some pixels, (n, 2) of row and column. Returns pixels newly set."""
    changed = 0
    for i in range(len(pixels)):
        changed += set_disk(plane, pixels[i, 0], pixels[i, 1], radius, bit, unless)
    return changed


@njit(cache=True, nogil=True)
def core_pixels(plane, y, x, radius, saturated):
    """Saturated pixels within a disk, (n, 2) of row and column."""
    ny, nx = plane.shape
    found = []
    for row in range(max(int(np.ceil(y - radius)), 0), min(int(np.floor(y + radius)), ny - 1) + 1):
        half = np.sqrt(radius * radius - (row - y) ** 2)
        for column in range(max(int(np.ceil(x - half)), 0), min(int(np.floor(x + half)), nx - 1) + 1):
            if plane[row, column] & saturated:
                found.append((row, column))
    pixels = np.empty((len(found), 2), np.int64)
    for i in range(len(found)):
        pixels[i, 0], pixels[i, 1] = found[i]
    return pixels
