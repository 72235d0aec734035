"""Mask groups affected by the start or end of a ramp."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps import group_choice, groups
from detectorist.errors import InputError
from detectorist.parameters import indices_to_drop, parse_index_list
from detectorist.step import LRS_SLITLESS, DetectoristStep

log = logging.getLogger(__name__)


class DropGroupsStep(DetectoristStep):
    """Set DO_NOT_USE on groups, in all pixels and integrations.

    The first groups are affected by reset switch charge decay (RSCD), the last one is pulled down by the next
    reset. "auto" finds them in the first integrations of the data (as many as make 64 million samples); to treat all
    segments of an exposure alike, decide on one and give the list (`record["groups"]`, or
    `detectorist.algorithms.ramps.groups.choose_groups`) to the others.
    """

    class_alias = "drop_groups"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        drop_groups = pass(default=None)  # zero-indexed, negative from the end; "auto": from the data
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        #: What "auto" has chosen, where whoever runs the step has let it `decide` on another part of the exposure.
        self.decided: group_choice.GroupChoice | None = None

    @staticmethod
    def decide(model: RampModel) -> group_choice.GroupChoice:
        """Return the choice of "auto" for a ramp."""
        first = slice(groups.count_deciding(model.data.shape))
        return DropGroupsStep.decide_from(model.data[first], models.group_flags(model)[first])

    @staticmethod
    def decide_from(data: Any, groupdq: Any) -> group_choice.GroupChoice:
        """Return the choice of "auto" from arrays, or what stands for them on disk.

        Raises
        ------
        InputError
            When a group of an integration is NaN in all pixels: no difference tells then how the ramps run.
        """
        for number, integration in enumerate(data, 1):
            missing = [k for k, frame in enumerate(integration) if not np.isfinite(frame).any()]
            if missing:
                raise InputError(
                    f"integration {number}: group {missing[0]} has no finite value, and the groups to drop cannot be "
                    "chosen; leave out the integration, or give them (drop_groups.drop_groups)"
                )
        return group_choice.weigh_groups(groups.stack_differences(data, groupdq))

    def process(self, input_data):
        """Return the ramp with DO_NOT_USE on the groups."""
        wanted = parse_index_list(self.drop_groups, name="drop_groups", words=("auto",))
        model = self.open_input(input_data, RampModel)
        if wanted is None or wanted == []:
            return self.skip_because(model, "no groups were given", groups=[])
        flags = models.group_flags(model)
        numbers = {}
        if wanted == "auto":
            choice = self.decided or self.decide(model)
            chosen = list(choice.groups)
            if model.data.shape[1] > 2 and not choice.noise:
                log.warning(
                    "%s: no pixel is bright and sound in all integrations, so no group is dropped: which ones depart "
                    "cannot be told; give them (drop_groups.drop_groups)",
                    models.describe(model),
                )
            numbers = {
                "chosen": "auto",
                "spoiled": list(choice.spoiled.groups),
                "deviation_pct": [round(100 * d, 3) for d in choice.spoiled.deviation],
                "bias_ppm": round(1e6 * choice.bias, 1),
                "noise_ppm": round(1e6 * choice.noise, 1),
            }
        else:
            size, file = model.data.shape[1], models.describe(model)
            chosen = indices_to_drop(wanted, size, name="drop_groups", of="groups", file=file)
        flags = models.writable(flags)  # the step's own, as `open_input` returned them
        flags[:, chosen] |= dq.DO_NOT_USE
        model.groupdq = flags
        return self.complete(
            model,
            f"groups {chosen} of {model.data.shape[1]} masked",
            groups=chosen,
            n_groups=model.data.shape[1],
            **numbers,
        )
