"""Saturated groups, and the neighbours that their charge spills into.

The neighbours form a square, as in stcal, or share an edge, across which charge flows. Given pixels can be treated as
always saturated (RC pixels, whose ramps bend from the first group on).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.algorithms import dq

AD_FLOOR = 2**6
#: Full scale of the 16-bit converter, DN: a threshold above it is never reached.
CONVERTER_LIMIT_DN = 65535.0


class SaturationFlags(NamedTuple):
    """Result of `flag_saturation`."""

    groupdq: np.ndarray  # (n_ints, n_groups, ny, nx), dtype of the input
    zeroframe: np.ndarray | None  # (n_ints, ny, nx), 0 where flagged; None without one


def flag_saturation(
    data: np.ndarray,
    groupdq: np.ndarray,
    threshold: np.ndarray,
    *,
    n_pix_grow_sat: int = 1,
    grow_diagonal: bool = False,
    always_saturated: np.ndarray | None = None,
    n_frames: int | None = None,
    bias: np.ndarray | float = 0.0,
    zeroframe: np.ndarray | None = None,
) -> SaturationFlags:
    """Flag saturated groups, the floor of the converter, and groups that are half saturated (DO_NOT_USE).

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Raw ramps, DN.
    groupdq : ndarray of unsigned int, same shape
        Flags set before; they stay.
    threshold : ndarray of float, shape (ny, nx)
        DN. NaN: the pixel is not checked.
    n_pix_grow_sat : int
        Layers of neighbours that are flagged too; 0 for none.
    grow_diagonal : bool
        Neighbours are the eight about a pixel (a square grows), else the four that share an edge with it (a cross, and
        for more layers a diamond).
    always_saturated : ndarray of bool, shape (ny, nx), optional
        True for pixels that count as saturated in all groups.
    n_frames : int, optional
        Frames averaged in a group. With more than one, a group may hide that its last frames were
        saturated: groups are checked again with the help of the next one. None: not done.
    bias : ndarray of float, shape (ny, nx), or float
        Superbias, DN, for the check of the second group.
    zeroframe : ndarray of float, shape (n_ints, ny, nx), optional
        First frames: what is saturated or at the floor there becomes 0.

    Returns
    -------
    SaturationFlags
        New arrays. With `grow_diagonal` and nothing `always_saturated`, equal to stcal 1.20 bit for bit.

    Raises
    ------
    ValueError
        When shapes do not agree or n_pix_grow_sat is negative.
    """
    if data.ndim != 4 or groupdq.shape != data.shape or threshold.shape != data.shape[-2:]:
        raise ValueError(f"data {data.shape}, groupdq {groupdq.shape}, threshold {threshold.shape} do not agree")
    if n_pix_grow_sat < 0:
        raise ValueError(f"n_pix_grow_sat is {n_pix_grow_sat}: 0 or more is needed")
    unchecked = np.isnan(threshold)
    threshold = np.where(unchecked, np.float32(CONVERTER_LIMIT_DN + 1), threshold)
    always = np.zeros(threshold.shape, bool) if always_saturated is None else always_saturated

    def grow(mask):
        return grow_mask(mask, n_pix=n_pix_grow_sat, diagonal=grow_diagonal)

    flags = groupdq.copy()
    for ramp, ramp_flags in zip(data, flags, strict=True):
        _flag_forward(ramp, ramp_flags, threshold, always, grow)
        if n_frames is not None:
            if n_frames > 1:
                _flag_half_saturated(ramp, ramp_flags, threshold, unchecked, n_frames, grow)
            _flag_second_group(ramp, ramp_flags, threshold, bias, n_frames)
    return SaturationFlags(flags, _clear_zeroframe(zeroframe, threshold, always, grow))


def grow_mask(mask: np.ndarray, *, n_pix: int, diagonal: bool) -> np.ndarray:
    """Return `mask` (ny, nx) bool with every pixel within `n_pix` of a True one.

    Distance is the larger of those in row and column where `diagonal`, else their sum.
    """
    grown = mask.copy()
    for _ in range(n_pix):
        wider = _spread(grown, axis=0)
        # Through the rows already spread, the diagonal neighbours follow.
        grown = _spread(wider, axis=1) if diagonal else wider | _spread(grown, axis=1)
    return grown


def _spread(mask, *, axis):
    """Return a mask with both neighbours along one axis."""
    wider = mask.copy()
    source, target = (mask, wider) if axis == 0 else (mask.T, wider.T)
    target[1:] |= source[:-1]
    target[:-1] |= source[1:]
    return wider


def _flag_forward(ramp, flags, threshold, always, grow):
    """A pixel once saturated stays so to the end of the ramp; what it spills into is flagged where it is."""
    saturated = always.copy()
    for plane, plane_flags in zip(ramp, flags, strict=True):
        saturated |= plane >= threshold
        _set(plane_flags, plane <= 0, AD_FLOOR | dq.DO_NOT_USE)
        _set(plane_flags, grow(saturated | dq.has(plane_flags, dq.SATURATED)), dq.SATURATED)


def _flag_half_saturated(ramp, flags, threshold, unchecked, n_frames, grow):
    """A group before a saturated one, as high as it could be had its last frames been saturated, is not to be used."""
    for group in range(len(ramp) - 2, -1, -1):
        # The mean of frames 1..n of a ramp over its last: stcal numbers frames without the skipped ones.
        last = (group + 1) * n_frames
        dilution = np.where(unchecked, 1.0, (last - (n_frames - 1) / 2) / last)
        partial = (
            (ramp[group] >= threshold * dilution)
            & ~dq.has(flags[group], dq.SATURATED | dq.DO_NOT_USE)
            & dq.has(flags[group + 1], dq.SATURATED)
        )
        _set(flags[group], grow(partial), dq.DO_NOT_USE)


def _flag_second_group(ramp, flags, threshold, bias, n_frames):
    """A jump to saturation within the second group shows in the third only: the first group did not lead there."""
    if len(ramp) < 3:
        return
    start = ramp[0] - bias
    expected = (start / ((n_frames + 1) / 2)) * (3 * n_frames) + bias
    step = ramp[1] - ramp[0]
    sudden = (expected < threshold) & (step > (threshold - ramp[0]) / n_frames)
    sudden &= dq.has(flags[2], dq.SATURATED) & ~dq.has(flags[1], dq.SATURATED)
    _set(flags[1], sudden, dq.DO_NOT_USE)


def _clear_zeroframe(zeroframe, threshold, always, grow):
    if zeroframe is None:
        return None
    cleared = zeroframe.copy()
    for plane in cleared:
        plane[grow((plane >= threshold) | always) | (plane <= 0)] = 0
    return cleared


def _set(flags, where, bits):
    flags[where] |= flags.dtype.type(bits)
