"""kTC noise: the offset that every reset leaves on every pixel, measured by a ramp fit.

A ramp of one pixel in integration i is `offset_i + slope * t + noise`, plus a step at every cosmic ray. The
slope belongs to the scene and is common to all integrations of an exposure, so it is fitted from all of
them: the offset is then the mean of a few groups rather than the extrapolation of four to t = 0, which
carries about twice the noise, and a ramp cut short by a cosmic ray or by saturation still has one. Groups after a
cosmic ray constrain the slope, but not the offset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.byte_order import native


@dataclass(frozen=True)
class KtcOffsets:
    """Result of `measure_ktc`."""

    offset: np.ndarray  # (n_ints, ny, nx) float32, unit of the ramp; 0 where not measured
    slope: np.ndarray  # (ny, nx) float32, unit of the ramp per second; NaN where no integration tells it
    measured: np.ndarray  # (n_ints, ny, nx) bool


def measure_ktc(
    ramp: np.ndarray,
    groupdq: np.ndarray,
    times_s: np.ndarray,
    *,
    saturation: np.ndarray | None = None,
    sat_frac: float = 0.5,
) -> KtcOffsets:
    """Measure the offset of every pixel in every integration.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN. Samples that are not finite are left out.
    groupdq : ndarray of uint8, same shape
        DO_NOT_USE and SATURATED exclude a group; JUMP_DET (in a usable group or not) ends a segment: the
        groups from there on stand on another offset.
    times_s : ndarray of float, shape (n_groups,)
        Mean time of each group since the reset.
    saturation : ndarray of float, shape (ny, nx), optional
        Saturation level, DN. Not finite or not positive means none is known.
    sat_frac : float
        Groups above this fraction of the saturation level are left out, so that the fit stays where the
        detector is linear. Where that leaves no slope in any integration, all unflagged groups are used; where there is
        no slope even so (a pixel with only its first group), the offset is relative to the pixel's own median.

    Returns
    -------
    KtcOffsets
        The slope is the median over the integrations of each one's least-squares slope, weighted by its
        information, so an unflagged cosmic ray in one integration does not affect the others.

    Raises
    ------
    ValueError
        When shapes do not match or `sat_frac` is not positive.

    Notes
    -----
    Two passes over the ramp in a compiled loop, float64 inside; memory: the offsets and one row of ramps.
    Error of an offset, white noise s a read, n groups, N integrations: about s/sqrt(n) * sqrt(1 + 4.7/N)
    for n >= 4.
    """
    times = np.asarray(times_s, np.float64)
    if ramp.ndim != 4 or groupdq.shape != ramp.shape or times.shape != ramp.shape[1:2]:
        raise ValueError(f"ramp {ramp.shape}, groupdq {groupdq.shape} and times {times.shape} do not agree")
    if not sat_frac > 0:
        raise ValueError(f"sat_frac is {sat_frac}: a positive fraction is needed")
    from detectorist.algorithms.ramps._ktc_nb import fit_offsets

    n_ints, _, ny, nx = ramp.shape
    limit = np.full((ny, nx), np.inf)
    if saturation is not None:
        known = np.isfinite(saturation) & (np.asarray(saturation) > 0)
        limit[known] = sat_frac * np.asarray(saturation, np.float64)[known]
    offset = np.zeros((n_ints, ny, nx), np.float32)
    slope = np.full((ny, nx), np.nan, np.float32)
    measured = np.zeros((n_ints, ny, nx), np.bool_)
    excluded = groupdq.dtype.type(dq.DO_NOT_USE | dq.SATURATED)
    jump = groupdq.dtype.type(dq.JUMP_DET)
    fit_offsets(native(ramp), native(groupdq), times, limit, excluded, jump, offset, slope, measured)
    return KtcOffsets(offset, slope, measured)


def subtract_offsets(ramp: np.ndarray, offsets: KtcOffsets) -> np.ndarray:
    """Return `ramp` (n_ints, n_groups, ny, nx) without the offsets, in its own dtype."""
    return ramp - offsets.offset[:, None].astype(ramp.dtype, copy=False)


def group_times(
    n_groups: int, *, group_time_s: float, frame_time_s: float | None = None, n_frames: int = 1
) -> np.ndarray:
    """Return the mean time (s) since the reset of every group, shape (n_groups,).

    A group is the mean of its first `n_frames` frames; the skipped frames follow them.
    """
    frame = group_time_s / max(n_frames, 1) if frame_time_s is None else frame_time_s
    return np.arange(n_groups) * group_time_s + frame * (n_frames + 1) / 2
