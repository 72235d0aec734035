"""MIRI's periodic interference, fitted for every integration independently."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from detectorist.engine import NotCovered
from detectorist.reduction.engine_steps.base import EngineStep, replaced
from detectorist.reduction.engine_steps.emicorr import EngineEmiCorrStep, require_read_pattern

log = logging.getLogger(__name__)


class OneByOneEmiCorrStep(EngineEmiCorrStep):
    """Remove EMI as `EmiCorrStep` does; with `fit_ints_separately`, integrations are independent.

    The standard step fits a phase and an amplitude for each, but chooses quiet pixels by the scatter in all of them,
    and its grid of trial phases depends on the number of the integration. Here each is passed to it alone, so that the
    result does not depend on how a segment is divided.
    """

    def process(self, step_input: Any) -> Any:
        """Run the step."""
        if not self.fit_ints_separately:
            return super().process(step_input)
        require_read_pattern(step_input)
        with replaced(*self.place, partial(self._one_by_one, getattr(*self.place))):
            return super(EngineStep, self).process(step_input)

    def _one_by_one(self, stock: Callable[..., Any], data: Any, *args: Any, **kwargs: Any) -> Any:
        """Return `data` corrected in place: in the engine, or by `stock` where that does not cover the exposure."""
        if self.engine != "stock":
            try:
                self.prepare_engine()
                result = self.covered(data, *args, **kwargs, independent=True)
                log.info("%s: compiled engine", self.class_alias)
                return result
            except NotCovered as reason:
                log.info("%s: standard code, because %s", self.class_alias, reason)
        for i in range(len(data)):
            data[i : i + 1] = stock(data[i : i + 1], *args, **kwargs)
        return data
