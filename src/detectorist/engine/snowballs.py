"""Large cosmic-ray events in near-infrared ramps (snowballs): stcal's rule, flag for flag."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes

from detectorist.engine.ellipses import Ellipse, draw_ellipse, ellipse_of, is_inside
from detectorist.engine.flags import JUMP, SATURATED

#: A hole in a region needs a ring of eight pixels around it.
_SMALLEST_RING = 8

#: The approximate axes are good to 1e-5; within this distance of a limit the exact ones decide.
_MARGIN_PIX = 1e-3


class SnowballRule(NamedTuple):
    """Stock's parameters, lengths in pixels; `sat_expand` and `max_axis` are full axes, twice the step's radii."""

    min_jump_area: float = 5.0
    min_sat_area: float = 1.0
    expand_factor: float = 2.0
    sat_required: bool = True
    min_sat_axis: float = 2.5
    sat_expand: float = 4.0
    edge_size: int = 25
    max_axis: float = 400.0
    mask_next_int: bool = True
    next_int_groups: int = 25


class LargeEvents(NamedTuple):
    """Group flags with the events in them, a new array, and the number of events."""

    groupdq: np.ndarray
    n_events: int


class _Found:
    """Connected regions of a plane that have at least the wanted area, holes included."""

    def __init__(self, plane: np.ndarray, before: np.ndarray, bit: int, only_new: bool, min_area: float):
        from detectorist.engine import _regions_nb as kernels

        self.regions = kernels.find_regions(plane, before, np.uint8(bit), only_new)
        stats = self.regions.stats
        large = stats[:, kernels.AREA] >= min_area
        # a region may reach the area with its holes: then some row has two runs
        height = stats[:, kernels.R_HIGH] - stats[:, kernels.R_LOW]
        width = stats[:, kernels.C_HIGH] - stats[:, kernels.C_LOW]
        hollow = ~large & (stats[:, kernels.N_RUNS] > height) & (stats[:, kernels.AREA] >= _SMALLEST_RING)
        for s in np.flatnonzero(hollow & (height * width >= min_area)):
            large[s] = binary_fill_holes(self._image(s), np.ones((3, 3))).sum() >= min_area
        self.index = np.flatnonzero(large)
        self.approximate = kernels.approximate_ellipses(stats[self.index])

    def __len__(self) -> int:
        return len(self.index)

    @property
    def centers(self) -> np.ndarray:
        """Rows and columns, exact, shape (n, 2)."""
        return self.approximate[:, :2]

    def exact(self, k: int) -> Ellipse:
        """Return the ellipse of the k-th region, to the last bit."""
        return ellipse_of(self._image(self.index[k]))

    def _image(self, s: int) -> np.ndarray:
        from detectorist.engine import _regions_nb as kernels

        box = self.regions.stats[s]
        image = np.zeros((box[kernels.R_HIGH] - box[kernels.R_LOW], box[kernels.C_HIGH] - box[kernels.C_LOW]), bool)
        kernels.region_image(self.regions, s, image)
        return image


def flag_large_events(groupdq: np.ndarray, rule: SnowballRule) -> LargeEvents:
    """Flag snowballs exactly as stcal's `flag_large_events` does.

    In every group: regions of jumps that hold the centre of a newly saturated region, of this group or the next, or lie
    near an edge, are replaced by enlarged ellipses with JUMP; newly saturated regions that are not too narrow are
    enlarged and become SATURATED, all other flags lost, to the end of the ramp; their cores, as found, are JUMP in the
    first groups of the next integration.

    groupdq : ndarray of uint8, shape (n_ints, n_groups, ny, nx), n_groups > 2
        Group flags after jump detection; not modified.
    rule : SnowballRule

    Cost: that of reading the flags, plus some 50 us per event; regions are never looked at one by one otherwise.
    """
    flags = np.array(groupdq, np.uint8, order="C")
    cores = np.zeros((flags.shape[0], *flags.shape[2:]), bool)
    n_events = 0
    for ramp, core in zip(flags, cores, strict=True):
        for g in range(1, flags.shape[1]):
            n_events += _flag_group(ramp, g, core, rule)
    if rule.mask_next_int and rule.next_int_groups >= 1:
        stop = min(rule.next_int_groups, flags.shape[1])
        for ramp, core in zip(flags[1:], cores[:-1], strict=True):
            ramp[1:stop, core] |= np.uint8(JUMP)
    return LargeEvents(flags, n_events)


def _flag_group(ramp: np.ndarray, g: int, core: np.ndarray, rule: SnowballRule) -> int:
    """Flag the events of group g of one integration in place; `core` collects the saturated cores."""
    jumps = _Found(ramp[g], ramp[g], JUMP, False, rule.min_jump_area)
    if rule.sat_required:
        saturated = _Found(ramp[g], ramp[g - 1], SATURATED, True, rule.min_sat_area)
        centers = [saturated.centers]
        if g + 1 < len(ramp):
            centers.append(_Found(ramp[g + 1], ramp[g], SATURATED, True, rule.min_sat_area).centers)
        chosen = _choose(jumps, np.concatenate(centers), ramp.shape[1], rule)
        _extend_saturation(ramp[g:], saturated, core, rule)
    else:
        chosen = np.arange(len(jumps))
    for k in chosen:
        _draw_jump(ramp[g], jumps.centers[k], jumps.exact(k), rule)
    return len(chosen)


def _choose(jumps: _Found, centers: np.ndarray, n_rows: int, rule: SnowballRule) -> np.ndarray:
    """Return which jump regions are events. (Stock compares rows and columns with the number of rows.)"""
    from detectorist.engine import _ellipses_nb as kernels

    high = max(0, n_rows - rule.edge_size)
    near_edge = np.any((jumps.centers < rule.edge_size) | (jumps.centers > high), axis=1)
    centers = centers[np.argsort(centers[:, 0], kind="stable")]
    answer = kernels.holds_center(jumps.approximate, centers)
    for k in np.flatnonzero(~near_edge & (answer == kernels.UNSURE)):
        row, column, _, major, _ = jumps.approximate[k]
        near = centers[np.abs(centers - (row, column)).max(axis=1) <= abs(major) + 1]
        ellipse = jumps.exact(k)
        if any(is_inside(*point, (row, column), ellipse) for point in near):
            answer[k] = kernels.YES
    return np.flatnonzero(near_edge | (answer == kernels.YES))


def _extend_saturation(groups: np.ndarray, saturated: _Found, core: np.ndarray, rule: SnowballRule) -> None:
    """Replace wide saturated regions by enlarged ellipses in all groups from this one on; note them as they were."""
    for k in np.flatnonzero(saturated.approximate[:, 2] > rule.min_sat_axis - _MARGIN_PIX):
        ellipse = saturated.exact(k)
        if ellipse.minor > rule.min_sat_axis:
            center, shape = saturated.centers[k], core.shape
            axes = tuple(min(axis + rule.sat_expand, rule.max_axis) for axis in ellipse[:2])
            patch = draw_ellipse(shape, *center, axes, ellipse.angle_deg)
            groups[:, patch.rows, patch.columns][:, patch.inside] = SATURATED
            patch = draw_ellipse(shape, *center, ellipse[:2], ellipse.angle_deg)
            core[patch.rows, patch.columns] |= patch.inside


def _draw_jump(plane: np.ndarray, center: np.ndarray, ellipse: Ellipse, rule: SnowballRule) -> None:
    """Set JUMP in the enlarged ellipse; both axes grow by the same length, so that long ones do not explode."""
    grown = (rule.expand_factor - 1.0) * ellipse.minor
    axes = [ellipse.minor * rule.expand_factor, ellipse.major + grown]
    if ellipse.major < ellipse.minor:  # by rounding, for a circle
        grown = (rule.expand_factor - 1.0) * ellipse.major
        axes = [ellipse.minor + grown, ellipse.major * rule.expand_factor]
    axes = tuple(round(min(axis, rule.max_axis) / 2) * 2 for axis in axes)
    patch = draw_ellipse(plane.shape, *center, axes, ellipse.angle_deg)
    target = plane[patch.rows, patch.columns]
    target[patch.inside & (target & SATURATED == 0)] |= np.uint8(JUMP)
