"""Background of dispersed images with the same shape across the columns in all integrations.

The shape of the background hardly changes within an exposure, so gradient and curvature along a row are measured once,
on the mean image, as smooth functions of the row. For each integration only the level of its rows is measured, the mean
of all pixels beside the trace: no slope has to be extrapolated to the trace from columns that may all lie on one side
of it.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.spectra.background import (
    SIGMA_PER_MAD,
    Background,
    bridge_empty_rows,
    gather,
    known_variance,
    noise_variance,
    sorted_median,
)
from detectorist.errors import TooFewPixels

#: Order of the polynomials in the row that gradient and curvature are made of.
ROW_ORDER = 4
#: Residuals beyond this many robust sigmas are not followed.
CLIP_SIGMA = 5.0
ROUNDS = 3
#: A curvature takes columns on both sides of the trace, this many at least.
MIN_SIDE = 4


def fit_shape(image: np.ndarray, columns: np.ndarray, *, center: float) -> np.ndarray:
    """Fit gradient and curvature of the background along the rows, as polynomials in the row.

    image : ndarray of float, shape (n_rows, n_cols)
        Mean image, background in; NaN where it is not known.
    columns : ndarray of int
        Columns of the background.
    center : float
        Column of the trace, where the shape is 0.

    Returns the shape, (n_rows, n_cols), in the unit of the image: background minus its level at the trace.
    Raises TooFewPixels when no pixel is usable.
    """
    n_rows, n_cols = image.shape
    taken = image[:, columns]
    use = np.isfinite(taken)
    if not use.any():
        raise TooFewPixels("no usable pixel in the background columns of the mean image", n_usable=0)
    across = (np.arange(n_cols) - center) / n_cols
    both_sides = min((columns < center).sum(), (columns > center).sum()) >= MIN_SIDE
    along = np.polynomial.legendre.legvander(np.linspace(-1, 1, n_rows), ROW_ORDER)
    terms = [across**power for power in ((1, 2) if both_sides else (1,))]
    design = np.stack([along[:, k, None] * term for term in terms for k in range(ROW_ORDER + 1)], axis=-1)
    coefficients = _solve(design[:, columns], taken, use)
    return design @ coefficients


def _solve(design: np.ndarray, taken: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Return the least-squares coefficients, every row with a level of its own, far residuals left out."""
    for _ in range(ROUNDS):
        n = np.maximum(use.sum(axis=1), 1)[:, None]
        level = np.where(use, taken, 0).sum(axis=1, keepdims=True) / n
        mean = np.where(use[..., None], design, 0).sum(axis=1, keepdims=True) / n[..., None]
        values, matrix = (taken - level)[use], (design - mean)[use]
        coefficients = np.linalg.lstsq(matrix, values, rcond=None)[0]
        left = taken - level - (design - mean) @ coefficients
        scale = SIGMA_PER_MAD * np.median(np.abs(left[use]))
        kept = np.isfinite(taken) & (np.abs(left) <= max(CLIP_SIGMA * scale, 1e-12))
        if (kept == use).all() or not kept.any():
            break
        use = kept
    return coefficients


def measure_levels(
    data: np.ndarray,
    err: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    *,
    columns: np.ndarray,
    shape: np.ndarray,
) -> Background:
    """Measure the level of every row on `columns`, for a background of a known shape.

    Parameters
    ----------
    data, err, mask
        As in `background.measure_background`; data of shape (n_ints, n_rows, n_cols).
    columns : ndarray of int
        Columns of the background.
    shape : ndarray of float, shape (n_rows, n_cols)
        As `fit_shape` returns it.

    Returns
    -------
    Background
        The variance is that of a mean of the pixels used; the shape, common to all integrations, adds none.

    Notes
    -----
    The mean of the pixels within 5 robust sigmas of the row's median, pi/2 times better than the median.
    """
    values = gather(data, columns, mask) - shape[:, columns].astype(data.dtype)
    known = None if err is None else known_variance(gather(err, columns, None), values)
    noise = noise_variance(values, known)
    middle, _ = sorted_median(values)
    distance = np.abs(values - middle[..., None])
    reach = CLIP_SIGMA * np.maximum(SIGMA_PER_MAD * sorted_median(distance)[0], np.sqrt(noise))
    use = distance <= reach[..., None]
    n = use.sum(axis=-1)
    level = np.where(use, values, 0).sum(axis=-1, dtype=float) / np.maximum(n, 1)
    level, variance = bridge_empty_rows(level, noise / np.maximum(n, 1), n)
    image = (level[..., None] + shape).astype(data.dtype)
    return Background(image, variance, n)
