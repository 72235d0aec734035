"""Where the star behind a mask is, and how noise falls with the distance from it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from detectorist.algorithms.median_filter import median_filter
from detectorist.algorithms.medians import median

#: Rings with fewer usable pixels tell no scatter.
FEWEST_PIXELS = 20


def find_star(image: np.ndarray) -> tuple[float, float]:
    """Return (x, y) of the centre of a halo: the mean of the brightest 2 % of a smoothed image, weighted by light.

    Single bright pixels, as hot ones that nobody flagged, do not count: a few of them could outshine a halo.
    """
    filled = np.nan_to_num(np.asarray(image, float), nan=float(np.nanmedian(image)))
    smooth = ndimage.gaussian_filter(median_filter(filled, 3), 3.0)
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
    with fewer than `FEWEST_PIXELS` usable pixels are left out.
    """
    known = np.isfinite(image)
    reach = int(np.ceil(aperture_radius_pix))
    yy, xx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (np.hypot(yy, xx) <= aperture_radius_pix).astype(float)
    light = ndimage.convolve(np.where(known, image, 0.0), disk, mode="constant")
    whole = ndimage.convolve(known.astype(float), disk, mode="constant") > 0.8 * disk.sum()
    y, x = np.indices(image.shape)
    radius = np.hypot(x - centre[0], y - centre[1])
    lows = np.arange(step_pix, radius[whole].max(initial=0), step_pix)
    number = np.searchsorted(lows, radius[whole], side="right")
    # Rings one after the other, the first of them the pixels within the first radius.
    rings = np.split(light[whole][np.argsort(number, kind="stable")], np.cumsum(np.bincount(number))[:-1])
    radii, noise = [], []
    for low, values in zip(lows, rings[1:], strict=False):
        if values.size >= FEWEST_PIXELS:
            radii.append(low + step_pix / 2)
            noise.append(1.4826 * median(np.abs(values - median(values))))
    return np.array(radii), np.array(noise)
