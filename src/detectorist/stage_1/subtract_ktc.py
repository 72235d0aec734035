"""Subtract the kTC noise: the offset that every reset leaves on every pixel."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.ramps import ktc
from detectorist.stage_1.nircam_readout import saturation_level, times_of_groups
from detectorist.step import DetectoristStep


class SubtractKtcStep(DetectoristStep):
    """Subtract from every ramp its fitted offset, taking cosmic rays and saturation into account.

    Slopes do not change; the groups become images without kTC noise, in which 1/f noise can be measured.
    Pixels whose offset cannot be measured (no usable group) are not changed, and counted. The offsets, DN, are
    kept as `offsets` (n_ints, ny, nx) of the step.
    """

    class_alias = "subtract_ktc"
    instruments: ClassVar = ("NIRCAM",)
    subtracts: ClassVar = True
    reference_file_types: ClassVar = ["saturation"]

    spec = """
        sat_frac = float(min=0.0, max=1.0, default=0.5)  # groups above this part of saturation are left out of the fit
        draw_offsets = boolean(default=False)  # draw the offsets and a group without them
    """

    def process(self, input_data):
        """Return the ramps without their offsets; with a single group as they are."""
        model = self.open_input(input_data, RampModel)
        if model.data.shape[1] < 2:
            # Relative to the median of the integrations every one would become that median, with its light.
            return self.skip_because(model, "one group: nothing tells the offset of a reset from light, and it stays")
        offsets = ktc.measure_ktc(
            model.data,
            models.group_flags(model),
            times_of_groups(model),
            saturation=saturation_level(self, model),
            sat_frac=self.sat_frac,
        )
        model.data = ktc.subtract_offsets(model.data, offsets)
        self.offsets = offsets.offset
        if self.draw_offsets:
            from detectorist.figures.ktc import draw_offsets

            self.draw(lambda: draw_offsets(offsets.offset, offsets.measured, np.asarray(model.data[0, 0])), model)
        unmeasured = int((~offsets.measured).sum())
        differences = (offsets.offset - offsets.offset.mean(axis=0))[offsets.measured]
        known = {}
        summary = "offsets subtracted"
        if len(model.data) > 1 and differences.size:  # one integration shows no difference, which is not none
            known["ktc_rms_dn"] = rms = float(typed_median(np.abs(differences)) * 1.4826)
            summary = f"offsets of {rms:.1f} DN rms from integration to integration subtracted"
        return self.complete(model, f"{summary}, {unmeasured} ramps without one", **known, ramps_unmeasured=unmeasured)
