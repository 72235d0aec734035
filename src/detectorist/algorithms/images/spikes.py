"""Single pixels that stand out from all their neighbours: cosmic rays and hot pixels that nothing has flagged."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: The eight neighbours of a pixel.
_RING = np.ones((3, 3), bool)
_RING[1, 1] = False


def find_spikes(image: np.ndarray, error: np.ndarray, mask: np.ndarray, *, least_sigma: float = 8.0) -> np.ndarray:
    """Return where a pixel is brighter than the brightest of its neighbours by `least_sigma`, bool, shape (ny, nx).

    image, error : ndarray of float, shape (ny, nx)
        One unit. Pixels that are not finite, or without an error, are not judged and are no neighbours.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel is not judged: bad pixels and sources.

    A star spreads over its neighbours, also where the pixels are large. The brightest neighbour is taken to be as
    noisy as the pixel itself.
    """
    known = np.isfinite(image) & np.isfinite(error) & (error > 0) & ~np.asarray(mask, bool)
    filled = np.where(known, image, -np.inf).astype(np.float32)
    highest = ndimage.maximum_filter(filled, footprint=_RING, mode="constant", cval=-np.inf)
    judged = known & np.isfinite(highest)
    return judged & (np.where(judged, image - np.where(judged, highest, 0), 0) > least_sigma * np.sqrt(2) * error)
