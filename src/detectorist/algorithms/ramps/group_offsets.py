"""The offset that all pixels of a group have in common, relative to straight ramps.

The decay after a reset, the pull on the last frame and residual drift move the dark pixels of a group together, odd and
even rows separately. Measured on pixels beside the star, against straight lines through the later part of their ramps,
it can be subtracted: groups that would have to be dropped stay usable, and slopes do not change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.ramps._group_offsets_nb import medians_of_columns, medians_of_departures
from detectorist.algorithms.ramps.refpix import N_OUTPUTS
from detectorist.libraries import idle_cores

#: Columns up to this quantile of brightness are taken for those beside the star.
FAINT_QUANTILE = 0.5
#: Pixels of each row parity needed.
MIN_PIXELS = 100
#: Groups of the middle that a line takes at least.
MIN_MIDDLE = 2


@dataclass(frozen=True)
class GroupOffsets:
    """Offsets of the groups, and how well they are known."""

    offset: np.ndarray  # (n_ints, n_groups, 2) DN, even and odd rows; 0 where not measurable
    noise_dn: float  # standard error of an offset, typical
    n_pixels: int  # behind each, of the row parity with fewer


def middle_groups(n_groups: int) -> slice:
    """Return the groups that lines are fitted to: the second half, in which a decay has ended, without the last one.

    Of a few groups two at least: which line is taken makes no difference to the light of a star. Another one changes
    the slopes of all pixels alike, and the background takes that away.
    """
    return slice(max(1, min(n_groups // 2, n_groups - 1 - MIN_MIDDLE)), n_groups - 1)


def measure_group_offsets(data: np.ndarray, usable: np.ndarray) -> GroupOffsets:
    """Measure, integration by integration, the offset of every group that the faint pixels share.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Ramps, DN, linear. The first four columns are reference pixels and do not take part.
    usable : ndarray of bool, shape (n_ints, ny, nx)
        False where a pixel must not be used.

    Returns
    -------
    GroupOffsets
        Zero with fewer than four groups, and where fewer than 100 pixels of a row parity are usable.

    Notes
    -----
    The median over the pixels, robust against cosmic rays and hot pixels, for each integration separately. Two passes
    over the faint half of the columns.
    """
    n_ints, n_groups = data.shape[:2]
    middle = middle_groups(n_groups)
    offset = np.zeros((n_ints, n_groups, 2))
    if middle.stop - middle.start < MIN_MIDDLE:
        return GroupOffsets(offset, 0.0, 0)
    usable = usable.copy()
    usable[..., :N_OUTPUTS] = False
    counts, noise = np.zeros((n_ints, 2), int), np.full((n_ints, 2), -1.0)

    def measure(k: int) -> None:
        ramps = np.ascontiguousarray(data[k])
        faint = _faint_pixels(ramps, usable[k], middle)
        for parity in (0, 1):
            counts[k, parity] = n_pixels = np.count_nonzero(faint[parity::2])
            if n_pixels < MIN_PIXELS:
                continue
            offset[k, :, parity], spread = _departures(ramps, _of_rows(faint, parity), middle)
            noise[k, parity] = 1.25 * np.median(spread) / np.sqrt(n_pixels)

    idle_cores.each(measure, range(n_ints))
    measured = noise[counts >= MIN_PIXELS]
    return GroupOffsets(
        offset, float(np.median(measured)) if measured.size else 0.0, int(counts[-1].min()) if n_ints else 0
    )


def _faint_pixels(ramps: np.ndarray, usable: np.ndarray, middle: slice) -> np.ndarray:
    """Return the usable pixels of the fainter half of the columns.

    Whole columns: pixels that were chosen by their own rise would be those whose noise happens to make it small.
    """
    rise = ramps[middle.stop - 1].astype(float) - ramps[middle.start]
    known = usable & np.isfinite(rise)
    light = np.full(rise.shape[1], np.nan)
    medians_of_columns(rise, known, light)
    if not known.any():
        return known
    with np.errstate(invalid="ignore"):
        return known & (light <= np.nanquantile(light, FAINT_QUANTILE))


def _of_rows(pixels: np.ndarray, parity: int) -> np.ndarray:
    """Return the places, in a frame in one row, of the pixels in even or odd rows."""
    rows, columns = np.nonzero(pixels[parity::2])
    return ((2 * rows + parity) * pixels.shape[1] + columns).astype(np.uint32)


def _departures(ramps: np.ndarray, pixels: np.ndarray, middle: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return what all pixels of a group have in common beside the lines through the middle of ramps, and its spread.

    ramps : (n_groups, ny, nx) in C order. pixels : (n_pixels,) places of those that take part, from `_of_rows`.

    Returns the median over the pixels and 1.4826 times the median absolute deviation, both of shape (n_groups,).
    """
    groups = np.arange(len(ramps), dtype=float)
    centre = groups[middle].mean()
    lever = groups[middle] - centre
    flat = ramps.reshape(len(ramps), -1)
    taken = np.take(flat[middle], pixels, axis=1).astype(float)
    slope = lever @ taken / (lever @ lever)
    median, spread = np.empty(len(ramps)), np.empty(len(ramps))
    medians_of_departures(flat, pixels, taken.mean(axis=0), slope, groups - centre, median, spread)
    return median, 1.4826 * spread


def subtract_group_offsets(data: np.ndarray, offset: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Return ramps less the offsets of their groups, reference columns as they are.

    data : (n_ints, n_groups, ny, nx) DN. offset : (n_ints, n_groups, 2) DN, even and odd rows.
    out : where the result goes, which may be `data` itself; by default a new array.
    """
    corrected = np.array(data) if out is None else out
    if corrected is not data and out is not None:
        corrected[...] = data
    of_rows = offset[:, :, np.arange(corrected.shape[2]) % 2].astype(corrected.dtype)
    for ramps, rows in zip(corrected, of_rows, strict=True):
        ramps[..., N_OUTPUTS:] -= rows[..., None]
    return corrected
