"""Wavelet denoising of an image that keeps significant structure at full resolution."""

from __future__ import annotations

import numpy as np

#: The B3 spline of the stationary ("a trous") wavelets (Starck & Murtagh 1994, A&A 288, 342).
SPLINE = np.array([1, 4, 6, 4, 1], np.float32) / 16
#: Coefficients whose surroundings have so many times the power of the noise go, those of twice that stay.
NOISE_POWER = 1.5
#: Details from this scale on (4 pixels) stay where coarse light is brighter than its noise: not at all at three sigma,
#: altogether from six on. Faint light there has details below the noise, and is missed by their absence.
KEPT_FROM, KEPT_SIGMA = 2, 3.0
#: Standard deviation of a Gaussian in units of its median absolute deviation.
MAD_TO_SIGMA = 1.4826


def remove_noise(image: np.ndarray, *, n_scales: int = 4) -> np.ndarray:
    """Return an image (ny, nx) float32 without the noise measured in its darker half; 0 where it is not finite.

    n_scales : int
        Wavelet scales, doubling from 1 pixel; what is coarser stays as it is.

    Light above the noise is not changed, so that its strength is preserved: where coarse light is seen, details of 4
    pixels and more stay with their noise. About 0.1 s for a full frame.
    """
    from detectorist.algorithms.wisps._wavelets_nb import add_significant, spread

    smooth = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    details = []
    for scale in range(n_scales):
        coarser = spread(smooth, 2**scale, SPLINE)
        details.append(np.subtract(smooth, coarser, out=smooth))
        smooth = coarser
    level = np.median(smooth[::8, ::8])
    dark = smooth[::8, ::8] <= level
    kept = _lit(smooth, level, MAD_TO_SIGMA * float(np.median(level - smooth[::8, ::8][dark])))
    nothing = np.zeros_like(kept)
    for scale, detail in enumerate(details):
        noise = (MAD_TO_SIGMA * float(np.median(np.abs(detail[::8, ::8][dark])))) ** 2
        least = kept if scale >= KEPT_FROM else nothing
        add_significant(smooth, detail, 2 * 2**scale, max(NOISE_POWER * noise, 1e-30), least)
    return smooth


def _lit(smooth, level, scatter):
    """Return by how much coarse light stands out of its noise, from 0 to 1, (ny, nx) float32."""
    if scatter <= 0:
        return np.zeros_like(smooth)
    return np.clip((smooth - level) / np.float32(KEPT_SIGMA * scatter) - 1, 0, 1)
