"""Cosmic-ray jumps of a time series, found in every integration by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from stcal.jump.jump_class import JumpData

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.small_hits import flag_small_hits
from detectorist.engine import NotCovered
from detectorist.engine.jump import NOT_SEARCHED
from detectorist.parameters import require_cores
from detectorist.reduction.engine_steps.base import EngineStep, announce_compilation, replaced
from detectorist.reduction.engine_steps.jump import EngineJumpStep

log = logging.getLogger(__name__)

#: Differences of a ramp from which on the threshold is used as it is, and the fewest that it is raised for: fewer have
#: thresholds of their own.
ENOUGH_DIFFERENCES, FEWEST_DIFFERENCES = 11, 4

Found = tuple[np.ndarray, np.ndarray, int, int]


class OneByOneJumpStep(EngineJumpStep):
    """Detect jumps as `JumpStep` does; with `ints_separately`, integrations are independent.

    The standard step compares every difference of two groups with the median over the groups of all integrations. A
    star that moves or changes then has jumps: a shift of 0.15 pixels changes the pixels at its sides by 10 %, many
    times their noise, and an integration in transit has more chance flags than one outside. Here each is passed to it
    alone, and a difference is compared with the others of its own ramp.

    With `raise_for_few_groups` the rejection threshold grows where few differences tell what is usual in their ramp:
    the variance of a median of n differences is pi/2 n of theirs, and a difference deviates from it by that much more.

    With `find_small_hits` ramps are searched once more for hits that stand out given the rate that all integrations
    know (`algorithms.ramps.small_hits`), at the rejection threshold; where a pixel changes, its own ramps decide.
    """

    spec = """
        ints_separately = boolean(default=False) # compare groups with those of their own integration only
        raise_for_few_groups = boolean(default=False) # with ints_separately: higher threshold below 12 usable groups
        find_small_hits = boolean(default=False) # with ints_separately: look again, with what all integrations know
    """

    def process(self, step_input: Any) -> Any:
        """Run the step."""
        if not self.ints_separately:
            return super().process(step_input)
        require_cores(self.maximum_cores)
        with replaced(*self.place, partial(self._one_by_one, getattr(*self.place))):
            return super(EngineStep, self).process(step_input)

    def _one_by_one(self, stock: Callable[..., Found], settings: JumpData) -> Found:
        """Return flags and numbers of all integrations, with small hits if asked for."""
        found = self._alone(stock, settings)
        return _with_small_hits(settings, found) if self.find_small_hits else found

    def _alone(self, stock: Callable[..., Found], settings: JumpData) -> Found:
        """Search every integration by itself: in the engine, or by `stock` where that cannot do it."""
        alone = [_integration(settings, k) for k in range(len(settings.data))]
        for one in alone if self.raise_for_few_groups else ():
            one.rejection_thresh = settings.rejection_thresh * _threshold_factor(_usable_groups(one.gdq) - 1)
        if self.engine != "stock":
            try:
                self.prepare_engine()
                found = _joined([self.covered(one) for one in alone], settings.gdq)
                log.info("%s: compiled engine", self.class_alias)
                return found
            except NotCovered as reason:
                log.info("%s: standard code, because %s", self.class_alias, reason)
        return _joined([stock(one) for one in alone], settings.gdq)


def _integration(settings: JumpData, k: int) -> JumpData:
    """Return what the standard function takes, for one integration."""
    alone = copy(settings)
    alone.data, alone.gdq = settings.data[k : k + 1], settings.gdq[k : k + 1]
    return alone


def _usable_groups(flags: np.ndarray) -> int:
    """Return the number of groups that are not DO_NOT_USE in every pixel, flags (1, n_groups, ny, nx)."""
    return int((~dq.has(flags[0], dq.DO_NOT_USE).all(axis=(1, 2))).sum())


def _threshold_factor(n_differences: int) -> float:
    """Return by how much a threshold must grow for as few chance flags as with `ENOUGH_DIFFERENCES`."""
    if not FEWEST_DIFFERENCES <= n_differences < ENOUGH_DIFFERENCES:
        return 1.0
    few, enough = (1 + np.pi / 2 / (n - 1) for n in (n_differences, ENOUGH_DIFFERENCES))
    return float(np.sqrt(few / enough))


def _with_small_hits(settings: JumpData, found: Found) -> Found:
    from detectorist.algorithms.ramps._small_hits_tiles_nb import flag_tiles

    flags, pixels, n_hits, events = found
    if settings.dt_group.size != 1 or n_hits == NOT_SEARCHED:
        log.info("jump: small hits are not looked for: groups are too few or unevenly spaced")
        return found
    announce_compilation(flag_tiles)
    small = flag_small_hits(
        settings.data,
        flags,
        settings.gain_2d,
        settings.rnoise_2d,
        n_frames=settings.n_reads_groupdiff[0] / 2,
        threshold_sigma=settings.rejection_thresh,
        out=flags,
    )
    log.info("jump: %d small hits found with the rates of all integrations", small.number)
    return small.groupdq, pixels, n_hits + small.number, events


def _joined(found: Sequence[Found], before: np.ndarray) -> Found:
    """Return what was found in integrations one by one as that of all, in place of the flags `before`, if it may be."""
    flags, pixels, hits, events = zip(*found, strict=True)
    out = before if before.flags.writeable else np.empty_like(before)
    for place, own in zip(out, flags, strict=True):
        place[...] = own[0]
    searched = [int(number) for number in hits if number != NOT_SEARCHED]
    n_hits = sum(searched) if searched else NOT_SEARCHED
    return out, np.bitwise_or.reduce(pixels), n_hits, sum(events)
