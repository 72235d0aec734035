"""Compiled loops of `wavelets`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def spread(image, step, spline):
    """Return an image (ny, nx) float32 smoothed along both axes by a spline of five weights, `step` pixels apart.

    spline : (5,) float32, the same from both ends. Edges are repeated.
    """
    ny, nx = image.shape
    outer, inner, middle = spline[0], spline[1], spline[2]
    smooth, line = np.empty((ny, nx), np.float32), np.empty(nx + 4 * step, np.float32)
    for y in range(ny):
        above, below = image[max(y - step, 0)], image[min(y + step, ny - 1)]
        far_above, far_below = image[max(y - 2 * step, 0)], image[min(y + 2 * step, ny - 1)]
        for x in range(nx):
            ends = (far_above[x] + far_below[x]) * outer
            line[2 * step + x] = ends + (above[x] + below[x]) * inner + image[y, x] * middle
        line[: 2 * step] = line[2 * step]
        line[2 * step + nx :] = line[2 * step + nx - 1]
        for x in range(nx):
            ends = (line[x] + line[x + 4 * step]) * outer
            smooth[y, x] = ends + (line[x + step] + line[x + 3 * step]) * inner + line[x + 2 * step] * middle
    return smooth


@njit(cache=True, nogil=True)
def add_significant(image, detail, reach, power, least):
    """Add to an image (ny, nx) float32 the details that stand out of noise.

    They count by a share from 0, where the mean of their squares over `reach` pixels to all sides is `power` or less,
    to 1, from twice that on, but by no less than `least` (ny, nx) float32. Edges are repeated.
    """
    ny, nx = image.shape
    side, width = 2 * reach + 1, nx + 2 * reach + 1
    sums, share = np.zeros(width), np.empty(nx)
    columns = sums[reach + 1 : reach + 1 + nx]  # of squares over the rows about `y`
    for away in range(-reach, reach + 1):
        row = detail[min(max(away, 0), ny - 1)]
        for x in range(nx):
            columns[x] += np.float64(row[x]) ** 2
    for y in range(ny):
        if y:
            gone, new = detail[max(y - 1 - reach, 0)], detail[min(y + reach, ny - 1)]
            for x in range(nx):
                columns[x] += np.float64(new[x]) ** 2 - np.float64(gone[x]) ** 2
        sums[: reach + 1], sums[reach + 1 + nx :] = columns[0], columns[nx - 1]
        total = 0.0
        for x in range(side):
            total += sums[x]
        for x in range(nx):
            total += sums[x + side] - sums[x]
            share[x] = total
        for x in range(nx):
            stands_out = np.float32(min(share[x] / (side * side * power) - 1, 1.0))
            image[y, x] += detail[y, x] * max(stands_out, least[y, x])
