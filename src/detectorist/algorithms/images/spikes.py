"""Single pixels that stand out from all their neighbours: cosmic rays and hot pixels that nothing has flagged."""

from __future__ import annotations

import numpy as np

#: Rows and columns from a pixel to its neighbours.
_RING = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
#: A part of the least significance that no rounding makes up for.
_SAFE = np.float32(0.99)


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
    filled = np.full((image.shape[0] + 2, image.shape[1] + 2), -np.inf, np.float32)
    np.copyto(filled[1:-1, 1:-1], image, where=known, casting="same_kind")
    least = least_sigma * np.sqrt(2)
    # Few pixels are so much brighter than those to the left and right: only these are compared with all neighbours.
    beside = np.maximum(filled[1:-1, :-2], filled[1:-1, 2:])
    above = image.astype(np.float32, copy=False) - beside
    y, x = np.nonzero(known & (above > _SAFE * np.float32(least) * error.astype(np.float32, copy=False)))
    highest = np.max([filled[y + 1 + dy, x + 1 + dx] for dy, dx in _RING], axis=0)
    stands_out = np.isfinite(highest) & (image[y, x] - highest > least * error[y, x])
    found = np.zeros(image.shape, bool)
    found[y[stands_out], x[stands_out]] = True
    return found
