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
#: Least part of a region that must be seen: what is left between sources that cover the rest is light of theirs. And of
#: what surrounds it: within regions sources are not masked, and where most is masked beside one only faint light is
#: seen there.
LEAST_PART, LEAST_AROUND = 0.25, 0.5
#: A step is more than light if it is so many times the rms of steps of the same region elsewhere near, of so many at
#: least.
MORE_THAN_LIGHT, LEAST_ELSEWHERE = 3.0, 2
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
    `LEAST_STEP` of a pixel's scatter may be light, and stay; so do those that the same region makes of light beside
    where it is, as in a nebula.
    """
    levels = np.zeros(image.shape, np.float32)
    seen = ~mask & np.isfinite(image)
    regions, _ = ndimage.label(events)
    for number, place in enumerate(ndimage.find_objects(regions), start=1):
        corner = np.array([max(part.start - AROUND_PIX, 0) for part in place])
        window = tuple(slice(first, part.stop + AROUND_PIX) for first, part in zip(corner, place, strict=True))
        here = regions[window] == number
        about = np.stack(np.nonzero(ndimage.binary_dilation(here, iterations=AROUND_PIX) & ~events[window]))
        inside = np.stack(np.nonzero(here))
        found = _step(image, seen, inside + corner[:, None], about + corner[:, None])
        if found is None or abs(found[0]) <= LEAST_STEP * found[1]:
            continue
        elsewhere = [
            _step(image, seen & ~events, inside + shifted[:, None], about + shifted[:, None])
            for shifted in corner + _shifts(here.shape)
        ]
        steps = np.array([one[0] for one in elsewhere if one is not None])
        if steps.size < LEAST_ELSEWHERE or abs(found[0]) > MORE_THAN_LIGHT * np.sqrt(np.mean(steps**2)):
            levels[window][here] = found[0]
    return levels


def _shifts(shape):
    """Return by how much a region of given shape is displaced to its eight neighbours, (8, 2)."""
    return np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]) * shape


def _step(image, seen, inside, about):
    """Return by how much one set of pixels (2, n) differs from another, and the scatter of that; None if too few are
    seen."""
    values = []
    for pixels, least in ((inside, LEAST_PART), (about, LEAST_AROUND)):
        y, x = pixels[:, ((pixels >= 0) & (pixels < np.array([image.shape]).T)).all(axis=0)]
        values.append(image[y, x][seen[y, x]])
        if values[-1].size < max(LEAST_PIXELS, least * y.size):
            return None
    level = float(np.median(values[1]))
    return float(np.median(values[0])) - level, 1.4826 * float(np.median(np.abs(values[1] - level)))
