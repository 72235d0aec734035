"""Compiled loops of `sources`: rough levels of rows, sums over square bins."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def row_levels(image, usable, edges, clip):
    """Clipped mean of every stretch of every row, (ny, n_parts) float32; NaN where fewer than 16 pixels are usable.

    image, usable : (ny, nx). edges : (n_parts + 1,), columns where stretches begin and the last ends.
    clip : distance from the mean beyond which pixels are left out; four steps lead to it from eight times that about 0.
    """
    ny = image.shape[0]
    n_parts = edges.size - 1
    levels = np.full((ny, n_parts), np.nan, np.float32)
    for y in range(ny):
        for part in range(n_parts):
            centre, limit = 0.0, 8.0 * clip
            enough = True
            for _ in range(4):
                total, n = 0.0, 0
                for x in range(edges[part], edges[part + 1]):
                    if usable[y, x] and abs(image[y, x] - centre) <= limit:
                        total += image[y, x]
                        n += 1
                if n < 16:
                    enough = False
                    break
                centre = total / n
                limit = max(clip, 0.5 * limit)
            if enough:
                levels[y, part] = centre
    return levels


@njit(cache=True, nogil=True)
def bin_sums(image, usable, levels, edges, size):
    """Sum of `image - level of the row's stretch` and number of usable pixels in square bins, float32.

    levels : (ny, n_parts) of the stretches between `edges`; a pixel of a stretch without level (NaN) is not usable.
    Bins at the upper edges may be smaller.
    """
    ny, nx = image.shape
    total = np.zeros(((ny + size - 1) // size, (nx + size - 1) // size), np.float32)
    count = np.zeros(total.shape, np.float32)
    zero, one = np.float32(0), np.float32(1)
    for y in range(ny):
        for part in range(edges.size - 1):
            level = levels[y, part]
            if np.isnan(level):
                continue
            x = edges[part]
            while x < edges[part + 1]:
                column = x // size
                last = min((column + 1) * size, edges[part + 1])
                amount, number = total[y // size, column], count[y // size, column]
                for i in range(x, last):
                    amount += image[y, i] - level if usable[y, i] else zero
                    number += one if usable[y, i] else zero
                total[y // size, column], count[y // size, column] = amount, number
                x = last
    return total, count
