"""Cosmic rays that fall into an averaged group, in ramps with few groups.

Where the frames of a group are averaged, a particle that arrives among them spreads its charge over the differences
before and after that group. Of three differences two are then too high: their median is one of these, and a search by
distance from the median flags the one that is right and keeps what the particle left. A particle only adds charge, so
a flagged difference that lies below those that were kept tells of the mistake. Telegraph noise, which goes either way,
looks the same in one ramp; the pixels around tell which level is that of the light.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.hit_flags import HitFlags, places_with_jumps, taken_at, usable_differences
from detectorist.algorithms.ramps.light_around import BESIDE, light_around

#: A difference deviates from another beyond so many sigma.
DEVIATES_SIGMA = 5.0
#: A particle changes so many differences at most: the two that a group belongs to.
MOST_DIFFERENCES = 2
#: The four neighbours of hits of so many sigma are flagged as well, as the jump step does by default.
REACH_SIGMA = (10.0, 1000.0)


def mend_split_hits(
    data: np.ndarray,
    groupdq: np.ndarray,
    unusable: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    n_frames: int,
) -> HitFlags:
    """Flag the differences that hits have raised where the search for jumps has flagged the others.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN.
    groupdq : ndarray of uint8, same shape
        Flags as the jump step leaves them: JUMP in the group after a hit.
    unusable : ndarray of bool, shape (ny, nx)
        Reference and bad pixels.
    gain, read_noise : ndarray of float, shape (ny, nx)
        e-/DN; noise of the difference of two frames, DN, as in reference files.
    n_frames : int
        Frames averaged into a group.

    Returns
    -------
    HitFlags
        `number` counts the ramps that were changed.

    Notes
    -----
    A ramp is looked at where at most two differences were kept, neighbours in time, and one that was flagged is lower
    by five sigma. It is changed where the median of the pixels around is nearer to that one. About 0.1 s for a full
    frame of four groups; ramps with more differences are hardly ever concerned.
    """
    flags, number = groupdq, 0
    for integration in range(len(data)):
        found = _misread(data[integration], groupdq[integration], unusable, gain, read_noise, n_frames)
        if found is None:
            continue
        if flags is groupdq:
            flags = groupdq.copy()
        _write(flags[integration], data[integration], found)
        number += found.y.size
    return HitFlags(flags, number)


class _Found(NamedTuple):
    """Ramps to change: their places, the difference that is right, and of every one its sigma and whether it is hit.

    y, x, level, sigma : (n,). hit : (n_groups - 1, n). usable : of the same shape, neither end is saturated or unused.
    """

    y: np.ndarray
    x: np.ndarray
    level: np.ndarray
    sigma: np.ndarray
    hit: np.ndarray
    usable: np.ndarray


def _misread(ramp, flags, unusable, gain, read_noise, n_frames) -> _Found | None:
    """Return the ramps of which the wrong differences are flagged; None where there are none."""
    places = places_with_jumps(flags, unusable)
    usable, jump = usable_differences(taken_at(flags, places))
    n_kept = (usable & ~jump).sum(axis=0)
    few = np.flatnonzero((n_kept > 0) & (n_kept <= MOST_DIFFERENCES))
    places, usable, jump = places[few], usable[:, few], jump[:, few]
    kept, order = usable & ~jump, np.arange(len(usable))[:, None]
    span = np.where(kept, order, -1).max(axis=0) - np.where(kept, order, len(kept)).min(axis=0)
    near = np.flatnonzero((span < MOST_DIFFERENCES) & (usable & jump).any(axis=0))
    places, usable, jump, kept = places[near], usable[:, near], jump[:, near], kept[:, near]
    y, x, n_kept = *np.divmod(places, ramp.shape[2]), kept.sum(axis=0)
    steps = np.diff(taken_at(ramp, places).astype(np.float32), axis=0)
    level = np.where(usable & jump, steps, np.inf).min(axis=0)
    mean = np.where(kept, steps, 0).sum(axis=0) / n_kept
    sigma = np.sqrt(np.abs(level) / gain[y, x] + read_noise[y, x] ** 2 / n_frames)
    with np.errstate(invalid="ignore"):
        low = np.flatnonzero(mean - level > DEVIATES_SIGMA * sigma * np.sqrt(1 + 1 / n_kept))
    around = light_around(ramp, flags, unusable, y[low], x[low])
    low = low[np.abs(level[low] - around) < np.abs(mean[low] - around)]
    if not low.size:
        return None
    hit = usable[:, low] & (steps[:, low] - level[low] > DEVIATES_SIGMA * np.sqrt(2) * sigma[low])
    return _Found(y[low], x[low], level[low], sigma[low], hit, usable[:, low])


def _write(flags, ramp, found):
    """Set and clear jumps of the ramps that were found, and of their neighbours, in flags (n_groups, ny, nx)."""
    jump = np.uint8(dq.JUMP_DET)
    size = np.diff(ramp[:, found.y, found.x].astype(np.float32), axis=0) - found.level
    reaches = found.hit & (size > REACH_SIGMA[0] * found.sigma) & (size < REACH_SIGMA[1] * found.sigma)
    for group, (hit, usable, reach) in enumerate(zip(found.hit, found.usable, reaches, strict=True), start=1):
        plane = flags[group]
        released = usable & ~hit & dq.has(plane[found.y, found.x], jump)
        _flag_beside(plane, found.y[reach], found.x[reach])
        _release_beside(plane, ramp[group - 1 : group + 1], found, released)
        own = plane[found.y, found.x]
        plane[found.y, found.x] = np.where(usable, np.where(hit, own | jump, own & ~jump), own)


def _flag_beside(plane, y, x):
    """Flag the neighbours of hits in a group."""
    y, x = _neighbours(plane.shape, y, x)[:2]
    good = ~dq.has(plane[y, x], dq.SATURATED | dq.DO_NOT_USE)
    plane[y[good], x[good]] |= np.uint8(dq.JUMP_DET)


def _release_beside(plane, groups, found, released):
    """Clear jumps of neighbours that have no more light in a group than the ramp whose jump has made them.

    They would lose all their differences: those of the hit and the one that is right.
    """
    y, x, of = _neighbours(plane.shape, found.y[released], found.x[released])
    limit = DEVIATES_SIGMA * np.sqrt(2) * found.sigma[released][of]
    alike = np.abs(groups[1][y, x] - groups[0][y, x] - found.level[released][of]) < limit
    plane[y[alike], x[alike]] &= ~np.uint8(dq.JUMP_DET)


def _neighbours(shape, y, x):
    """Return rows and columns of the four neighbours of places, and the number of the place each belongs to."""
    dy, dx = np.array(BESIDE).T[:, :, None]
    rows, columns, of = (one.ravel() for one in np.broadcast_arrays(y + dy, x + dx, np.arange(y.size)))
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return rows[inside], columns[inside], of[inside]
