"""Compiled sums of `wisps`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def block_planes(image, planes, usable, levels, scales, clip, first, last, step, reverse_rows, block):
    """Means of image and planes over blocks of one output's used pixels, in the order they are clocked.

    image, usable : (ny, nx). planes : (n, ny, nx). levels : (ny,) of the rows; a row without level (NaN) is left out,
    as are pixels farther than `clip` from level + scales * planes. first, last, step, reverse_rows, block : as in
    `_smoother_nb.block_means`.

    Returns (1 + n, ny * n_blocks) float32 means, the image's first, and uint16 numbers of used pixels.
    """
    n = planes.shape[0]
    ny, width = image.shape[0], last - first
    n_blocks = (width + block - 1) // block
    means = np.zeros((1 + n, ny * n_blocks), np.float32)
    count = np.zeros(ny * n_blocks, np.uint16)
    start = first if step > 0 else last - 1
    total = np.zeros(1 + n)
    for row in range(ny):
        y = ny - 1 - row if reverse_rows else row
        if np.isnan(levels[y]):
            continue
        for b in range(n_blocks):
            total[:] = 0.0
            n_used = 0
            for i in range(b * block, min((b + 1) * block, width)):
                x = start + step * i
                above = image[y, x] - levels[y]
                expected = 0.0
                for k in range(scales.size):
                    expected += scales[k] * planes[k, y, x]
                if usable[y, x] and abs(above - expected) <= clip:
                    n_used += 1
                    total[0] += image[y, x]
                    for k in range(n):
                        total[1 + k] += planes[k, y, x]
            if n_used:
                at = row * n_blocks + b
                count[at] = n_used
                for k in range(1 + n):
                    means[k, at] = total[k] / n_used
    return means, count


@njit(cache=True, nogil=True)
def row_differences(image, y, by_y, by_x, second):
    """Put central differences along y and x, and the sum of the second ones, of row `y` into lines (nx,).

    At the edges, first differences are one-sided, and second ones are those of an image whose edges are repeated.
    """
    ny, nx = image.shape
    above, own, below = image[max(y - 1, 0)], image[y], image[min(y + 1, ny - 1)]
    inverse = np.float32(0.5 if 0 < y < ny - 1 else 1.0)
    for x in range(nx):
        by_y[x] = (below[x] - above[x]) * inverse
    left, right = own[:-2], own[2:]
    middle_x, middle = by_x[1 : nx - 1], second[1 : nx - 1]
    for x in range(nx - 2):
        middle_x[x] = (right[x] - left[x]) * np.float32(0.5)
        middle[x] = left[x] + right[x] + above[x + 1] + below[x + 1] - np.float32(4) * own[x + 1]
    by_x[0], by_x[nx - 1] = own[1] - own[0], own[nx - 1] - own[nx - 2]
    second[0] = own[1] + above[0] + below[0] - np.float32(3) * own[0]
    second[nx - 1] = own[nx - 2] + above[nx - 1] + below[nx - 1] - np.float32(3) * own[nx - 1]


@njit(cache=True, nogil=True)
def difference_sums(image, usable, size):
    """Sums over the usable pixels of square bins of the differences of `row_differences`, (3, n_rows, n_columns).

    Bins at the upper edges may be smaller.
    """
    ny, nx = image.shape
    total = np.zeros((3, (ny + size - 1) // size, (nx + size - 1) // size), np.float32)
    lines, sums = np.empty((3, nx), np.float32), np.empty((3, nx), np.float32)
    zero = np.float32(0)
    for row in range(total.shape[1]):
        sums[:] = zero
        for y in range(row * size, min((row + 1) * size, ny)):
            row_differences(image, y, lines[0], lines[1], lines[2])
            good = usable[y]
            for k in range(3):
                line, summed = lines[k], sums[k]
                for x in range(nx):
                    summed[x] += line[x] if good[x] else zero
        for k in range(3):
            for x in range(nx):
                total[k, row, x // size] += sums[k, x]
    return total


@njit(cache=True, nogil=True)
def add_differences(image, first, second, change):
    """Add to an image (ny, nx) first differences of one image and second ones of another, times `change` (3,)."""
    ny, nx = image.shape
    lines, unused = np.empty((3, nx), np.float32), np.empty((2, nx), np.float32)
    along_y, along_x, curved = change[0], change[1], change[2]
    for y in range(ny):
        row_differences(first, y, lines[0], lines[1], unused[0])
        row_differences(second, y, unused[0], unused[1], lines[2])
        own, by_y, by_x, by_both = image[y], lines[0], lines[1], lines[2]
        for x in range(nx):
            own[x] += along_y * by_y[x] + along_x * by_x[x] + curved * by_both[x]
