"""Compiled sums of `wisps`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def bin_planes(image, templates, usable, levels, edges, scales, clip, size):
    """Sums over square bins of image and templates, both about their means over the used pixels of the row's stretch.

    image, usable : (ny, nx). templates : (n, ny, nx). levels : (ny, n_parts) of the stretches between `edges`. Pixels
    of a stretch without level (NaN) are left out, as are those farther than `clip` from level + scales * templates.

    Returns (1 + n, ny / size, nx / size) float32 sums, image first, and numbers of used pixels; rows and columns beyond
    a multiple of `size` are left out.
    """
    n = templates.shape[0]
    ny, nx = image.shape[0] // size, image.shape[1] // size
    total = np.zeros((1 + n, ny, nx), np.float32)
    count = np.zeros((ny, nx), np.float32)
    used = np.zeros(image.shape[1], np.bool_)
    means = np.zeros(1 + n)
    for y in range(ny * size):
        for part in range(edges.size - 1):
            if np.isnan(levels[y, part]):
                continue
            first, last = edges[part], min(edges[part + 1], nx * size)
            _use(image, templates, usable, y, first, last, levels[y, part], scales, clip, used, means)
            for x in range(first, last):
                if used[x]:
                    count[y // size, x // size] += 1.0
                    total[0, y // size, x // size] += image[y, x] - means[0]
                    for k in range(n):
                        total[1 + k, y // size, x // size] += templates[k, y, x] - means[1 + k]
    return total, count


@njit(cache=True, nogil=True)
def _use(image, templates, usable, y, first, last, level, scales, clip, used, means):
    """Write which pixels of a stretch of a row are used, and the means of image and templates over them."""
    means[:] = 0.0
    n_used = 0
    for x in range(first, last):
        expected = level
        for k in range(scales.size):
            expected += scales[k] * templates[k, y, x]
        used[x] = usable[y, x] and abs(image[y, x] - expected) <= clip
        if used[x]:
            n_used += 1
            means[0] += image[y, x]
            for k in range(scales.size):
                means[1 + k] += templates[k, y, x]
    if n_used:
        means /= n_used
