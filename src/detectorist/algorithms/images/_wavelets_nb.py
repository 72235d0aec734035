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
