"""A first look at a coronagraphic image without its star: a scaled and shifted image of a reference star subtracted.

For companions and limits that are published, subtract a model made from all references (Lafreniere et al. 2007;
Soummer et al. 2012).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

#: Rounds in which pixels that do not fit are left out, and where they begin, in robust standard deviations.
ROUNDS, CLIP_SIGMA = 4, 4.0
#: Pixels of the halo that are fitted: the brightest share of the reference.
FITTED_SHARE = 0.35
#: Largest shift (pixel) for which the first derivative describes it.
MOST_SHIFT_PIX = 1.5


class Subtraction(NamedTuple):
    """An image without its star.

    image : ndarray of float, shape (ny, nx), what is left, unit of the image; NaN where either is unknown.
    scale : float, brightness of the star over that of the reference star.
    shift_pix : tuple of float, by which the reference was moved, along columns and rows.
    scatter : float, robust standard deviation of what is left on the halo.
    """

    image: np.ndarray
    scale: float
    shift_pix: tuple[float, float]
    scatter: float


def subtract_reference(image: np.ndarray, reference: np.ndarray) -> Subtraction:
    """Subtract an image of a reference star, scaled, shifted and levelled to fit.

    image, reference : ndarray of float, shape (ny, nx)
        One unit, not finite where unknown.

    The shift is that of a first-order expansion, so good to a pixel. A companion is left out of the fit as pixels that
    do not fit.
    """
    image, reference = np.asarray(image, float), np.asarray(reference, float)
    known = np.isfinite(image) & np.isfinite(reference)
    if known.sum() < 100:
        return Subtraction(np.full(image.shape, np.nan), 0.0, (0.0, 0.0), float("nan"))
    filled = np.where(known, reference, np.median(reference[known]))
    # Derivatives of noise are noise: those of an image smoothed a little do as well.
    smooth = ndimage.gaussian_filter(filled, 0.7)
    columns = np.stack([filled, np.gradient(smooth, axis=1), np.gradient(smooth, axis=0), np.ones_like(filled)])
    used = known & (smooth >= np.quantile(smooth[known], 1 - FITTED_SHARE))
    for _ in range(ROUNDS):
        factors = np.linalg.lstsq(columns[:, used].T, image[used], rcond=None)[0]
        rest = image - np.tensordot(factors, columns, 1)
        spread = 1.4826 * float(np.median(np.abs(rest[used] - np.median(rest[used])))) or 1e-12
        used &= np.abs(rest) < CLIP_SIGMA * 3 * spread
    scale = float(factors[0]) or 1e-12
    shift = tuple(float(np.clip(-one / scale, -MOST_SHIFT_PIX, MOST_SHIFT_PIX)) for one in factors[1:3])
    return Subtraction(np.where(known, rest, np.nan), scale, shift, spread)


def find_star(image: np.ndarray) -> tuple[float, float]:
    """Return (x, y) of the centre of a halo: the mean of the brightest 2 % of a smoothed image, weighted by light."""
    filled = np.nan_to_num(np.asarray(image, float), nan=float(np.nanmedian(image)))
    smooth = ndimage.gaussian_filter(filled, 3.0)
    light = smooth - np.quantile(smooth, 0.98)
    y, x = np.nonzero(light > 0)
    weight = light[y, x]
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


def measure_radial_noise(
    image: np.ndarray, centre: tuple[float, float], *, aperture_radius_pix: float = 2.0, step_pix: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (radius in pixels, scatter of the light in apertures) on rings about the star.

    image : ndarray of float, shape (ny, nx), without the star; NaN where unknown.
    centre : (x, y), pixel.

    The light is summed within `aperture_radius_pix`; the scatter is robust, so that a companion does not count. Rings
    with fewer than 20 usable pixels are left out.
    """
    known = np.isfinite(image)
    reach = int(np.ceil(aperture_radius_pix))
    yy, xx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (np.hypot(yy, xx) <= aperture_radius_pix).astype(float)
    light = ndimage.convolve(np.where(known, image, 0.0), disk, mode="constant")
    whole = ndimage.convolve(known.astype(float), disk, mode="constant") > 0.8 * disk.sum()
    y, x = np.indices(image.shape)
    radius = np.hypot(x - centre[0], y - centre[1])
    radii, noise = [], []
    for low in np.arange(step_pix, radius[whole].max(initial=0), step_pix):
        ring = whole & (radius >= low) & (radius < low + step_pix)
        if ring.sum() >= 20:
            values = light[ring]
            radii.append(low + step_pix / 2)
            noise.append(1.4826 * float(np.median(np.abs(values - np.median(values)))))
    return np.array(radii), np.array(noise)
