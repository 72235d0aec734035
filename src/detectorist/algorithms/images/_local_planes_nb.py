"""Compiled loops of `local_planes`: Gaussian moments about every place of an image.

Kernels hold weights for offsets from 0; their number beyond 0, the reach, is a multiple of three: three offsets at a
time are added, which keeps sums in registers. Lines and images are padded by zeros as far as the kernels reach.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def add_sides(after, before, kernels, reach, even, odd):
    """Add three offsets on either side of a line; `after` and `before` are the lines so displaced."""
    (a, b, c), (d, e, f) = after, before
    w, v = kernels[0, reach : reach + 3], kernels[1, reach : reach + 3]
    w1, w2, w3, v1, v2, v3 = w[0], w[1], w[2], v[0], v[1], v[2]
    for x in range(even.size):
        even[x] += w1 * (a[x] + d[x]) + w2 * (b[x] + e[x]) + w3 * (c[x] + f[x])
        odd[x] += v1 * (a[x] - d[x]) + v2 * (b[x] - e[x]) + v3 * (c[x] - f[x])


@njit(cache=True, nogil=True)
def moments_along(line, kernels, even, odd):
    """Put moments of a padded line into `even` and `odd` (nx,), by the even kernel and by the odd one.

    kernels : (2, 1 + reach) float32, even and odd.
    """
    reach, nx = kernels.shape[1] - 1, even.size
    middle = line[reach : reach + nx]
    for x in range(nx):
        even[x] = kernels[0, 0] * middle[x]
        odd[x] = 0
    for k in range(1, reach + 1, 3):
        ahead, behind = line[reach + k :], line[reach - k - 2 :]
        add_sides((ahead, ahead[1:], ahead[2:]), (behind[2:], behind[1:], behind), kernels, k, even, odd)


@njit(cache=True, nogil=True)
def moments_across(padded, y, kernels, even, odd):
    """Put moments along y about row `y` of an image whose rows are padded (ny + 2 reach, nx) into padded lines."""
    reach, nx = kernels.shape[1] - 1, padded.shape[1]
    own, even, odd = y + reach, even[reach : reach + nx], odd[reach : reach + nx]
    middle = padded[own]
    for x in range(nx):
        even[x] = kernels[0, 0] * middle[x]
        odd[x] = 0
    for k in range(1, reach + 1, 3):
        after = (padded[own + k], padded[own + k + 1], padded[own + k + 2])
        before = (padded[own - k], padded[own - k - 1], padded[own - k - 2])
        add_sides(after, before, kernels, k, even, odd)


@njit(cache=True, nogil=True)
def smooth(image, kernels):
    """Even moments along both axes of an image (ny, nx) float32, zero outside."""
    ny, nx = image.shape
    reach = kernels.shape[1] - 1
    padded = np.zeros((ny + 2 * reach, nx), np.float32)
    padded[reach : reach + ny] = image
    line, unused = np.zeros(nx + 2 * reach, np.float32), np.zeros(nx + 2 * reach, np.float32)
    found = np.empty((ny, nx), np.float32)
    for y in range(ny):
        moments_across(padded, y, kernels, line, unused)
        moments_along(line, kernels, found[y], unused[:nx])
    return found


@njit(cache=True, nogil=True)
def second_moments(image, kernels):
    """Moments 1, y, x, yy, xx, xy of an image (ny, nx) about every place, (6, ny, nx) float32.

    kernels : (3, 1 + reach) float32: weights, times the offset, times its square.
    """
    ny, nx = image.shape
    reach = kernels.shape[1] - 1
    padded = np.zeros((ny + 2 * reach, nx), np.float32)
    padded[reach : reach + ny] = image
    first, second = kernels[:2], kernels[2:0:-1].copy()
    lines, unused = np.zeros((3, nx + 2 * reach), np.float32), np.zeros(nx + 2 * reach, np.float32)
    found = np.empty((6, ny, nx), np.float32)
    for y in range(ny):
        moments_across(padded, y, first, lines[0], lines[1])
        moments_across(padded, y, second, lines[2], unused)
        moments_along(lines[0], second, found[4, y], unused[:nx])
        moments_along(lines[2], first, found[3, y], found[2, y])
        moments_along(lines[0], first, found[0, y], found[2, y])
        moments_along(lines[1], first, found[1, y], found[5, y])
    return found


@njit(cache=True, nogil=True)
def add_planes(level, total, count, kernels, shares):
    """Add to a level (ny, nx) the planes fitted about every place to what is left, `total - count * level`.

    level, total : float64. kernels : (2, 1 + reach) float32, weights, and these times the offset.
    shares : (3, ny, nx) float32, by how much the level of a plane changes with the moments 1, y and x.
    """
    ny, nx = total.shape
    reach = kernels.shape[1] - 1
    left = np.zeros((ny + 2 * reach, nx), np.float32)
    for y in range(ny):
        for x in range(nx):
            left[reach + y, x] = total[y, x] - count[y, x] * level[y, x]
    even, odd = np.zeros(nx + 2 * reach, np.float32), np.zeros(nx + 2 * reach, np.float32)
    along_y, along_x = np.empty(nx, np.float32), np.empty(nx, np.float32)
    mean, unused = np.empty(nx, np.float32), np.empty(nx, np.float32)
    for y in range(ny):
        moments_across(left, y, kernels, even, odd)
        moments_along(even, kernels, mean, along_x)
        moments_along(odd, kernels, along_y, unused)
        for x in range(nx):
            level[y, x] += shares[0, y, x] * mean[x] + shares[1, y, x] * along_y[x] + shares[2, y, x] * along_x[x]
