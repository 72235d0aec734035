"""Count the data-quality flags of LRS integrations."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from stdatamodels.jwst.datamodels import CubeModel, dqflags

from detectorist import models
from detectorist.algorithms.flags import count_flags
from detectorist.step import LRS_SLITLESS, DetectoristStep

log = logging.getLogger(__name__)

#: Mnemonic of every bit, 2**0 first.
NAMES = {value.bit_length() - 1: name for name, value in dqflags.pixel.items() if value}


class InspectDQFlagsStep(DetectoristStep):
    """Count how many pixels carry each flag. The model is returned unchanged, apart from this step's record."""

    class_alias = "inspect_dq_flags"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        draw_dq_flags = boolean(default=False)  # draw where the flags are
    """

    def process(self, input_data: Any) -> CubeModel:
        """Return the input with the counts on record: flag name -> number of pixels in all integrations."""
        model = self.open_input(input_data, CubeModel)
        flags = models.flags(model)
        counts = count_flags(flags)
        total = counts.sum(axis=0)
        found = {NAMES[bit]: int(total[bit]) for bit in range(32) if total[bit]}
        n_good = int(total[-1])
        log.info("%s: %d of %d pixels without a flag", models.describe(model), n_good, flags.size)
        for name, number in found.items():
            log.info("%s: %s: %d pixels (%.3g %%)", models.describe(model), name, number, 100 * number / flags.size)
        if self.draw_dq_flags:
            self._draw(model, flags, found)
        return self.complete(
            model,
            f"{len(found)} kinds of flags, {n_good} of {flags.size} pixels without one",
            counts=found,
            n_good=n_good,
            n_pixels=int(flags.size),
        )

    def _draw(self, model: CubeModel, flags, found: dict[str, int]) -> None:
        from detectorist.figures.dq_flags import draw_flags

        bits = {name: dqflags.pixel[name] for name in found}
        self.draw(lambda: draw_flags(flags, bits=bits), model)
