"""Cosmic-ray jumps of a time series, found in every integration by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from stcal.jump.jump_class import JumpData

from detectorist.engine import NotCovered
from detectorist.engine.jump import NOT_SEARCHED
from detectorist.reduction.engine_steps.base import EngineStep, replaced
from detectorist.reduction.engine_steps.jump import EngineJumpStep

log = logging.getLogger(__name__)

Found = tuple[np.ndarray, np.ndarray, int, int]


class OneByOneJumpStep(EngineJumpStep):
    """Detect jumps as `JumpStep` does; with `ints_separately`, integrations are independent.

    The standard step compares every difference of two groups with the median over the groups of all integrations. A
    star that moves or changes then has jumps: a shift of 0.15 pixels changes the pixels at its sides by 10 %, many
    times their noise, and an integration in transit has more chance flags than one outside. Here each is passed to it
    alone, and a difference is compared with the others of its own ramp.
    """

    spec = """
        ints_separately = boolean(default=False) # compare groups with those of their own integration only
    """

    def process(self, step_input: Any) -> Any:
        """Run the step."""
        if not self.ints_separately:
            return super().process(step_input)
        with replaced(*self.place, partial(self._one_by_one, getattr(*self.place))):
            return super(EngineStep, self).process(step_input)

    def _one_by_one(self, stock: Callable[..., Found], settings: JumpData) -> Found:
        """Return flags and numbers of all integrations: found in the engine, or by `stock` where that cannot do it."""
        alone = [_integration(settings, k) for k in range(len(settings.data))]
        if self.engine != "stock":
            try:
                self.prepare_engine()
                found = _joined([self.covered(one) for one in alone])
                log.info("%s: compiled engine", self.class_alias)
                return found
            except NotCovered as reason:
                log.info("%s: standard code, because %s", self.class_alias, reason)
        return _joined([stock(one) for one in alone])


def _integration(settings: JumpData, k: int) -> JumpData:
    """Return what the standard function takes, for one integration."""
    alone = copy(settings)
    alone.data, alone.gdq = settings.data[k : k + 1], settings.gdq[k : k + 1]
    return alone


def _joined(found: Sequence[Found]) -> Found:
    flags, pixels, hits, events = zip(*found, strict=True)
    searched = [int(number) for number in hits if number != NOT_SEARCHED]
    n_hits = sum(searched) if searched else NOT_SEARCHED
    return np.concatenate(flags), np.bitwise_or.reduce(pixels), n_hits, sum(events)
