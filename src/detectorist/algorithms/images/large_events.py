"""Where large cosmic-ray events took groups from whole regions of an image.

The rate of a pixel that lost groups has the 1/f noise of those that are left. In scattered pixels that is noise like
any other; a region of a hundred pixels across is a patch of another level, which is neither light nor the noise of its
rows.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: Side of the bins, pixel, part of a bin that has jumps, and side (in bins) of the smallest event.
BIN_PIX, MOSTLY, LEAST_BINS = 4, 0.7, 3
#: Width of what surrounds a region, pixel, fewest pixels that tell its level, and least step over their scatter.
AROUND_PIX, LEAST_PIXELS, LEAST_STEP = 16, 200, 0.25
#: Least part of a region that must be seen: what is left between sources that cover the rest is light of theirs.
LEAST_PART = 0.25
#: Part of an image that such regions cover where they are no exception: long ramps have jumps everywhere.
MOST_OF_ALL = 0.5


def large_events(jumps: np.ndarray) -> np.ndarray:
    """Return where jumps cover regions of 12 x 12 pixels or more, and the bins about them, (ny, nx) bool.

    Nowhere, if that is most of the image: its ramps are alike then, jumps or not.

    jumps : ndarray of bool, shape (ny, nx)
        True where a group of the ramp has a jump.
    """
    ny, nx = (-(-n // BIN_PIX) for n in jumps.shape)
    if not jumps.any():
        return np.zeros(jumps.shape, bool)
    padded = np.zeros((ny * BIN_PIX, nx * BIN_PIX), np.uint8)
    padded[: jumps.shape[0], : jumps.shape[1]] = jumps
    covered = padded.reshape(ny, BIN_PIX, nx, BIN_PIX).sum(axis=(1, 3), dtype=np.uint8) >= MOSTLY * BIN_PIX**2
    square = np.ones((LEAST_BINS, LEAST_BINS), bool)
    found = ndimage.binary_dilation(ndimage.binary_opening(covered, square), np.ones((3, 3), bool))
    if found.mean() > MOST_OF_ALL:
        return np.zeros(jumps.shape, bool)
    return np.repeat(np.repeat(found, BIN_PIX, axis=0), BIN_PIX, axis=1)[: jumps.shape[0], : jumps.shape[1]]


def levels_of_events(image: np.ndarray, events: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return by how much regions of large events differ from what surrounds them, (ny, nx) float32, 0 elsewhere.

    image : ndarray of float, shape (ny, nx)
        Without 1/f noise, as far as it is that of the rows.
    events, mask : ndarray of bool, same shape
        Regions, and pixels that are not to be looked at: sources, bad pixels.

    Light goes on across the border of a region, the noise of other groups does not. Differences of less than
    `LEAST_STEP` of a pixel's scatter may be light, and stay.
    """
    levels = np.zeros(image.shape, np.float32)
    regions, _ = ndimage.label(events)
    for number, place in enumerate(ndimage.find_objects(regions), start=1):
        rows, columns = (slice(max(part.start - AROUND_PIX, 0), part.stop + AROUND_PIX) for part in place)
        here = regions[rows, columns] == number
        about = ndimage.binary_dilation(here, iterations=AROUND_PIX) & ~events[rows, columns]
        seen = ~mask[rows, columns] & np.isfinite(image[rows, columns])
        inside, outside = (image[rows, columns][one & seen] for one in (here, about))
        if min(inside.size, outside.size) < LEAST_PIXELS or inside.size < LEAST_PART * here.sum():
            continue
        step = float(np.median(inside) - np.median(outside))
        scatter = 1.4826 * float(np.median(np.abs(outside - np.median(outside))))
        if abs(step) > LEAST_STEP * scatter:
            levels[rows, columns][here] = step
    return levels
