"""Snowballs: large cosmic-ray events in near-infrared ramps, flagged to their full extent.

An event is a round region of jumps, with or without a saturated core, in one group. Its charge spreads beyond what the
jump detection sees; its core widens by charge migration in all later groups, and glows after the reset. Where a group
is the average of several frames, an event in group n is diluted there and complete only in group n + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.snowball_borders import circle_at_border, regions_at_border
from detectorist.algorithms.ramps.snowball_light import RampLight
from detectorist.algorithms.ramps.snowball_reach import measure_reach, unfounded_jumps
from detectorist.errors import ParameterError
from detectorist.libraries import idle_cores

#: A round region fills the ellipse of its own second moments at least so far, and is at least so round.
MIN_FILLING, MIN_AXIS_RATIO = 0.6, 0.5
#: The same of a region that the border of the frame cuts.
LEAST_AXIS_RATIO_CUT = 0.3
#: Share of jumps below which a saturated region is a star.
MIN_JUMP_SHARE = 0.3
#: Width of the ring of jumps that charge spilling from a saturated region makes.
SPILL_PIX = 4.0
#: Part of an event's jumps that must be unfounded for the event to be of another group.
MOSTLY = 0.5
#: Pixels that the ragged edge of the smallest event may lack.
RAGGED_PIX = 0.5


@dataclass(frozen=True)
class Snowball:
    """One event.

    integration, group : int, from 0. y, x : float, centre, pixel from 0. radius_pix : float, of the jumps.
    core_radius_pix : float, of its saturated core; 0 without one.
    """

    integration: int
    group: int
    y: float
    x: float
    radius_pix: float
    core_radius_pix: float


@dataclass(frozen=True)
class Snowballs:
    """Result of a detection.

    groupdq : ndarray of uint8, shape (n_ints, n_groups, ny, nx)
        Group flags with the events' JUMP_DET; flags that were set stay set, except those of `n_released`.
    events : tuple of Snowball
        In order of integration and group; empty for the method "ceers", which gives masks only.
    n_flagged : int
        Flags that were newly set.
    n_released : int
        Flags of jumps that were removed: of samples without charge in ramps most of whose other samples had some.
    """

    groupdq: np.ndarray
    events: tuple[Snowball, ...]
    n_flagged: int
    n_released: int = 0


def flag_snowballs(
    groupdq: np.ndarray,
    *,
    data: np.ndarray | None = None,
    min_radius_pix: float = 4.0,
    expand_factor: float = 1.7,
    core_grow_pix: float = 3.0,
    averaged: bool = False,
    group_time_s: float | None = None,
    core_glow_s: float = 4000.0,
) -> Snowballs:
    """Find and flag snowballs.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (n_ints, n_groups, ny, nx)
        Group flags after the jump detection: JUMP_DET (4), SATURATED (2).
    data : ndarray of float, shape (n_ints, n_groups, ny, nx), optional
        The ramps: used to distinguish a core from before the first read from a saturated star, and to find the groups
        in which charge of an event arrived and how far it reaches (`snowball_reach`).
    min_radius_pix : float
        Radius of the smallest event.
    expand_factor : float
        Radius flagged over the radius of the jumps: the least where charge is seen to arrive, and the one taken where
        ramps cannot tell.
    core_grow_pix : float
        Pixels around a saturated core flagged in all later groups.
    averaged : bool
        Groups are averages of frames: the group after an event is flagged like its own where ramps cannot tell.
    group_time_s : float, optional
        Time between groups, s; None leaves the next integration alone.
    core_glow_s : float
        Time for which a core glows in the next integrations, s (2500 to 4000 were seen).

    Returns
    -------
    Snowballs

    Raises
    ------
    ParameterError
        When a radius or factor makes no sense.

    Notes
    -----
    Group 0 cannot show a jump. An event in it appears in group 1 when groups are averages (its light is incomplete in
    group 0), around a core that is saturated from group 0 on, and is found there. An event before the first read shows
    only as a saturated core, which widens: with `data`, round saturated regions of group 0 without the wings of a star
    are events of group 0. One pass over the flags; the input is not modified. Run it only once: on its own flags it
    would find the same events again, larger.
    """
    groupdq = _checked(groupdq)
    if data is not None and data.shape != groupdq.shape:
        raise ParameterError(f"ramps of shape {data.shape}, flags of shape {groupdq.shape}: one shape is needed")
    if min_radius_pix < 1 or expand_factor < 1 or core_grow_pix < 0:
        raise ParameterError(
            f"min_radius_pix {min_radius_pix}, expand_factor {expand_factor}, core_grow_pix {core_grow_pix}: at least "
            "1, 1 and 0 are needed"
        )
    flagged, n_groups = groupdq.copy(), groupdq.shape[1]
    events, changed, released = [], 0, 0
    for integration in range(len(groupdq)):
        light = None if data is None else RampLight(data[integration], groupdq[integration])
        found = [] if light is None else _first_cores(light, integration, min_radius_pix)
        found += _events_of(groupdq[integration], integration, averaged, min_radius_pix)
        reach_of = partial(_reach_of, light=light, n_groups=n_groups, averaged=averaged, expand_factor=expand_factor)
        reaches = idle_cores.each(reach_of, [event for event, _ in found])
        if light is not None:
            for (event, _), reach in zip(found, reaches, strict=True):
                released += _release(flagged[integration], light.data, event, reach)
        for (event, core), reach in zip(found, reaches, strict=True):
            changed += _flag_event(flagged, event, core, reach, core_grow_pix)
            if group_time_s:
                changed += _flag_glow(flagged, event, core, group_time_s, core_glow_s)
        events += [event for event, _ in found]
    return Snowballs(flagged, tuple(events), changed, released)


def _events_of(ramp, integration, averaged, min_radius_pix):
    """Return the events of an integration's groups with the pixels of their cores."""
    found = []
    for group in range(1, len(ramp)):
        for y, x, radius in find_events(ramp[group], ramp[group - 1], min_radius_pix=min_radius_pix):
            core = _core(ramp[min(group + averaged, len(ramp) - 1)], y, x, radius)
            found.append((Snowball(integration, group, y, x, radius, float(np.sqrt(len(core) / np.pi))), core))
    return found


def _first_cores(light, integration, min_radius_pix):
    """Return events before the first read: round saturated regions of group 0 that are no stars, with their pixels."""
    plane = np.where(dq.has(light.groupdq[0], dq.SATURATED), np.uint8(dq.SATURATED | dq.JUMP_DET), np.uint8(0))
    found = []
    for y, x, radius in find_events(plane, np.zeros_like(plane), min_radius_pix=min_radius_pix):
        if not light.is_star(y, x, radius):
            found.append((Snowball(integration, 0, y, x, radius, radius), _core(plane, y, x, 1.5 * radius)))
    return found


def _reach_of(event, light, n_groups, averaged, expand_factor):
    """Return how far an event is to be flagged in every group, pixel, (n_groups,); 0 where it is not."""
    expected = np.zeros(n_groups)
    expected[event.group : event.group + 1 + averaged] = expand_factor * event.radius_pix
    if light is None:
        return expected
    measured, known = measure_reach(light.data, light.groupdq, event.y, event.x, event.radius_pix)
    if not measured.any():
        return expected
    if not _is_unfounded(light, event, measured[event.group]):
        # Where jumps are and charge arrived, what is expected is the least.
        measured[event.group] = max(measured[event.group], expected[event.group])
    return np.where(known, measured, expected)


def _is_unfounded(light, event, reach):
    """Return whether an event's jumps mark the group without charge, where most others of the ramp have some."""
    if event.group == 0 or reach > 0:
        return False
    inside, wrong = unfounded_jumps(light.data, light.groupdq, event.group, event.y, event.x, event.radius_pix)
    jumps = dq.has(light.groupdq[event.group][inside], dq.JUMP_DET)
    return bool(wrong.sum() > MOSTLY * jumps.sum())


def _release(flags, data, event, reach):
    """Take unfounded jumps of an event away, in place; returns their number."""
    if event.group == 0 or reach[event.group] > 0 or not reach.any():
        return 0
    inside, wrong = unfounded_jumps(data, flags, event.group, event.y, event.x, reach.max())
    flags[event.group][inside][wrong] &= np.uint8(~np.uint8(dq.JUMP_DET))
    return int(wrong.sum())


def find_events(plane: np.ndarray, previous: np.ndarray, *, min_radius_pix: float) -> list[tuple[float, float, float]]:
    """Return (y, x, radius) of the round regions of jumps in one group.

    plane, previous : ndarray of uint8, shape (ny, nx), flags of the group and of the one before. A thin ring of jumps
    around pixels that were saturated before is the spill of a core or a star, not an event.
    """
    from detectorist.algorithms.ramps import _snowballs_nb as kernels

    runs = kernels.find_runs(plane, dq.JUMP_DET | dq.SATURATED)
    if not len(runs):
        return []
    numbers, n_regions = kernels.join_runs(runs)
    table = kernels.measure_regions(plane, previous, runs, numbers, n_regions, dq.JUMP_DET, dq.SATURATED)
    large = np.flatnonzero(table[:, kernels.AREA] >= np.pi * (min_radius_pix - RAGGED_PIX) ** 2)
    table = table[large]
    area = table[:, kernels.AREA]
    y, x = table[:, kernels.SUM_Y] / area, table[:, kernels.SUM_X] / area
    # Half a pixel on each side: the second moment of a pixel's own width is 1/12.
    yy = table[:, kernels.SUM_YY] / area - y**2 + 1 / 12
    xx = table[:, kernels.SUM_XX] / area - x**2 + 1 / 12
    xy = table[:, kernels.SUM_XY] / area - x * y
    middle, half = 0.5 * (yy + xx), np.hypot(0.5 * (yy - xx), xy)
    filling = area / (4 * np.pi * np.sqrt(np.maximum(yy * xx - xy**2, 1e-9)))
    ratio = np.sqrt(np.maximum(middle - half, 0) / (middle + half))
    cut = regions_at_border(runs, numbers, n_regions, plane.shape)[large]
    round_ = (filling > MIN_FILLING) & (ratio > np.where(cut, LEAST_AXIS_RATIO_CUT, MIN_AXIS_RATIO))
    radius, old = np.sqrt(area / np.pi), np.sqrt(table[:, kernels.OLD] / np.pi)
    spill = (old > 0) & (radius - old < np.maximum(SPILL_PIX, 0.5 * old))
    events = round_ & ~spill & (table[:, kernels.JUMPS] > MIN_JUMP_SHARE * area)
    found = [(float(y[i]), float(x[i]), float(radius[i])) for i in np.flatnonzero(events)]
    # The middle of what the border leaves of an event is not its centre, and its area not that of its circle.
    return [
        circle_at_border(runs[numbers == large[i]], plane.shape, one) if cut[i] else one
        for i, one in zip(np.flatnonzero(events), found, strict=True)
    ]


def _core(plane, y, x, radius):
    """Return the saturated pixels (n, 2) inside an event."""
    from detectorist.algorithms.ramps._snowballs_nb import core_pixels

    return core_pixels(plane, y, x, radius, dq.SATURATED)


def _flag_event(flagged, event, core, reach, core_grow_pix):
    """Flag an event in its groups, and its core's surroundings in the later ones. Returns flags newly set."""
    from detectorist.algorithms.ramps._snowballs_nb import set_disk, set_disks

    ramp = flagged[event.integration]
    changed = 0
    for group in np.flatnonzero(reach[1:]) + 1:
        changed += set_disk(ramp[group], event.y, event.x, reach[group], dq.JUMP_DET, dq.SATURATED)
    # Where the jumps mark the one group without charge, the core is older than they are.
    first = min([event.group, *np.flatnonzero(reach)])
    for plane in ramp[first + 1 :]:
        changed += set_disks(plane, core, core_grow_pix, dq.JUMP_DET, dq.SATURATED)
    return changed


def _flag_glow(flagged, event, core, group_time_s, core_glow_s):
    """Flag a core in the groups of later integrations that begin while it glows. Returns flags newly set."""
    n_ints, n_groups = flagged.shape[:2]
    changed = 0
    for integration in range(event.integration + 1, n_ints):
        # A reset takes about a group.
        elapsed = (integration - event.integration) * (n_groups + 1) - event.group
        last = int(np.ceil(core_glow_s / group_time_s - elapsed))
        for plane in flagged[integration, : max(last, 0)]:
            for row, column in core:
                if not plane[row, column] & dq.JUMP_DET:
                    plane[row, column] |= dq.JUMP_DET
                    changed += 1
    return changed


def flag_snowballs_ceers(
    groupdq: np.ndarray,
    *,
    detection_radii: tuple[int, ...] = (7, 15),
    grow_radii: tuple[int, ...] = (7, 35),
) -> Snowballs:
    """Flag snowballs by disk medians of the jumps (CEERS: Bagley et al. 2023, ApJ 946 L12, section 3.1.1).

    groupdq : ndarray of uint8, shape (n_ints, n_groups, ny, nx)
        As in `flag_snowballs`.
    detection_radii, grow_radii : tuple of int, pixel
        A pixel belongs to an event when more than half of the disk around it has jumps, or when it is saturated and
        within the disk of one that does; events found with a disk grow by the corresponding radius of `grow_radii`.

    Returns Snowballs without events. Raises ParameterError when the two tuples are not of one length or not positive.
    About 0.4 s per full plane that has clumps of jumps.
    """
    groupdq = _checked(groupdq)
    if len(detection_radii) != len(grow_radii) or min(*detection_radii, *grow_radii, 1) < 1:
        raise ParameterError(
            f"detection_radii {detection_radii} and grow_radii {grow_radii}: positive pairs are needed"
        )
    flagged = groupdq.copy()
    changed = 0
    for number, before in enumerate(groupdq.reshape(-1, *groupdq.shape[-2:])):
        jumps, saturated = dq.has(before, dq.JUMP_DET), dq.has(before, dq.SATURATED)
        event = np.zeros(jumps.shape, bool)
        for detect, grow in zip(detection_radii, grow_radii, strict=True):
            found = _disk_majority(jumps, detect)
            if found.any():
                found |= saturated & _grown(found, detect)
                event |= _grown(found, grow)
        changed += int((event & ~jumps).sum())
        flagged.reshape(-1, *groupdq.shape[-2:])[number][event] |= dq.JUMP_DET
    return Snowballs(flagged, (), changed)


def _grown(mask, radius_pix):
    return ndimage.distance_transform_edt(~mask) <= radius_pix


def _disk_majority(mask, radius_pix):
    """Return where at least half of the disk around a pixel is True, by running sums along rows; edges are mirrored."""
    offsets = np.arange(-radius_pix, radius_pix + 1)
    half = np.floor(np.sqrt(radius_pix**2 - offsets**2)).astype(int)
    n_disk = int((2 * half + 1).sum())
    # No disk can be half full where the square around it holds too few.
    if not mask.any() or _square_maximum(mask, radius_pix) < n_disk / 2:
        return np.zeros(mask.shape, bool)
    padded = np.pad(mask, radius_pix, mode="symmetric")
    ny, nx = mask.shape
    sums = np.zeros((padded.shape[0], padded.shape[1] + 1), np.int32)
    np.cumsum(padded, axis=1, out=sums[:, 1:])
    count = np.zeros(mask.shape, np.int32)
    for dy, h in zip(offsets + radius_pix, half, strict=True):
        first, last = radius_pix - h, radius_pix + h + 1
        count += sums[dy : dy + ny, last : last + nx] - sums[dy : dy + ny, first : first + nx]
    return 2 * count > n_disk


def _square_maximum(mask, radius_pix):
    """Return an upper limit of the True pixels in any square of side 2 radius + 1."""
    size = 2 * radius_pix + 1
    ny, nx = (-(-n // size) for n in mask.shape)
    padded = np.zeros((ny * size, nx * size), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    tiles = padded.reshape(ny, size, nx, size).sum(axis=(1, 3))
    return int(ndimage.maximum_filter(tiles, 2).max(initial=0)) * 4


def _checked(groupdq):
    groupdq = np.asarray(groupdq)
    if groupdq.ndim != 4 or groupdq.dtype != np.uint8:
        raise ParameterError(
            f"group flags of shape {groupdq.shape} and type {groupdq.dtype}: (n_ints, n_groups, ny, nx) of uint8 needed"
        )
    return groupdq
