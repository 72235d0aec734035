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

#: A difference deviates from another beyond so many sigma.
DEVIATES_SIGMA = 5.0
#: A particle changes so many differences at most: the two that a group belongs to.
MOST_DIFFERENCES = 2
#: Pixels around that tell the light: in a square of so many on either side, and so many of them at least.
AROUND_PIX, LEAST_AROUND = 2, 4
#: The four neighbours of hits of so many sigma are flagged as well, as the jump step does by default.
REACH_SIGMA = (10.0, 1000.0)


class SplitHits(NamedTuple):
    """Group flags in which split hits are flagged, not what they left untouched.

    groupdq : ndarray of uint8, of the input's shape.
    number : int, ramps that were changed.
    """

    groupdq: np.ndarray
    number: int


def mend_split_hits(
    data: np.ndarray,
    groupdq: np.ndarray,
    unusable: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    n_frames: int,
) -> SplitHits:
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
    SplitHits
        `groupdq` itself where nothing changes.

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
    return SplitHits(flags, number)


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
    jumps = dq.has(np.bitwise_or.reduce(flags, axis=0), dq.JUMP_DET) & ~unusable
    y, x = np.nonzero(jumps)
    usable, jump = _differences(flags[:, y, x])
    kept = usable & ~jump
    n_kept, order = kept.sum(axis=0), np.arange(len(kept))[:, None]
    span = np.where(kept, order, -1).max(axis=0) - np.where(kept, order, len(kept)).min(axis=0)
    few = (n_kept > 0) & (span < MOST_DIFFERENCES) & (usable & jump).any(axis=0)
    y, x, usable, jump, kept, n_kept = y[few], x[few], usable[:, few], jump[:, few], kept[:, few], n_kept[few]
    steps = np.diff(ramp[:, y, x].astype(np.float32), axis=0)
    level = np.where(usable & jump, steps, np.inf).min(axis=0)
    mean = np.where(kept, steps, 0).sum(axis=0) / n_kept
    sigma = np.sqrt(np.abs(level) / gain[y, x] + read_noise[y, x] ** 2 / n_frames)
    with np.errstate(invalid="ignore"):
        low = np.flatnonzero(mean - level > DEVIATES_SIGMA * sigma * np.sqrt(1 + 1 / n_kept))
    around = _around(ramp, flags, unusable, y[low], x[low])
    low = low[np.abs(level[low] - around) < np.abs(mean[low] - around)]
    if not low.size:
        return None
    hit = usable[:, low] & (steps[:, low] - level[low] > DEVIATES_SIGMA * np.sqrt(2) * sigma[low])
    return _Found(y[low], x[low], level[low], sigma[low], hit, usable[:, low])


def _differences(flags):
    """Return which differences of groups (n_groups, n) can be used, and which hold a jump."""
    lost = dq.has(flags, dq.SATURATED | dq.DO_NOT_USE)
    return ~lost[1:] & ~lost[:-1], dq.has(flags[1:], dq.JUMP_DET)


def _around(ramp, flags, unusable, y, x):
    """Return the median difference of whole ramps around places; NaN where there are too few."""
    reach = np.arange(-AROUND_PIX, AROUND_PIX + 1)
    dy, dx = (one.ravel()[:, None] for one in np.meshgrid(reach, reach, indexing="ij"))
    rows, columns = y + dy, x + dx
    inside = (rows >= 0) & (rows < ramp.shape[1]) & (columns >= 0) & (columns < ramp.shape[2])
    rows, columns = np.where(inside, rows, y), np.where(inside, columns, x)
    whole = inside & ~unusable[rows, columns] & ~flags[:, rows, columns].any(axis=0)
    rates = (ramp[-1, rows, columns] - ramp[0, rows, columns]) / (len(ramp) - 1)
    ordered = np.sort(np.where(whole, rates, np.nan), axis=0)  # NaN last
    n = np.isfinite(ordered).sum(axis=0)
    places, lower, upper = np.arange(y.size), np.maximum(n - 1, 0) // 2, n // 2
    middle = 0.5 * (ordered[lower, places] + ordered[np.minimum(upper, len(ordered) - 1), places])
    return np.where(n >= LEAST_AROUND, middle, np.nan)


def _write(flags, ramp, found):
    """Set and clear jumps of the ramps that were found, and of their neighbours, in flags (n_groups, ny, nx)."""
    jump, ny, nx = np.uint8(dq.JUMP_DET), *flags.shape[1:]
    size = np.diff(ramp[:, found.y, found.x].astype(np.float32), axis=0) - found.level
    reaches = found.hit & (size > REACH_SIGMA[0] * found.sigma) & (size < REACH_SIGMA[1] * found.sigma)
    for group, (hit, usable, reach) in enumerate(zip(found.hit, found.usable, reaches, strict=True), start=1):
        plane = flags[group]
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            y, x = found.y[reach] + dy, found.x[reach] + dx
            inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
            y, x = y[inside], x[inside]
            good = ~dq.has(plane[y, x], dq.SATURATED | dq.DO_NOT_USE)
            plane[y[good], x[good]] |= jump
        own = plane[found.y, found.x]
        plane[found.y, found.x] = np.where(usable, np.where(hit, own | jump, own & ~jump), own)
