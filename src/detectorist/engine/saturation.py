"""Saturation flags: stcal's rules for single and averaged frames, flag for flag."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.engine import NotCovered
from detectorist.engine.flags import NO_SAT_CHECK, SATURATED
from detectorist.engine.lines import wide
from detectorist.engine.threads import over_ranges

#: Above what the 16-bit converter can give: a threshold that nothing reaches, in DN.
_OUT_OF_REACH = 65536.0


class Saturation(NamedTuple):
    """Flags with saturation in them, the zero frames without saturated pixels, and counts of pixels.

    New arrays, but for group flags that were told where to go.
    """

    groupdq: np.ndarray
    pixeldq: np.ndarray
    zeroframe: np.ndarray | None
    n_saturated: int
    n_floor: int


def flag_saturation(
    data: np.ndarray,
    groupdq: np.ndarray,
    pixeldq: np.ndarray,
    threshold: np.ndarray,
    threshold_dq: np.ndarray,
    *,
    grow_pix: int = 1,
    read_pattern: list[list[int]] | None = None,
    bias: np.ndarray | None = None,
    zeroframe: np.ndarray | None = None,
    threads: int = 1,
    out: np.ndarray | None = None,
) -> Saturation:
    """Flag saturated groups exactly as stcal's `flag_saturated_pixels` does.

    Parameters
    ----------
    data : ndarray of float32, shape (n_ints, n_groups, ny, nx)
        Raw ramps in DN. NaN is neither saturated nor at the floor.
    groupdq, pixeldq : ndarray of uint8, of uint32
        Flags; no group may be SATURATED yet.
    threshold, threshold_dq : ndarray of float32, of uint32, shape (ny, nx)
        Where the threshold is NaN or the flag NO_SAT_CHECK is set, the pixel does not saturate.
    grow_pix : int
        Layers of pixels around a saturated one that count as saturated.
    read_pattern : list of lists of int, or None
        Numbers of the frames averaged into each group; None leaves out the rules for averaged frames.
    bias : ndarray of float32, shape (ny, nx), or None
        Superbias, for the rule about the second group.
    zeroframe : ndarray of float32, shape (n_ints, ny, nx), or None
        First frames; returned with 0 where they are saturated or at the floor.
    out : ndarray of uint8, C order, or None
        Where the group flags go, which may be `groupdq` itself; by default a new array.

    Raises
    ------
    NotCovered
        When groups are flagged as saturated already, or the image is smaller than the box of growth; nothing has been
        changed then.

    Notes
    -----
    Cost: two passes over the data and two over the flags.
    """
    from detectorist.engine import _saturation_nb as kernels

    if min(data.shape[2:]) < 2 * grow_pix + 1 or data.shape[1] > np.iinfo(np.uint16).max:
        raise NotCovered(f"ramps of shape {data.shape} have too few rows or columns for neighbours, or too many groups")
    if np.bitwise_or.reduce(groupdq, axis=None) & SATURATED:
        raise NotCovered("groups are flagged as saturated before the step")
    flags = np.array(groupdq, np.uint8, order="C") if out is None else out
    if out is not None and out is not groupdq:
        out[...] = groupdq
    unchecked = np.isnan(threshold) | ((threshold_dq & np.uint32(NO_SAT_CHECK)) != 0)
    limit = np.where(unchecked, np.float32(_OUT_OF_REACH), threshold).astype(np.float32)
    rows = data.shape[2]
    first = np.empty(data.shape[2:], np.uint16)
    grown = np.empty_like(first)
    saturated = np.zeros(data.shape[2:], bool)
    floor = np.zeros(data.shape[2:], np.uint8)
    data = np.ascontiguousarray(data)
    for ramp, flag in zip(data, flags, strict=True):
        lines = [wide(one) for one in (ramp, limit, flag, first, floor, grown)]
        n_lines = len(lines[1])
        over_ranges(kernels.first_saturated_group, n_lines, *lines[:-1], threads=threads)
        over_ranges(kernels.box_minimum, rows, first, grow_pix, grown, threads=threads)
        over_ranges(kernels.write_saturation, n_lines, lines[-1], lines[2], threads=threads)
        saturated |= grown < data.shape[1]
        if read_pattern is not None:
            _flag_averaged(ramp, limit, unchecked, grown, read_pattern, grow_pix, bias, flag, threads)
    pixels = np.array(pixeldq, np.uint32) | threshold_dq
    pixels[np.isnan(threshold)] |= np.uint32(NO_SAT_CHECK)
    zeros = None if zeroframe is None else _mask_zeroframe(zeroframe, limit, grow_pix)
    return Saturation(flags, pixels, zeros, int(saturated.sum()), int(np.count_nonzero(floor)))


def _flag_averaged(ramp, limit, unchecked, grown, read_pattern, grow_pix, bias, flag, threads: int) -> None:
    """Apply the two rules for events inside averaged frames, to one integration in place."""
    from detectorist.engine import _saturation_nb as kernels

    dilution = np.array([np.mean(frames) / frames[-1] for frames in read_pattern])
    if np.any(dilution != 1):
        kernels.flag_hidden_saturation(ramp, limit, unchecked, grown, dilution, grow_pix, flag)
    if len(ramp) > 2:
        offset = np.zeros_like(limit) if bias is None else bias
        numbers = float(np.mean(read_pattern[0])), float(read_pattern[2][-1]), float(len(read_pattern[1]))
        args = (ramp, limit, offset, grown, *numbers, flag)
        over_ranges(kernels.flag_second_group, len(limit), *args, threads=threads)


def _mask_zeroframe(zeroframe: np.ndarray, limit: np.ndarray, grow_pix: int) -> np.ndarray:
    """Return the zero frames with 0 for unknown: saturated, next to saturated, or at the floor."""
    from detectorist.engine import _saturation_nb as kernels

    out = zeroframe.copy()
    grown = np.empty(limit.shape, np.uint16)
    for plane in out:
        below = (~(plane >= limit)).astype(np.uint16)
        kernels.box_minimum(below, grow_pix, grown, 0, len(below))
        plane[(grown == 0) | (plane <= 0)] = 0.0
    return out
