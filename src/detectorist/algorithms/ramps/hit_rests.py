"""What a hit within an averaged group leaves in the difference beside the one that was flagged.

A particle that arrives among the averaged frames of a group raises the differences before and after it. The larger
one is flagged, the other may stay below the threshold: of a sigma or four in one of three or six differences. Where a
neighbour in time was hit, the odds are other than where nothing was, and a lower threshold is right. Where no
difference is left that has nothing to do with a hit, as in ramps of three groups, the pixels around tell the light.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.hit_flags import HitFlags, places_with_jumps, taken_at, usable_differences
from detectorist.algorithms.ramps.light_around import light_around, light_beside

#: Sigma from which a difference beside a flagged one exceeds the others of its ramp, and the light around.
OVER_OTHERS_SIGMA, OVER_LIGHT_SIGMA = 3.0, 4.0
#: A star lights its neighbours: by so much of its own light at least, and by so many sigma.
LIGHT_PART, LIGHT_SIGMA = 0.1, 3.0


def flag_hit_rests(
    data: np.ndarray,
    groupdq: np.ndarray,
    unusable: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    n_frames: int,
) -> HitFlags:
    """Flag differences beside flagged ones that hold a part of the same hit.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN.
    groupdq : ndarray of uint8, same shape
        Flags of the search for jumps: JUMP in the group after a hit.
    unusable : ndarray of bool, shape (ny, nx)
        Reference and bad pixels.
    gain, read_noise : ndarray of float, shape (ny, nx)
        e-/DN; noise of the difference of two frames, DN, as in reference files, with the 1/f noise of groups.
    n_frames : int
        Frames averaged into a group.

    Returns
    -------
    HitFlags
        `number` counts the differences that were flagged.

    Notes
    -----
    Compared with the mean of the differences that lie apart from flagged ones, or the lowest where none does, at three
    sigma; and where none does, with the median of the pixels around at four. A pixel whose neighbours are lit as by a
    star is left out of the latter. A ramp may lose its last difference so, and with it its rate: what it kept was a
    particle's. One in a thousand of the differences looked at is flagged by chance. About 0.15 s for a full frame.
    """
    flags, number = groupdq, 0
    for integration, ramp in enumerate(data):
        y, x, rest = _rests(ramp, groupdq[integration], unusable, gain, read_noise, n_frames)
        if not rest.any():
            continue
        if flags is groupdq:
            flags = groupdq.copy()
        for plane, one in zip(flags[integration, 1:], rest, strict=True):
            plane[y[one], x[one]] |= np.uint8(dq.JUMP_DET)
        number += int(rest.sum())
    return HitFlags(flags, number)


def _rests(ramp, flags, unusable, gain, read_noise, n_frames):
    """Return places (n,), and which differences there are rests, (n_groups - 1, n) bool."""
    places = places_with_jumps(flags, unusable)
    usable, jump = usable_differences(taken_at(flags, places))
    kept, hit = usable & ~jump, usable & jump
    beside = np.zeros_like(kept)
    beside[1:] |= hit[:-1]
    beside[:-1] |= hit[1:]
    beside &= kept
    some = np.flatnonzero(beside.any(axis=0))
    places, kept, beside = places[some], np.take(kept, some, axis=1), np.take(beside, some, axis=1)
    y, x = np.divmod(places, ramp.shape[2])
    steps = np.diff(taken_at(ramp, places).astype(np.float32), axis=0)
    photons, read_variance = 1 / np.take(gain, places), np.take(read_noise, places) ** 2 / n_frames
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = beside & _over_others(steps, kept, beside, photons, read_variance)
        alone = np.flatnonzero(~(kept & ~beside).any(axis=0))
        noise = photons[alone], read_variance[alone]
        over = _over_light(ramp, flags, unusable, (y[alone], x[alone]), steps[:, alone], noise)
        rest[:, alone] |= beside[:, alone] & over
    return y, x, rest


def _over_others(steps, kept, beside, photons, read_variance):
    """Return which differences exceed the others of their ramp."""
    apart = kept & ~beside
    number = apart.sum(axis=0)
    mean = np.where(apart, steps, 0).sum(axis=0) / np.maximum(number, 1)
    level = np.where(number > 0, mean, np.where(kept, steps, np.inf).min(axis=0))
    # By its own noise the lowest is too low, and its photon noise with it.
    light = np.maximum(level, np.where(kept, steps, 0).sum(axis=0) / kept.sum(axis=0))
    sigma = np.sqrt((1 + 1 / np.maximum(number, 1)) * (np.maximum(light, 0) * photons + read_variance))
    return steps - level > OVER_OTHERS_SIGMA * sigma


def _over_light(ramp, flags, unusable, places, steps, noise):
    """Return which differences exceed the light around them, but by light of their own."""
    photons, read_variance = noise
    around = light_around(ramp, flags, unusable, *places)
    beside, number = light_beside(ramp, flags, unusable, *places)
    sigma = np.sqrt(np.maximum(around, 0) * photons + read_variance)
    over = steps - around
    lit = beside - around > LIGHT_SIGMA * sigma / np.sqrt(np.maximum(number, 1) * (len(ramp) - 1))
    return (over > OVER_LIGHT_SIGMA * sigma) & ~(lit & (beside - around > LIGHT_PART * over))
