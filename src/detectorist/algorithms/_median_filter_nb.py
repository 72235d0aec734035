"""Compiled loop of `detectorist.algorithms.median_filter`."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Pixels of a row that are sorted side by side.
TILE = 256


@njit(cache=True, error_model="numpy", nogil=True)
def filter_rows(padded, box, network, out):
    """Fill `out` (ny, nx) with the medians of boxes of `padded` (ny + rows - 1, nx + columns - 1).

    box : (rows, columns), odd. network : comparators of a sort of so many values that leave the middle one in place.
    """
    rows, columns = box
    ny, nx = out.shape
    values = np.empty((rows * columns, TILE), padded.dtype)
    middle = rows * columns // 2
    for y in range(ny):
        for start in range(0, nx, TILE):
            width = min(TILE, nx - start)
            for i in range(rows):
                for j in range(columns):
                    values[i * columns + j, :width] = padded[y + i, start + j : start + j + width]
            for pair in range(network.shape[0]):
                low = values[network[pair, 0]]
                high = values[network[pair, 1]]
                for c in range(width):
                    a = low[c]
                    b = high[c]
                    low[c] = a if a < b else b
                    high[c] = b if a < b else a
            out[y, start : start + width] = values[middle, :width]
