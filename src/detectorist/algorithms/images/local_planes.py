"""Planes fitted around every place of a binned image: smooth light of any brightness.

The level of a plane fitted around a place (Cleveland 1979, JASA 74, 829), with Gaussian weights and gaps, from moments
that are derivatives of a Gaussian.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

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
    count = np.asarray(count, float)

    def moment(values, *orders):
        # Derivatives of a Gaussian are its moments: offsets are in units of sigma.
        smooth = ndimage.gaussian_filter(values, sigma, order=orders, mode="constant", truncate=REACH)
        return sigma ** sum(orders) * smooth

    weight = moment(count, 0, 0)
    inverse = 1 / np.maximum(weight, 1e-6)
    y, x = moment(count, 1, 0) * inverse, moment(count, 0, 1) * inverse
    # A hundredth keeps planes on one side of their data from swinging.
    yy = (moment(count, 2, 0) + weight) * inverse - y * y + 0.01
    xx = (moment(count, 0, 2) + weight) * inverse - x * x + 0.01
    xy = moment(count, 1, 1) * inverse - x * y
    determinant = yy * xx - xy * xy
    levels = np.zeros(np.shape(total))
    for one, level in zip(np.reshape(total, (-1, *count.shape)), levels.reshape(-1, *count.shape), strict=True):
        seen = np.where(count > 0, one, 0)
        for _ in range(rounds):
            left = seen - count * level
            mean = moment(left, 0, 0) * inverse
            along_y, along_x = moment(left, 1, 0) * inverse - y * mean, moment(left, 0, 1) * inverse - x * mean
            slope_y = (xx * along_y - xy * along_x) / determinant
            slope_x = (yy * along_x - xy * along_y) / determinant
            level[...] = level + mean - slope_y * y - slope_x * x
    return levels, weight
