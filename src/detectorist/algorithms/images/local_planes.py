"""Planes fitted around every place of a binned image: smooth light of any brightness.

The level of a plane fitted around a place (Cleveland 1979, JASA 74, 829), with Gaussian weights and gaps, from moments
under a separable Gaussian.
"""

from __future__ import annotations

import numpy as np

#: Weights beyond so many widths are zero.
REACH = 3.5


def bin_image(image: np.ndarray, usable: np.ndarray, bin_pix: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sums and numbers of usable pixels of square bins, both float64; the last bins may be incomplete.

    image, usable : ndarray, shape (ny, nx)
    """
    from detectorist.algorithms.images._sources_nb import bin_sums

    ny, nx = image.shape
    image = np.ascontiguousarray(image, np.float32)
    total, count = bin_sums(image, usable, np.zeros((ny, 1), np.float32), np.array([0, nx]), bin_pix)
    return total.astype(float), count.astype(float)


def fit_planes(total: np.ndarray, count: np.ndarray, sigma: float, *, rounds: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the level at every bin of a plane fitted around it, and the weight of the data there.

    Parameters
    ----------
    total : ndarray of float, shape (..., ny, nx)
        Sums of bins; several images may share one `count`. Bins of no count have no influence.
    count : ndarray of float, shape (ny, nx)
        Pixels of every bin; 0 leaves it out.
    sigma : float
        Width of the Gaussian weights, bins.
    rounds : int
        Number of fits, each to the residuals of the one before: the second removes the bias of a plane, half the
        curvature times the kernel's variance, to first order.

    Returns
    -------
    level : ndarray, shape of `total`
    weight : ndarray, shape (ny, nx)
        Mean count about every bin under the kernel.
    """
    from detectorist.algorithms.images._local_planes_nb import add_planes, second_moments

    count = np.asarray(count, float)
    kernels = _kernels(sigma, REACH)
    weight, y, x, yy, xx, xy = second_moments(count.astype(np.float32), kernels)
    inverse = 1 / np.maximum(weight, np.float32(1e-6))
    y, x = y * inverse, x * inverse
    # A hundredth keeps planes on one side of their data from swinging.
    yy, xx, xy = yy * inverse - y * y + np.float32(0.01), xx * inverse - x * x + np.float32(0.01), xy * inverse - x * y
    determinant = yy * xx - xy * xy
    by_y, by_x = (xx * y - xy * x) / determinant, (yy * x - xy * y) / determinant
    shares = inverse * np.stack([1 + y * by_y + x * by_x, -by_y, -by_x])
    levels = np.zeros(np.shape(total))
    for one, level in zip(np.reshape(total, (-1, *count.shape)), levels.reshape(-1, *count.shape), strict=True):
        seen = np.where(count > 0, one, 0.0)
        for _ in range(rounds):
            add_planes(level, seen, count, kernels[:2], shares)
    return levels, weight.astype(float)


def fit_wide_planes(
    total: np.ndarray, count: np.ndarray, sigma: float, *, rounds: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `fit_planes` does, at an eighth of the cost: from squares of two by two bins, linear in between.

    For planes many bins wide; `total` and `count` as in `fit_planes`.
    """
    seen = np.where(count > 0, total, 0)
    levels, weight = fit_planes(_in_squares(seen), _in_squares(count), sigma / 2, rounds=rounds)
    shape = count.shape
    every = np.stack([_between_squares(one, shape) for one in levels.reshape(-1, *weight.shape)])
    return every.reshape(np.shape(total)), _between_squares(weight / 4, shape)


def _in_squares(values):
    """Return sums over squares of two by two bins (..., ny, nx), those at upper edges incomplete."""
    ny, nx = values.shape[-2:]
    padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(0, ny % 2), (0, nx % 2)])
    rows = padded[..., ::2, :] + padded[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def _between_squares(values, shape):
    """Return values (ny, nx) of squares at their bins, linear between their middles and beyond the outer ones."""
    for axis, n in enumerate(shape):
        padded = np.pad(
            values, [(1, 1) if one == axis else (0, 0) for one in (0, 1)], mode="reflect", reflect_type="odd"
        )
        at = (np.arange(n) + 1.5) / 2
        below = at.astype(int)
        part = np.expand_dims(at - below, 1 - axis)
        values = (1 - part) * padded.take(below, axis) + part * padded.take(below + 1, axis)
    return values


def smooth_bins(values: np.ndarray, sigma: float, *, reach: float = 3.0) -> np.ndarray:
    """Return values (ny, nx) float32 smoothed by a Gaussian of width `sigma` bins, cut off at `reach` of them.

    Beyond the borders is nothing: zeros.
    """
    from detectorist.algorithms.images._local_planes_nb import smooth

    return smooth(np.ascontiguousarray(values, np.float32), _kernels(sigma, reach)[:2])


def _kernels(sigma, width):
    """Return Gaussian weights for offsets from 0, these times the offset, and times its square, in units of sigma."""
    reach = int(width * sigma + 0.5)
    offset = np.arange(1 + -(-reach // 3) * 3) / sigma
    weight = np.where(offset <= reach / sigma, np.exp(-0.5 * offset**2), 0)
    weight /= weight[0] + 2 * weight[1:].sum()
    return np.stack([weight, weight * offset, weight * offset**2]).astype(np.float32)
