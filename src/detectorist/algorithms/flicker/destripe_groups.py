"""From ramps to ramps without stripes: what 1/f noise does to slopes, and what sets each group apart from its slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.flicker.destripe import Destriped, destripe
from detectorist.algorithms.flicker.smoother import Readout
from detectorist.errors import ParameterError, TooFewPixels

#: Flags of a group from which on a ramp is not used.
UNUSABLE = dq.DO_NOT_USE | dq.SATURATED | dq.JUMP_DET
#: Least part of the pixels that have a whole ramp.
LEAST_WHOLE = 0.02


@dataclass(frozen=True)
class DestripedRamps:
    """What to subtract from ramps.

    stripes : ndarray of float32, shape (n_ints, n_groups, ny, nx), DN; its mean over the groups of a ramp is zero.
    slopes : Destriped, the stripes of the slopes of each integration, DN/s, with what their subtraction adds to the
        variance of those slopes.
    rates : ndarray of float32, shape (n_ints, ny, nx), DN/s, slopes of the ramps as they were given; NaN where no
        whole ramp is usable.
    """

    stripes: np.ndarray
    slopes: Destriped
    rates: np.ndarray


@one_thread
def destripe_ramps(
    ramp: np.ndarray,
    groupdq: np.ndarray,
    times_s: np.ndarray,
    bad: np.ndarray,
    *,
    readout: Readout,
    flat: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    method: str = "flicker",
    thresh: float = 0.8,
    vertical: bool = True,
) -> DestripedRamps:
    """Measure the stripes of every group of the ramps of one exposure.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linear ramps of one field, DN, not flat-fielded; kTC noise may be in them.
    groupdq : ndarray of uint8, same shape
        The stripes are measured on ramps without DO_NOT_USE, SATURATED and JUMP_DET in any group, and subtracted from
        all.
    times_s : ndarray of float, shape (n_groups,)
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    readout, flat, mask, method, thresh, vertical
        As in `destripe.destripe`.

    Returns
    -------
    DestripedRamps

    Raises
    ------
    ParameterError
        When shapes differ, or ramps have fewer than two groups.
    TooFewPixels
        When few pixels have a whole ramp, or as `destripe`.

    Notes
    -----
    The stripes of slopes are those of `destripe`, with its source mask. The difference between a group and the line
    through its ramp contains no light and goes to the same estimator; any part of the estimate that is linear in time
    is removed. A slope fitted with equal weights to all groups is thus corrected by exactly the stripes of the slopes;
    a weighted slope, or one fitted to some of the groups, by its own. Noise common to all groups of a ramp changes no
    slope and stays. Cost: n_ints (n_groups + 1) estimates.
    """
    ramp, times = np.asarray(ramp), np.asarray(times_s, float)
    if ramp.ndim != 4 or groupdq.shape != ramp.shape or bad.shape != ramp.shape[2:] or times.shape != ramp.shape[1:2]:
        raise ParameterError(
            f"ramp of shape {ramp.shape}, groupdq {groupdq.shape}, times {times.shape}, bad {bad.shape}: "
            "(n_ints, n_groups, ny, nx) twice, (n_groups,) and (ny, nx) are needed"
        )
    if len(times) < 2:
        raise ParameterError("ramps of one group have no slope: correct their rates instead")
    settings = {"readout": readout, "method": method, "thresh": thresh, "vertical": vertical}
    times = (times - times.mean()).astype(np.float32)
    whole = np.array([_whole(one, flags, bad) for one, flags in zip(ramp, groupdq, strict=True)])
    if (share := whole.mean()) < LEAST_WHOLE:
        raise TooFewPixels(
            f"stripes of groups: {100 * share:.1f} % of the pixels have a whole ramp; {100 * LEAST_WHOLE:.0f} % needed",
            share=float(share),
        )
    rates = np.array([_slope(one, times) for one in ramp])
    rates[~whole] = np.nan
    slopes = destripe(rates, ~whole, flat=flat, mask=mask, **settings)
    stripes = np.stack(
        [_beside_slope(*one, times, slopes.mask, settings) for one in zip(ramp, rates, whole, strict=True)]
    )
    stripes += (slopes.horizontal + slopes.vertical)[:, None] * times[:, None, None]
    return DestripedRamps(stripes, slopes, rates)


def _beside_slope(ramp, rate, used, times, mask, settings):
    """Return the stripes (n_groups, ny, nx) of one integration that make no slope."""
    stripes = np.empty(ramp.shape, np.float32)
    level = ramp.mean(axis=0, dtype=np.float32)
    for group, time in enumerate(times):
        rest = np.where(used, ramp[group] - level - rate * time, 0).astype(np.float32)
        found = destripe(rest[None], ~used[None], mask=mask, **settings)
        stripes[group] = found.horizontal[0] + found.vertical[0]
    stripes -= stripes.mean(axis=0)
    slope = _slope(stripes, times)
    for group, time in enumerate(times):
        stripes[group] -= slope * time
    return stripes


def _whole(ramp, flags, bad):
    """Return (ny, nx) bool, True where no group is flagged or unknown."""
    flagged = np.bitwise_or.reduce(flags, axis=0)
    return ~bad & (flagged & flags.dtype.type(UNUSABLE) == 0) & np.isfinite(ramp).all(axis=0)


def _slope(ramp, times):
    """Return the slope of each pixel's line through all groups, times about their mean."""
    weight = times / (times**2).sum()
    slope = np.zeros(ramp.shape[1:], np.float32)
    for group, one in zip(ramp, weight, strict=True):
        slope += np.float32(one) * group
    return slope
