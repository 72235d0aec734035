"""Hits that both differences of a ramp of three groups hold in equal parts, told by their sharpness.

Charge that arrives in the middle of the middle group is spread evenly over the two differences, and the ramp is as
straight as that of light. No optics puts light into one pixel and next to none into those above, below and beside it:
of a star in the middle of a pixel each of these gets an eighth at the shortest wavelength, more at any other place.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.ramps.hit_flags import HitFlags
from detectorist.algorithms.ramps.light_around import light_around, light_beside

#: Groups of ramps in which such hits stay: of more, a difference has none of the charge.
N_GROUPS = 3
#: Sigma of the mean of the differences by which a pixel exceeds the light around it, the part of the excess that its
#: neighbours may have of it, and how many of them tell. At so many sigma, a star's part of a tenth is four more.
LEAST_SIGMA, NEIGHBOURS_PART, LEAST_NEIGHBOURS = 20.0, 0.04, 2
#: Every so many pixels of a row and a column tell the noise that candidates are found by; by how much less they exceed.
STEP, CANDIDATES = 4, 0.5


def flag_lone_hits(
    data: np.ndarray,
    groupdq: np.ndarray,
    unusable: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    n_frames: int,
) -> HitFlags:
    """Flag both differences of ramps of three groups that a hit has raised.

    Parameters as in `hit_rests.flag_hit_rests`. Returns `groupdq` itself where the ramps have not three groups, or
    nothing is found; otherwise the number is that of differences, two for every pixel, whose rate is lost.

    Notes
    -----
    Hot pixels that nobody has flagged look the same and are lost as well. About 0.15 s for a full frame.
    """
    flags, number = groupdq, 0
    if data.shape[1] != N_GROUPS:
        return HitFlags(flags, number)
    for integration, ramp in enumerate(data):
        y, x = _lone(ramp, groupdq[integration], unusable, gain, read_noise, n_frames)
        if not y.size:
            continue
        if flags is groupdq:
            flags = groupdq.copy()
        flags[integration, 1:, y, x] |= np.uint8(dq.JUMP_DET)
        number += (N_GROUPS - 1) * y.size
    return HitFlags(flags, number)


def _lone(ramp, flags, unusable, gain, read_noise, n_frames):
    """Return rows and columns of pixels that alone hold what no light could put into one."""
    whole = ~flags.any(axis=0) & ~unusable
    rise = np.where(whole, (ramp[-1] - ramp[0]) / np.float32(N_GROUPS - 1), np.float32(-np.inf))
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (np.maximum(rise, 0) / gain + read_noise**2 / n_frames)[::STEP, ::STEP] / (N_GROUPS - 1)
        known = variance > 0
        if not known.any():
            return np.zeros((2, 0), int)
        # Few pixels are so much brighter than those to the left and right: only these are looked at.
        least = CANDIDATES * LEAST_SIGMA * np.sqrt(typed_median(variance[known]))
        beside = np.maximum(rise[:, :-2], rise[:, 2:])
        y, x = np.nonzero(whole[:, 1:-1] & (rise[:, 1:-1] - beside > least))
        x += 1
        around = light_around(ramp, flags, unusable, y, x)
        mean, number = light_beside(ramp, flags, unusable, y, x)
        sigma = np.sqrt((np.maximum(around, 0) / gain[y, x] + read_noise[y, x] ** 2 / n_frames) / (N_GROUPS - 1))
        over = rise[y, x] - around
        lone = (over > LEAST_SIGMA * sigma) & (number >= LEAST_NEIGHBOURS) & (mean - around < NEIGHBOURS_PART * over)
    return y[lone], x[lone]
