"""Images of a reference star, moved so that their halos lie on that of another image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.stars.spline_shift import shift_spline

#: Pixels of the halo that are compared: the brightest share of the reference.
COMPARED_SHARE = 0.35
#: Largest shift (pixel) that is looked for: dithers behind a mask are a few tenths of a pixel.
MOST_SHIFT_PIX = 5.0
#: Steps of the shift, each at most one pixel, and the change below which no other follows.
STEPS, CONVERGED_PIX = 12, 1e-3
#: Rounds in which pixels that do not fit are left out, and where they begin, in robust standard deviations.
ROUNDS, CLIP_SIGMA = 3, 8.0
#: Fewest pixels that an alignment needs.
LEAST_PIXELS = 100
#: Part of a moved pixel that may come from pixels whose value is that of their neighbours.
MOST_FILLED = 0.5
#: Width (sigma, pixel) of the kernel that fills unknown pixels, and of that which derivatives are taken behind.
_FILL_PIX, _SMOOTH_PIX = 1.0, 0.7


class Alignment(NamedTuple):
    """A reference on the place of another image.

    image : ndarray of float, shape (ny, nx), the reference moved, brightness as it was; no NaN.
    known : ndarray of bool, shape (ny, nx), where the moved reference rests mostly on known pixels.
    scale : float, brightness of the star over that of the reference star.
    shift_pix : (x, y), by which the reference was moved, along columns and rows.
    scatter : float, robust standard deviation of the difference on the halo; NaN if there is nothing to compare.
    """

    image: np.ndarray
    known: np.ndarray
    scale: float
    shift_pix: tuple[float, float]
    scatter: float


def fill_unknown(image: np.ndarray) -> np.ndarray:
    """Return an image without NaN: unknown pixels from their neighbours, in large holes the median."""
    image = np.asarray(image, float)
    known = np.isfinite(image)
    if known.all() or not known.any():
        return np.nan_to_num(image)
    light, share = (
        ndimage.gaussian_filter(one, _FILL_PIX) for one in (np.where(known, image, 0.0), known.astype(float))
    )
    near = np.where(share > 0.01, light / np.maximum(share, 0.01), np.median(image[known]))
    return np.where(known, image, near)


def align_reference(image: np.ndarray, reference: np.ndarray) -> Alignment:
    """Move an image of a reference star, by least squares, to where it lies under another.

    image, reference : ndarray of float, shape (ny, nx)
        One unit, not finite where unknown.

    Scale, level and shift are fitted on the halo, the shift by steps of Gauss and Newton; a companion is left out as
    pixels that do not fit. The reference is moved by a cubic spline.

    Raises
    ------
    ValueError
        When the shapes differ.
    """
    image, reference = np.asarray(image, float), np.asarray(reference, float)
    if image.shape != reference.shape:
        raise ValueError(f"the reference has shape {reference.shape}, the image {image.shape}")
    filled, unknown = fill_unknown(reference), ~np.isfinite(reference)
    known = np.isfinite(image) & ~unknown
    if known.sum() < LEAST_PIXELS:
        return Alignment(filled, ~unknown, 0.0, (0.0, 0.0), float("nan"))
    smooth = ndimage.gaussian_filter(filled, _SMOOTH_PIX)
    compared = known & (smooth >= np.quantile(smooth[known], 1 - COMPARED_SHARE))
    spline = ndimage.spline_filter(filled, order=3)
    shift = np.zeros(2)
    for _ in range(STEPS):
        moved = shift_spline(spline, (shift[0], shift[1]))
        factors, scatter = _fit(image, moved, compared)
        step = np.clip(-factors[1:3] / (factors[0] or 1e-12), -1.0, 1.0)
        shift = np.clip(shift + step, -MOST_SHIFT_PIX, MOST_SHIFT_PIX)
        if np.abs(step).max() < CONVERGED_PIX:
            break
    shares = ndimage.shift(unknown.astype(float), shift[::-1], order=1, mode="nearest", prefilter=False)
    by = (float(shift[0]), float(shift[1]))
    return Alignment(shift_spline(spline, by), shares <= MOST_FILLED, float(factors[0]), by, scatter)


def unmoved(image: np.ndarray, reference: np.ndarray) -> Alignment:
    """Return a reference unmoved: the light that a mask lets through moves with the mask, not with the star.

    Shapes and units as in `align_reference`.
    """
    known = np.isfinite(image) & np.isfinite(reference)
    filled = fill_unknown(reference)
    if known.sum() < LEAST_PIXELS:
        return Alignment(filled, np.isfinite(reference), 0.0, (0.0, 0.0), float("nan"))
    bright = known & (filled >= np.quantile(filled[known], 1 - COMPARED_SHARE))
    factors, scatter = _fit(image, filled, bright, 0)
    return Alignment(filled, np.isfinite(reference), float(factors[0]), (0.0, 0.0), scatter)


def _fit(
    image: np.ndarray, reference: np.ndarray, compared: np.ndarray, n_directions: int = 2
) -> tuple[np.ndarray, float]:
    """Return factors of the reference, of its derivatives along columns and rows, and of a level; and the scatter."""
    parts = [reference[compared]]
    if n_directions:
        # Derivatives of noise are noise: those of an image smoothed a little do as well.
        smooth = ndimage.gaussian_filter(reference, _SMOOTH_PIX)
        parts += [np.gradient(smooth, axis=axis)[compared] for axis in (1, 0)[:n_directions]]
    rows = np.stack([*parts, np.ones_like(parts[0])])
    values = image[compared]
    used = np.ones(values.size, bool)
    for _ in range(ROUNDS):
        these, data = (rows, values) if used.all() else (rows[:, used], values[used])
        factors = _least_squares(these, data)
        rest = values - factors @ rows
        kept = rest if used.all() else rest[used]
        scatter = 1.4826 * float(typed_median(np.abs(kept - typed_median(kept))))
        fitting = np.abs(rest) <= CLIP_SIGMA * scatter
        fitting = fitting if fitting.sum() >= LEAST_PIXELS // 2 else used
        if np.array_equal(fitting, used):  # another round would find the same
            break
        used = fitting
    return factors, scatter


def _least_squares(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the factors (n,) with which the sum of `rows` (n, n_pix) is closest to values (n_pix,).

    By the normal equations of rows of length 1, a fifth of the time of a decomposition: there are few rows, and far
    from alike.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    lengths[lengths == 0] = 1.0
    normal = rows @ rows.T / (lengths[:, None] * lengths)
    return np.linalg.lstsq(normal, rows @ values / lengths, rcond=None)[0] / lengths
