"""The image of a point source by the primary mirror of JWST without aberrations."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

#: Segments from flat to flat and the gaps between them, m; struts of the secondary mirror, m (JDox, "JWST Telescope").
SEGMENT_M, GAP_M, STRUT_M = 1.32, 0.007, 0.11
#: Directions in which the struts run from the centre, degrees from up.
_STRUTS_DEG = (0.0, 150.0, 210.0)
#: Fewest samples across the array that holds the mirror, and samples per pixel of the detector.
_SAMPLES, _OVERSAMPLING = 512, 4
_ARCSEC = np.pi / 180 / 3600


def mirror_psf(wavelength_um: float, pixel_arcsec: float, *, size_pix: int = 41) -> np.ndarray:
    """Return the diffraction pattern of the primary mirror, integrated over pixels: sum 1 over all the sky.

    wavelength_um : float
    pixel_arcsec : float
    size_pix : int
        Odd; the source is on the middle of the pixel in the middle.

    Returns
    -------
    ndarray of float, shape (size_pix, size_pix)

    Monochromatic; a real image is wider by a few per cent, and a mask that is near dims and distorts it: for absolute
    fluxes take one of STPSF (Perrin et al. 2014).
    """
    step = pixel_arcsec / _OVERSAMPLING * _ARCSEC
    n_samples = max(_SAMPLES, 2 ** int(np.ceil(np.log2(2 * _OVERSAMPLING * size_pix))))
    # The transform of n samples that are d apart has steps of wavelength / (n d) on the sky.
    apart_m = wavelength_um * 1e-6 / (step * n_samples)
    y, x = (np.indices((n_samples, n_samples)) - n_samples // 2) * apart_m
    light = np.abs(fft.fftshift(fft.fft2(fft.ifftshift(primary_mirror(x, y).astype(float))))) ** 2
    light /= light.sum()
    pixel = np.array([0.5, *np.ones(_OVERSAMPLING - 1), 0.5])
    for axis in (0, 1):
        light = ndimage.correlate1d(light, pixel, axis=axis, mode="wrap")
    middle_sample = n_samples // 2
    half = size_pix // 2 * _OVERSAMPLING
    middle = slice(middle_sample - half, middle_sample + half + 1, _OVERSAMPLING)
    return light[middle, middle]


def primary_mirror(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return True where the primary mirror reflects; x and y in m from its centre."""
    pitch = SEGMENT_M + GAP_M
    inside = np.zeros(np.shape(x), bool)
    for q in range(-2, 3):
        for r in range(-2, 3):
            if 0 < max(abs(q), abs(r), abs(q + r)) <= 2:
                centre = pitch * (np.sqrt(3) / 2) * q, pitch * (r + q / 2)
                inside |= _hexagon(x - centre[0], y - centre[1])
    for angle in np.radians(_STRUTS_DEG):
        along, across = x * np.sin(angle) + y * np.cos(angle), x * np.cos(angle) - y * np.sin(angle)
        inside &= ~((along > 0) & (np.abs(across) < STRUT_M / 2))
    return inside


def _hexagon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sides = (np.abs(x * np.sin(angle) + y * np.cos(angle)) for angle in np.radians((0.0, 60.0, 120.0)))
    return np.maximum.reduce(list(sides)) <= SEGMENT_M / 2
