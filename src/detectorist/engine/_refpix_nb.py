"""Running median of the side reference pixels, and levels of columns and rows subtracted."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import middle_two
from detectorist.engine._compiled import OPTIONS
from detectorist.engine.flags import DO_NOT_USE


@njit(**OPTIONS)
def running_median(strip, dq, length, single, out):
    """Fill `out` with the median over `length` rows of a strip (ny, n_columns), ends mirrored, DO_NOT_USE left out.

    single : the two middle values are averaged in float32, as numpy does for a float32 strip.
    """
    ny, n_columns = strip.shape
    half = length // 2
    window = np.empty(length * n_columns)
    for y in range(ny):
        n = 0
        for k in range(y - half, y - half + length):
            row = abs(k)
            row = 2 * (ny - 1) - row if row >= ny else row
            for c in range(n_columns):
                if not dq[row, c] & DO_NOT_USE:
                    window[n] = strip[row, c]
                    n += 1
        out[y] = _median(window, n, single)


@njit(**OPTIONS)
def _median(window, n, single):
    if n == 0:
        return np.nan
    for k in range(n):
        if np.isnan(window[k]):
            return np.nan
    lower, upper = middle_two(window, n)
    if single:
        return np.float64((np.float32(lower) + np.float32(upper)) / np.float32(2.0))
    return (lower + upper) / 2.0


@njit(**OPTIONS)
def subtract_levels(plane, of_column, of_row, single):
    """Subtract levels (nx,) and (ny,) from a plane (ny, nx) of float32, in place; `single` rounds between the two."""
    for y in range(plane.shape[0]):
        row = plane[y]
        level = of_row[y]
        if single:
            for x in range(row.size):
                row[x] = np.float64(np.float32(np.float64(row[x]) - of_column[x])) - level
        else:
            for x in range(row.size):
                row[x] = (np.float64(row[x]) - of_column[x]) - level
