"""Jump detection that is not confused by 1/f noise."""

from __future__ import annotations

import logging
from typing import Any

from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.flicker.group_stripes import group_stripes
from detectorist.errors import TooFewPixels
from detectorist.reduction.engine_steps.jump import EngineJumpStep
from detectorist.stage_1.nircam_readout import readout_of, times_of_groups

log = logging.getLogger(__name__)

#: Fewest groups in which the stock step looks for jumps.
LEAST_GROUPS = 3


class CoronJumpStep(EngineJumpStep):
    """Detect jumps as the standard step does, for NIRCam subarrays in ramps without the stripes of their groups.

    A stripe of 1/f noise moves hundreds of neighbours in one group by more than their own noise: without this, whole
    pieces of rows are flagged as jumps, and their slopes, fitted to part of the groups, have additional stripes. Only
    flags are made here; the ramps keep their stripes.
    """

    spec = """
        destripe = boolean(default=True)  # NIRCam, one output: look for jumps in ramps without 1/f noise
    """

    def process(self, step_input: Any) -> Any:
        """Return the ramp with jumps flagged."""
        model = self.prepare_output(step_input, open_as_ramp=True)
        stripes = self._stripes(model)
        if stripes is None:
            return super().process(model)
        data = model.data
        model.data = data - stripes
        result = super().process(model)
        result.data = data
        return result

    def _stripes(self, model: RampModel):
        """Return the stripes, (n_ints, n_groups, ny, nx), or None where none are sought or found."""
        if not self.destripe or model.meta.instrument.name != "NIRCAM" or model.data.shape[1] < LEAST_GROUPS:
            return None
        readout = readout_of(model)
        if len(readout.outputs) > 1:
            return None
        unusable = dq.has(model.pixeldq, dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        try:
            stripes = group_stripes(
                model.data, models.group_flags(model), times_of_groups(model), unusable, readout=readout
            )
        except TooFewPixels as error:
            log.warning("%s: jumps are detected with 1/f noise in the ramps: %s", models.describe(model), error)
            return None
        log.info("jumps are detected in ramps without 1/f noise of %.2f DN rms", float(stripes.std()))
        return stripes
