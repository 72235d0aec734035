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
    amounts, numbers = np.empty(nx, np.float32), np.empty(nx, np.float32)
    zero, one = np.float32(0), np.float32(1)
    for row in range(total.shape[0]):
        amounts[:], numbers[:] = zero, zero
        for y in range(row * size, min((row + 1) * size, ny)):
            for part in range(edges.size - 1):
                level = levels[y, part]
                if np.isnan(level):
                    continue
                stretch = slice(edges[part], edges[part + 1])
                amount, number, values, good = amounts[stretch], numbers[stretch], image[y, stretch], usable[y, stretch]
                for x in range(amount.size):
                    amount[x] += values[x] - level if good[x] else zero
                    number[x] += one if good[x] else zero
        for column in range(total.shape[1]):
            for x in range(column * size, min((column + 1) * size, nx)):
                total[row, column] += amounts[x]
                count[row, column] += numbers[x]
    return total, count


@njit(cache=True, nogil=True)
def improve_levels(image, usable, edges, clip, before):
    """Clipped mean of every stretch of every row as in `row_levels`, in one step from levels of before (ny, n_parts).

    Before that is NaN, and where fewer than 16 pixels are usable, NaN comes back.
    """
    ny = image.shape[0]
    levels = np.full(before.shape, np.nan, np.float32)
    for y in range(ny):
        for part in range(edges.size - 1):
            centre, total, n = np.float32(before[y, part]), 0.0, 0
            for x in range(edges[part], edges[part + 1]):
                near = usable[y, x] and abs(image[y, x] - centre) <= clip
                total += image[y, x] if near else np.float32(0)
                n += near
            if n >= 16:
                levels[y, part] = total / n
    return levels


@njit(cache=True, nogil=True)
def grow_by_rows(mask, reach):
    """Mask (ny, nx) grown by a shape that is the same upwards and downwards.

    reach : (n,) int64, columns to either side in rows that are 0, 1, 2, ... away.
    """
    ny, nx = mask.shape
    grown = np.zeros((ny, nx), np.bool_)
    distance = np.empty(nx, np.int64)
    far = 2 * nx
    for y in range(ny):
        last = -far
        for x in range(nx):
            if mask[y, x]:
                last = x
            distance[x] = x - last
        if last == -far:
            continue
        last = far
        for x in range(nx - 1, -1, -1):
            if mask[y, x]:
                last = x
            distance[x] = min(distance[x], last - x)
        for away in range(-min(reach.size - 1, y), min(reach.size, ny - y)):
            own, most = grown[y + away], reach[abs(away)]
            for x in range(nx):
                own[x] |= distance[x] <= most
    return grown
