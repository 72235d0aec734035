"""Subtract from the groups of an LRS ramp the offset common to all their pixels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps.group_offsets import measure_group_offsets, subtract_group_offsets
from detectorist.step import LRS_SLITLESS, DetectoristStep


class SubtractGroupOffsetsStep(DetectoristStep):
    """Measure the offset of every group on the faint half of the columns, odd and even rows apart, and subtract it.

    The decay after a reset, the pull on the last frame and residual drift of the electronics offset all pixels of a
    group. Offsets are departures from straight lines through the second half of the ramps, so that slopes do not change
    and first groups are moved onto the same lines. Additional effects in bright pixels are not corrected. For linear
    ramps: after the linearity step. The noise of an offset is common to a group and is removed with the background; it
    is in the record (`noise_dn`). Reference columns are left alone.
    """

    class_alias = "subtract_group_offsets"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)
    subtracts: ClassVar = True

    spec = ""

    def process(self, input_data: Any) -> RampModel:
        """Return the ramp without the offsets."""
        model = self.open_input(input_data, RampModel)
        unusable = dq.has(np.asarray(model.pixeldq, np.uint32), dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        unusable = unusable | dq.has(np.bitwise_or.reduce(models.group_flags(model), axis=1), dq.SATURATED)
        found = measure_group_offsets(model.data, ~unusable)
        if found.n_pixels == 0:
            return self.skip_because(model, f"ramps of {model.data.shape[1]} groups are too short for it")
        model.data = subtract_group_offsets(model.data, found.offset, out=models.place_for(model.data))
        first, last = (np.median(found.offset[:, g].mean(axis=-1)) for g in (0, -1))
        return self.complete(
            model,
            f"offsets of the groups subtracted, {first:.1f} DN in the first and {last:.1f} DN in the last, "
            f"known to {found.noise_dn:.2f} DN",
            first_dn=float(first),
            last_dn=float(last),
            noise_dn=found.noise_dn,
            n_pixels=found.n_pixels,
        )
