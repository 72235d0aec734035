"""Saturation flags with growth in a cross and with RC pixels."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import RampModel, dqflags

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps.saturation import flag_saturation
from detectorist.reduction.engine_steps.front import EngineSaturationStep

log = logging.getLogger(__name__)


class CoronSaturationStep(EngineSaturationStep):
    """Flag saturation; on request with RC pixels, and grown to the neighbours that share an edge.

    Without either, the standard step runs. For MIRI the growth is standard unless requested.
    """

    spec = """
        flag_rcsat = boolean(default=False)  # RC pixels count as saturated in all groups
        grow_diagonal = boolean(default=None)  # in a square, not a cross; None: for MIRI only
    """

    def process(self, step_input: Any) -> Any:
        """Return the ramp with saturated groups flagged."""
        result = self.prepare_output(step_input, open_as_ramp=True)
        diagonal = result.meta.instrument.name == "MIRI" if self.grow_diagonal is None else self.grow_diagonal
        if not self.flag_rcsat and (diagonal or self.n_pix_grow_sat == 0):
            return super().process(result)
        name = self.get_reference_file(result, "saturation")
        if name == "N/A":
            log.warning("No SATURATION reference file found: step skipped")
            result.meta.cal_step.saturation = "SKIPPED"
            return result
        with datamodels.SaturationModel(name) as reference:
            start = (reference.meta.subarray.xstart or 1, reference.meta.subarray.ystart or 1)
            threshold = np.array(models.on_subarray(reference.data, result, start))
            checks = np.array(models.on_subarray(reference.dq, result, start))
        unchecked = dq.has(checks, dqflags.pixel["NO_SAT_CHECK"])
        checks[np.isnan(threshold)] |= np.uint32(dqflags.pixel["NO_SAT_CHECK"])
        rc = dq.has(result.pixeldq, dqflags.pixel["RC"])
        flags = flag_saturation(
            result.data,
            models.group_flags(result),
            np.where(unchecked, np.nan, threshold),
            n_pix_grow_sat=self.n_pix_grow_sat,
            grow_diagonal=diagonal,
            always_saturated=rc if self.flag_rcsat else None,
            n_frames=(result.meta.exposure.nframes or 1) if self.use_readpatt else None,
            bias=self._bias(result),
            zeroframe=result.zeroframe if result.meta.exposure.zero_frame else None,
        )
        result.groupdq = flags.groupdq
        result.pixeldq = result.pixeldq | checks
        if flags.zeroframe is not None:
            result.zeroframe = flags.zeroframe
        n_saturated = int(dq.has(flags.groupdq, dq.SATURATED).any(axis=(0, 1)).sum())
        log.info(
            "%d pixels saturate%s, grown by %d %s",
            n_saturated,
            f", {int(rc.sum())} RC pixels among them" if self.flag_rcsat else "",
            self.n_pix_grow_sat,
            "in a square" if diagonal else "in a cross",
        )
        result.meta.cal_step.saturation = "COMPLETE"
        return result

    def _bias(self, model: RampModel) -> np.ndarray | float:
        name = self.get_reference_file(model, "superbias")
        if name == "N/A":
            return 0.0
        with datamodels.SuperBiasModel(name) as reference:
            start = (reference.meta.subarray.xstart or 1, reference.meta.subarray.ystart or 1)
            return np.array(models.on_subarray(reference.data, model, start))
