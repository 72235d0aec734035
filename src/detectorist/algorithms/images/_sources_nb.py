"""Compiled loops of `sources`: rough levels of rows, sums over square bins."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Rows that are summed up side by side.
ROWS = 4


@njit(cache=True, nogil=True)
def row_levels(image, usable, edges, clip):
    """Clipped mean of every stretch of every row, (ny, n_parts) float32; NaN where fewer than 16 pixels are usable.

    image, usable : (ny, nx). edges : (n_parts + 1,), columns where stretches begin and the last ends.
    clip : distance from the mean beyond which pixels are left out; four steps lead to it from eight times that about 0.
    """
    ny = image.shape[0]
    n_parts = edges.size - 1
    levels = np.full((ny, n_parts), np.nan, np.float32)
    centre, total, number = np.empty(ROWS), np.empty(ROWS), np.empty(ROWS)
    enough = np.empty(ROWS, np.bool_)
    for y in range(0, ny, ROWS):
        for part in range(n_parts):
            stretch = slice(edges[part], edges[part + 1])
            centre[:], enough[:] = 0.0, True
            limit = 8.0 * clip
            for _ in range(4):
                _sums_near(image[:, stretch], usable[:, stretch], y, centre, limit, total, number)
                for k in range(ROWS):
                    enough[k] &= number[k] >= 16
                    centre[k] = total[k] / number[k] if enough[k] else centre[k]
                limit = max(clip, 0.5 * limit)
            for k in range(min(ROWS, ny - y)):
                if enough[k]:
                    levels[y + k, part] = centre[k]
    return levels


@njit(cache=True, nogil=True)
def _sums_near(image, usable, y, centre, limit, total, number):
    """Write sums and numbers of usable pixels within `limit` of the centres of four rows from y on, each in its order.

    Of one row, each addition would wait for the one before. The last row stands for those beyond the image.
    """
    last = image.shape[0] - 1
    a, b, c, d = image[y], image[min(y + 1, last)], image[min(y + 2, last)], image[min(y + 3, last)]
    p, q, r, s = usable[y], usable[min(y + 1, last)], usable[min(y + 2, last)], usable[min(y + 3, last)]
    at_a, at_b, at_c, at_d = centre[0], centre[1], centre[2], centre[3]
    of_a, of_b, of_c, of_d = 0.0, 0.0, 0.0, 0.0
    n_a, n_b, n_c, n_d = 0, 0, 0, 0
    for x in range(a.size):
        near_a, near_b = p[x] & (abs(a[x] - at_a) <= limit), q[x] & (abs(b[x] - at_b) <= limit)
        near_c, near_d = r[x] & (abs(c[x] - at_c) <= limit), s[x] & (abs(d[x] - at_d) <= limit)
        of_a += a[x] if near_a else 0.0
        of_b += b[x] if near_b else 0.0
        of_c += c[x] if near_c else 0.0
        of_d += d[x] if near_d else 0.0
        n_a += near_a
        n_b += near_b
        n_c += near_c
        n_d += near_d
    total[0], total[1], total[2], total[3] = of_a, of_b, of_c, of_d
    number[0], number[1], number[2], number[3] = n_a, n_b, n_c, n_d


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
