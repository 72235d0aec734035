"""How far the charge of a snowball reaches in every group: medians of rings about it, group by group.

An event that falls inside an averaged group is split over two differences. In a ramp of four groups those are two of
three: the jump detection takes the third, which has no charge, for the one that deviates, and a halo that is shared by
most groups for light. Rings about the centre tell: light shines in every group, charge arrives in one or two, and the
median of some hundred pixels shows a halo of a fraction of a pixel's noise.

Of three groups both differences may have charge, and no group tells the light. There the one that gained less is
compared with its own surroundings, as far as the halo of the other reaches; a star in that place is lost with it.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms import dq

#: Width of a ring, and the farthest one that is looked at, pixel.
RING_PIX, FARTHEST_PIX = 2.0, 250.0
#: A ring holds charge where it gained more than this part of a pixel's noise, and so many of its own errors, over its
#: gain in the groups without charge. (By chance the highest of three is 5 errors above the lowest once in a thousand.)
NOISE_PART, SIGMA = 0.25, 5.0
#: Fewest pixels of a ring that tell, and the part of the groups whose gain is that of light alone.
LEAST_PIXELS, QUIET_PART = 20, 1 / 3
#: The outer part of the rings, which tells by how much the level of a whole group changed.
OUTER_PART = 0.25
#: Differences of a ramp of three groups, which a hit in the middle one raises both.
TWO_DIFFERENCES = 2
#: Neighbouring rings with charge that make a halo, and rings without that end it.
CHARGED_RINGS, EMPTY_RINGS = 2, 2


def measure_reach(
    data: np.ndarray, groupdq: np.ndarray, y: float, x: float, radius_pix: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far charge reaches in every group, and whether the groups could be compared.

    Parameters
    ----------
    data : ndarray of float, shape (n_groups, ny, nx)
        Ramps.
    groupdq : ndarray of uint8, shape (n_groups, ny, nx)
        Saturated and unusable samples are not looked at; jumps are.
    y, x, radius_pix : float
        Centre of the event, pixel from 0, and the radius within which its charge is looked for; it is followed outward
        from there.

    Returns
    -------
    reach_pix : ndarray of float, shape (n_groups,)
        0 where no charge arrived; a group tells what arrived since the one before, group 0 nothing.
    known : ndarray of bool, shape (n_groups,)
        False where no ring within the radius was seen in this and another group.
    """
    n_groups = len(data)
    farthest = min(2.5 * radius_pix + 20, FARTHEST_PIX)
    while True:
        gain, least = _profile(data, groupdq, y, x, farthest)
        excess = _over_outer_rings(gain - _quiet(gain))
        reach = np.array([_follow(one, limit, radius_pix) for one, limit in zip(excess, least, strict=True)])
        # The outer rings must be well outside, or their level is the halo's own.
        if reach.max(initial=0) <= 0.5 * farthest or farthest >= FARTHEST_PIX:
            break
        farthest = min(2 * farthest, FARTHEST_PIX)
    if len(reach) == TWO_DIFFERENCES and reach.any():
        less = int(reach.argmin())
        alone = _follow(_over_outer_rings(gain)[less], least[less], radius_pix)
        reach[less] = max(reach[less], min(alone, reach.max()))
    within = np.arange(excess.shape[1]) * RING_PIX < radius_pix
    known = np.isfinite(excess[:, within]).any(axis=1)
    return np.r_[0.0, reach][:n_groups], np.r_[False, known][:n_groups]


def unfounded_jumps(
    data: np.ndarray, flags: np.ndarray, group: int, y: float, x: float, radius_pix: float
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return a cutout about an event, and in it jumps of a group that gained least there of all groups, bool.

    Where most differences of a ramp have charge, the one that has none is found as the one that deviates. A hit of its
    own would make it larger.

    data, flags : ndarray, shape (n_groups, ny, nx). group : int, from 1.
    """
    rows, columns = _cutout(data.shape[1:], y, x, radius_pix)
    yy, xx = np.ogrid[rows, columns]
    steps = np.diff(data[:, rows, columns].astype(float), axis=0)
    steps[dq.has(flags[1:, rows, columns], dq.SATURATED | dq.DO_NOT_USE)] = np.inf
    jumps = dq.has(flags[group, rows, columns], dq.JUMP_DET) & (np.hypot(yy - y, xx - x) < radius_pix)
    return (rows, columns), jumps & (steps[group - 1] <= steps.min(axis=0))


def _cutout(shape, y, x, reach):
    """Return the rows and columns within reach."""
    rows, columns = (
        slice(max(int(centre - reach), 0), max(min(int(centre + reach) + 2, n), 0))
        for centre, n in zip((y, x), shape, strict=True)
    )
    return rows, columns


def _profile(data, groupdq, y, x, farthest):
    """Return what every ring gained in every group, and how much more counts as charge, (n_groups - 1, n) each."""
    from detectorist.algorithms.ramps import _snowball_reach_nb as kernels

    n_rings = int(np.ceil(farthest / RING_PIX))
    rows, columns = _cutout(data.shape[1:], y, x, farthest)
    shape = rows.stop - rows.start, columns.stop - columns.start
    numbers = kernels.ring_numbers(*shape, rows.start, columns.start, float(y), float(x), RING_PIX)
    order, borders = kernels.rings_in_order(numbers, n_rings)
    gain, least = np.full((2, len(data) - 1, n_rings), np.nan)
    step, seen = np.empty(shape), np.empty(n_rings)
    for group in range(1, len(data)):
        planes = (one[rows, columns] for one in (data[group - 1], data[group], groupdq[group]))
        kernels.gains(*planes, np.uint8(dq.DO_NOT_USE | dq.SATURATED), step)
        noise = 1.4826 * kernels.median_step(step) / np.sqrt(2)
        kernels.ring_medians(step.ravel(), order, borders, LEAST_PIXELS, gain[group - 1], seen)
        # The error of a median is 1.25 times that of a mean.
        enough = seen >= LEAST_PIXELS
        least[group - 1, enough] = noise * np.maximum(NOISE_PART, SIGMA * 1.25 / np.sqrt(seen[enough]))
    return gain, least


def _over_outer_rings(gain):
    """Return gains of rings about those of the outer ones, group by group."""
    outer = gain[:, -max(int(OUTER_PART * gain.shape[1]), 1) :]
    return gain - _medians(outer)[:, None]


def _medians(values):
    """Return the median of what is finite in every row, 0 where nothing is."""
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN last
    number, rows = np.isfinite(ordered).sum(axis=1), np.arange(len(ordered))
    lower, upper = np.maximum(number - 1, 0) // 2, np.minimum(number // 2, ordered.shape[1] - 1)
    return np.where(number > 0, (ordered[rows, lower] + ordered[rows, upper]) / 2, 0.0)


def _quiet(gain):
    """Return what rings gain from light alone: the mean of the lowest groups; NaN where fewer than two were seen."""
    number = np.isfinite(gain).sum(axis=0)
    lowest = np.sort(gain, axis=0)  # NaN last
    chosen = np.arange(len(gain))[:, None] < np.maximum(np.floor(QUIET_PART * number), 1)
    mean = np.where(chosen, np.nan_to_num(lowest), 0).sum(axis=0) / np.maximum(chosen.sum(axis=0), 1)
    return np.where(number >= 2, mean, np.nan)


def _follow(excess, least, radius_pix):
    """Return the outer radius of the charge that begins within a radius, 0 where there is none."""
    charged = excess > least
    runs = np.convolve(charged, np.ones(CHARGED_RINGS), "valid") == CHARGED_RINGS
    begun = np.flatnonzero(runs[: int(np.ceil(radius_pix / RING_PIX))])
    if not begun.size:
        return 0.0
    last = int(begun[-1]) + CHARGED_RINGS - 1
    for k in range(last + 1, excess.size):
        if charged[k]:
            last = k
        elif k - last >= EMPTY_RINGS:
            break
    return (last + 1) * RING_PIX
