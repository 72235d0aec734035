"""The outskirts of large sources: light faint and smooth enough to be subtracted rather than masked.

Under a mask 1/f noise is known only from the pixels beside it, so the wide mask of a galaxy costs most of the
precision of the rows that it crosses. Its outskirts change little over many rows, the noise does from row to row: the
level of a plane fitted around a place (Cleveland 1979, JASA 74, 829) is light. Noise that is equally smooth stays with
the light, as it does under a mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from detectorist.algorithms.images.local_planes import bin_image, fit_planes

#: Standard deviation of a Gaussian in units of its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Size of the square bins, and the width (sigma) of the Gaussian weights of the planes, pixel.
BIN_PIX, KERNEL_PIX = 4, 12.0
#: Brightest light of a pixel, in its white noise: where it is more, a small error of its shape is more than 1/f noise.
MOST_SIGMA = 1.0
#: Width (sigma, pixel) of what counts as compact, and by how much of the scatter it must rise above the planes.
COMPACT_PIX, COMPACT_SIGMA = 2.4, 4.0
#: Smallest side of a mask with outskirts, pixel: the wings of compact sources are not smooth.
LEAST_SIDE_PIX = 36
#: Part of the weights about a place that must be seen.
LEAST_SEEN = 0.1


class DiffuseLight(NamedTuple):
    """Result of `model_diffuse_light`."""

    light: np.ndarray  # (ny, nx) float32, 0 where not known
    known: np.ndarray  # (ny, nx) bool, masked pixels that can be used once it is subtracted


def model_diffuse_light(image: np.ndarray, bad: np.ndarray, mask: np.ndarray, *, white: float) -> DiffuseLight:
    """Model the light of outskirts.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Without 1/f noise as far as known from unmasked pixels, the sky at 0. Bad pixels have no influence.
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    mask : ndarray of bool, shape (ny, nx)
        True on sources.
    white : float
        Standard deviation of a pixel's white noise, unit of the image.

    Returns
    -------
    DiffuseLight

    Notes
    -----
    Left out are light brighter than the white noise of a pixel, compact sources within outskirts, and masks narrower
    than 36 pixels. The bias of a plane, half the curvature times the kernel's variance, is removed to first order by a
    second fit to the residuals of the first. About 0.2 s and 10 bytes per pixel for a full frame.
    """
    ny, nx = image.shape
    usable = ~bad & np.isfinite(image)
    total, count = bin_image(image, usable, BIN_PIX)
    wide = _opened(_binned(mask), round(LEAST_SIDE_PIX / BIN_PIX))
    if not wide.any():
        return DiffuseLight(np.zeros((ny, nx), np.float32), np.zeros((ny, nx), bool))
    width = COMPACT_PIX / BIN_PIX
    sharp = ndimage.gaussian_filter(total, width) / np.maximum(ndimage.gaussian_filter(count, width), 1e-3)
    excluded = _surrounded(sharp > MOST_SIGMA * white)
    above = sharp - _planes(total, np.where(excluded, 0, count))[0]
    # 1/f noise that the sketch does not know of is in the scatter: rows are not compact sources.
    places = above[wide & ~excluded]
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(places))) if places.size else 0.0
    scatter = max(scatter, white / np.sqrt(4 * np.pi * (COMPACT_PIX**2 + BIN_PIX**2 / 12)))
    excluded |= _surrounded(above > COMPACT_SIGMA * scatter)
    light, seen = _planes(total, np.where(excluded, 0, count))
    known = mask & _on_pixels(wide & ~excluded & seen, mask.shape)
    return DiffuseLight(np.where(known, _on_pixels(light, mask.shape), 0).astype(np.float32), known)


def _planes(total, count):
    """Return the level at every bin of a plane fitted around it, and where enough bins are seen."""
    level, weight = fit_planes(total, count, KERNEL_PIX / BIN_PIX)
    return level, weight > LEAST_SEEN * BIN_PIX**2


def _binned(mask):
    """Return bins of which any pixel is masked."""
    ny, nx = (-(-n // BIN_PIX) * BIN_PIX for n in mask.shape)
    padded = np.zeros((ny, nx), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return padded.reshape(ny // BIN_PIX, BIN_PIX, nx // BIN_PIX, BIN_PIX).any(axis=(1, 3))


def _opened(mask, side):
    """Return the parts of a mask into which squares fit."""
    shrunk = ndimage.minimum_filter(mask, side, mode="nearest")
    return ndimage.maximum_filter(shrunk, side, mode="nearest", origin=0 if side % 2 else -1)


def _surrounded(mask):
    """Return a mask with the bins around it."""
    return ndimage.maximum_filter(mask, 3)


def _on_pixels(bins, shape):
    """Return bins on the pixels."""
    return np.repeat(np.repeat(bins, BIN_PIX, axis=0), BIN_PIX, axis=1)[: shape[0], : shape[1]]
