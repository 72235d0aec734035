"""Images as coloured pixels."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps

from detectorist.figures.style import DIFFERENCE_CMAP, IMAGE_CMAP

#: Pixels of an image along its longer side.
LARGEST_PIX = 640


def limits_of(image: np.ndarray, percentile: float = 1.0) -> tuple[float, float]:
    """Return the stretch that leaves out `percentile` % of the finite pixels on either side; (0, 1) without any."""
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [percentile, 100 - percentile])
    return float(low), float(high) if high > low else float(low) + 1.0


def colour(
    image: np.ndarray, limits: tuple[float, float], *, difference: bool = False, largest_pix: int = LARGEST_PIX
) -> np.ndarray:
    """Return an image as uint8 of shape (ny, nx, 3), first row at the bottom of the page, shrunk to `largest_pix`.

    Pixels that are not finite are grey. Shrinking averages blocks of pixels: what is left of the noise is that of the
    mean.
    """
    small = shrink(np.asarray(image, float), largest_pix)
    low, high = limits
    scaled = np.clip((small - low) / (high - low), 0, 1)
    coloured = colormaps[DIFFERENCE_CMAP if difference else IMAGE_CMAP](np.nan_to_num(scaled), bytes=True)[..., :3]
    coloured[~np.isfinite(small)] = 128
    return np.ascontiguousarray(coloured[::-1])


def shrink(image: np.ndarray, largest_pix: int) -> np.ndarray:
    """Return an image averaged over square blocks so that its longer side has at most `largest_pix` pixels."""
    block = -(-max(image.shape) // largest_pix)
    if block <= 1:
        return image
    ny, nx = (max(size // block, 1) for size in image.shape)
    by, bx = min(block, image.shape[0]), min(block, image.shape[1])
    cut = image[: ny * by, : nx * bx].reshape(ny, by, nx, bx)
    known = np.isfinite(cut)
    count = known.sum(axis=(1, 3))
    total = np.where(known, cut, 0).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
