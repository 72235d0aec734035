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
def differences(image):
    """Central differences along y and x, and the sum of the second ones, of an image, (3, ny, nx) float32.

    At the edges, first differences are one-sided, and second ones are those of an image whose edges are repeated.
    """
    ny, nx = image.shape
    found = np.empty((3, ny, nx), np.float32)
    for y in range(ny):
        above, below = image[max(y - 1, 0)], image[min(y + 1, ny - 1)]
        inverse = np.float32(0.5 if 0 < y < ny - 1 else 1.0)
        own, by_y, by_x, second = image[y], found[0, y], found[1, y], found[2, y]
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
    return found
