"""Noise of apertures on empty sky: how faint a source an image can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from photutils.aperture import CircularAperture
from scipy.ndimage import distance_transform_edt
from scipy.signal import fftconvolve


@dataclass(frozen=True)
class ApertureNoise:
    """Noise of circular apertures on empty sky.

    Attributes
    ----------
    noise : float
        Robust standard deviation of the sums over apertures, unit of the image times pixels.
    expected : float
        What independent pixels with the stated errors give; NaN without errors.
    n_apertures : int
        Apertures that do not overlap and touch no source.
    """

    noise: float
    expected: float
    n_apertures: int


def measure_aperture_noise(
    image: np.ndarray, mask: np.ndarray, *, radius_pix: float, error: np.ndarray | None = None, ring_pix: float = 0.0
) -> ApertureNoise:
    """Measure the scatter of sums over circular apertures on a grid of empty places.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Non-finite pixels count as masked.
    mask : ndarray of bool, shape (ny, nx)
        True on sources and where a pixel must not be used.
    radius_pix : float
        Of the aperture.
    error : ndarray of float, shape (ny, nx), optional
        Standard deviation of each pixel.
    ring_pix : float
        Width of a ring around each aperture (from twice its radius on) whose mean is subtracted as background; 0: none.

    Returns
    -------
    ApertureNoise
        NaN where fewer than two apertures fit.
    """
    bad = mask | ~np.isfinite(image)
    reach = max(radius_pix, 2 * radius_pix + ring_pix if ring_pix else 0.0) + 1
    kernel = _disk(radius_pix, int(np.ceil(reach)))
    if ring_pix:
        ring = _disk(2 * radius_pix + ring_pix, int(np.ceil(reach))) - _disk(2 * radius_pix, int(np.ceil(reach)))
        kernel = kernel - ring * (kernel.sum() / ring.sum())
    rows, columns = _empty_places(bad, reach, step=int(np.ceil(2 * radius_pix)) + 1)
    if rows.size < 2:
        return ApertureNoise(float("nan"), float("nan"), int(rows.size))
    sums = fftconvolve(np.where(bad, 0.0, image), kernel, mode="same")[rows, columns]
    noise = 1.4826 * float(np.median(np.abs(sums - np.median(sums))))
    expected = float("nan")
    if error is not None:
        variance = np.where(bad | ~np.isfinite(error), 0.0, error) ** 2
        expected = float(np.sqrt(np.median(fftconvolve(variance, kernel**2, mode="same")[rows, columns])))
    return ApertureNoise(noise, expected, int(rows.size))


def _disk(radius_pix: float, half: int) -> np.ndarray:
    """Return the share of every pixel that lies within a circle, shape (2 half + 1, 2 half + 1)."""
    size = 2 * half + 1
    return np.asarray(CircularAperture((half, half), radius_pix).to_mask(method="exact").to_image((size, size)))


def _empty_places(bad: np.ndarray, reach: float, *, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of a grid of places further than `reach` from any bad pixel and from the border."""
    far = distance_transform_edt(np.pad(~bad, 1))[1:-1, 1:-1] > reach
    rows, columns = np.nonzero(far[::step, ::step])
    return rows * step, columns * step
