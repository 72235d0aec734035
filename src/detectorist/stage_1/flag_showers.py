"""Flag the groups in which a cosmic-ray shower arrived."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps.showers import find_showers
from detectorist.step import LRS_SLITLESS, DetectoristStep


class FlagShowersStep(DetectoristStep):
    """Find groups in which a large faint event arrived, and set JUMP_DET on all their pixels.

    A shower has no edge: light outside any contour would stay in the slopes of hundreds of pixels. Its group is
    excluded as a whole, as a jump of every pixel, which costs one difference of the ramp and leaves no residual. For
    linear ramps, before the jump step.
    """

    class_alias = "flag_showers"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = ""

    def process(self, input_data: Any) -> RampModel:
        """Return the ramp with JUMP_DET on the groups."""
        model = self.open_input(input_data, RampModel)
        flags = models.group_flags(model)
        unusable = dq.has(np.asarray(model.pixeldq, np.uint32), dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        found = find_showers(model.data, flags, ~unusable)
        first = int(model.meta.exposure.integration_start or 1)
        if found.hit.any():
            flags = models.writable(flags)
            flags[found.hit] |= dq.JUMP_DET
            model.groupdq = flags
        integrations = np.flatnonzero(found.hit.any(axis=1))
        return self.complete(
            model,
            f"{found.hit.sum()} groups with a shower in {integrations.size} integrations flagged",
            n_groups=int(found.hit.sum()),
            # Pairs of the integration's number and the group, from 0.
            hits=[[int(k) + first, int(group)] for k, group in np.argwhere(found.hit)],
            largest_sigma=float(found.sigma.max(initial=0)),
            integrations_refused=(np.flatnonzero(found.refused) + first).tolist(),
        )
