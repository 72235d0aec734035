"""Mask groups that the detector's start or end of ramp has spoiled."""

from __future__ import annotations

from typing import ClassVar

from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.parameters import parse_index_list
from detectorist.step import LRS_SLITLESS, DetectoristStep


class DropGroupsStep(DetectoristStep):
    """placeholder until groups.py exists."""

    class_alias = "drop_groups"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        drop_groups = pass(default=None)  # zero-indexed groups to mask, negative ones counted from the end
    """

    def process(self, input_data):
        """Set DO_NOT_USE on the groups."""
        model = self.open_input(input_data, RampModel)
        groups = parse_index_list(self.drop_groups, name="drop_groups")
        flags = models.group_flags(model)
        flags[:, groups] |= dq.DO_NOT_USE
        model.groupdq = flags
        return self.complete(model, f"groups {groups} masked", groups=groups)
