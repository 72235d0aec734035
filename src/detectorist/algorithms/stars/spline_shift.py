"""A cubic spline of an image, moved by part of a pixel: all pixels move alike, so that rows and columns part."""

from __future__ import annotations

import numpy as np


def shift_spline(coefficients: np.ndarray, shift_pix: tuple[float, float]) -> np.ndarray:
    """Return an image (ny, nx) moved towards higher columns and rows.

    coefficients : ndarray of float, shape (ny, nx)
        As `scipy.ndimage.spline_filter` returns them for cubic splines.
    shift_pix : (x, y)
        Along columns and rows.

    What enters at a border has the value of the border. As `scipy.ndimage.shift(..., mode="nearest",
    prefilter=False)` in a third of the time, for that computes the sixteen weights of every pixel anew; and it does not
    return the image itself at the borders where nothing is moved.
    """
    moved = coefficients
    for axis, shift in ((0, shift_pix[1]), (1, shift_pix[0])):
        moved = _along(moved, axis, shift)
    return moved


def _along(values: np.ndarray, axis: int, shift: float) -> np.ndarray:
    """Return the sums of four neighbours along an axis, with the weights of a cubic B-spline."""
    n = values.shape[axis]
    place = np.clip(np.arange(n) - shift, 0, n - 1)
    first = np.floor(place).astype(int)
    part = place - first
    weights = ((1 - part) ** 3, 4 - 6 * part**2 + 3 * part**3, 1 + 3 * part + 3 * part**2 - 3 * part**3, part**3)
    total = np.zeros(values.shape)
    for step, weight in enumerate(weights, -1):
        taken = values.take(_mirrored(first + step, n), axis)
        total += taken * np.expand_dims(weight / 6, 1 - axis)
    return total


def _mirrored(places: np.ndarray, n: int) -> np.ndarray:
    """Return places within 0 and n - 1, mirrored about these."""
    return np.zeros_like(places) if n == 1 else n - 1 - np.abs(n - 1 - np.abs(places))
