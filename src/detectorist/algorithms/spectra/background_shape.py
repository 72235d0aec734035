"""Background of dispersed images with the same shape across the columns in all integrations.

The shape of the background hardly changes within an exposure, so gradient and curvature along a row are measured once,
on the mean image, as smooth functions of the row. For each integration only the level of its rows is measured, the mean
of all pixels beside the trace: no slope has to be extrapolated to the trace from columns that may all lie on one side
of it. A background that brightens does so everywhere in proportion, its gradient and curvature included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.spectra.background import (
    BLOCK_VALUES,
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
#: Rows that tell by how much a background is brighter than another, and the errors by which it must be.
MIN_ROWS, BRIGHTENING_SIGMA = 10, 3.0


@dataclass(frozen=True)
class Shape:
    """The background of a mean image.

    Attributes
    ----------
    across : ndarray of float, shape (n_rows, n_cols)
        Background minus its level at the trace, unit of the image.
    level : ndarray of float, shape (n_rows,)
        Level at the trace, a polynomial in the row: noise of its own would pass for a change of the background.
    """

    across: np.ndarray
    level: np.ndarray


def fit_shape(image: np.ndarray, columns: np.ndarray, *, center: float) -> Shape:
    """Fit gradient and curvature of the background along the rows, as polynomials in the row.

    image : ndarray of float, shape (n_rows, n_cols)
        Mean image, background in; NaN where it is not known.
    columns : ndarray of int
        Columns of the background.
    center : float
        Column of the trace, where the shape is 0.

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
    across = design @ _solve(design[:, columns], taken, use)
    level, n = sorted_median(np.where(use, taken - across[:, columns], np.nan))
    return Shape(across, along @ np.linalg.lstsq(along[n > 0], level[n > 0], rcond=None)[0])


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
    shape: Shape,
) -> Background:
    """Measure the level of every row on `columns`, for a background of a known shape.

    Parameters
    ----------
    data, err, mask
        As in `background.measure_background`; data of shape (n_ints, n_rows, n_cols).
    columns : ndarray of int
        Columns of the background.
    shape : Shape
        As `fit_shape` returns it.

    Returns
    -------
    Background
        The variance is that of a mean of the pixels used; the shape, common to all integrations, adds none.

    Notes
    -----
    The mean of the pixels within 5 robust sigmas of the row's median, pi/2 times better than the median.
    """
    beside = shape.across[:, columns].astype(data.dtype)
    known = None if err is None else _known(data, err, mask, columns)
    if known is None or not np.isfinite(known).all():
        known = noise_variance(gather(data, columns, mask) - beside, known)
    level, n = np.empty(data.shape[:2]), np.empty(data.shape[:2], int)
    for few in _few_integrations(data, columns):
        values = gather(data[few], columns, _part(mask, few)) - beside
        level[few], n[few] = _mean_of_near(values, known[few])
    level, variance = bridge_empty_rows(level, known / np.maximum(n, 1), n)
    image = np.empty(data.shape, data.dtype)
    for k in range(len(data)):  # not at once: a second cube in double precision
        brighter = brightening(level[k], shape.level, variance[k])
        at_trace = level[k] - (brighter - 1) * beside.mean(axis=1)
        image[k] = at_trace[:, None] + brighter * shape.across
    return Background(image, variance, n)


def brightening(level: np.ndarray, mean_level: np.ndarray, variance: np.ndarray) -> float:
    """Return by which factor the background of an integration is brighter than that of the mean image.

    Parameters
    ----------
    level, mean_level : ndarray of float, shape (n_rows,)
        Levels of the rows of the integration and of the mean image, in the same unit.
    variance : ndarray of float, shape (n_rows,)
        Variance of `level`.

    Returns
    -------
    float
        The slope of one level over the other. A constant that all rows share is an offset of the electronics and
        brightens nothing. A change that is not beyond BRIGHTENING_SIGMA times its error is none, and one beyond is
        shrunk as James and Stein (1961) do.
    """
    use = np.isfinite(level) & np.isfinite(variance) & (variance > 0)
    for _ in range(ROUNDS):
        if use.sum() < MIN_ROWS:
            return 1.0
        weight = np.where(use, 1 / np.where(use, variance, 1), 0)
        x, change = (np.where(use, one, 0) for one in (mean_level, level - mean_level))
        x, change = x - weight @ x / weight.sum(), change - weight @ change / weight.sum()
        lever = weight @ x**2
        if not lever > 0:
            return 1.0
        excess = weight @ (x * change) / lever
        left = np.abs(change - excess * x) * np.sqrt(weight)
        kept = use & (left <= CLIP_SIGMA * SIGMA_PER_MAD * max(float(np.median(left[use])), 1e-12))
        if (kept == use).all():
            break
        use = kept
    return 1.0 + excess * max(0.0, 1 - BRIGHTENING_SIGMA**2 / max(excess**2 * lever, 1e-30))


def _known(data: np.ndarray, err: np.ndarray, mask: np.ndarray | None, columns: np.ndarray) -> np.ndarray:
    """Return the variance of one pixel of every row, NaN where the errors do not tell it."""
    known = np.empty(data.shape[:2])
    for few in _few_integrations(data, columns):
        known[few] = known_variance(gather(err[few], columns, None), gather(data[few], columns, _part(mask, few)))
    return known


def _mean_of_near(values: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the values within 5 robust sigmas of their median, along the last axis, and their number."""
    middle, _ = sorted_median(values)
    distance = np.abs(values - middle[..., None])
    reach = CLIP_SIGMA * np.maximum(SIGMA_PER_MAD * sorted_median(distance)[0], np.sqrt(noise))
    use = distance <= reach[..., None]
    n = use.sum(axis=-1)
    return np.where(use, values, 0).sum(axis=-1, dtype=float) / np.maximum(n, 1), n


def _few_integrations(data: np.ndarray, columns: np.ndarray) -> list[slice]:
    """Return slices of integrations that stay in the processor's cache, and take little memory."""
    step = max(1, BLOCK_VALUES // (columns.size * data.shape[1]))
    return [slice(first, first + step) for first in range(0, len(data), step)]


def _part(mask: np.ndarray | None, few: slice) -> np.ndarray | None:
    return None if mask is None else mask[few]
