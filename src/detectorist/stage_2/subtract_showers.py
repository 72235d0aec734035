"""Subtract the light of cosmic-ray showers from LRS integrations."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.location import Location, locate_trace
from detectorist.algorithms.spectra.showers import LEAST_INTS, measure_showers
from detectorist.step import LRS_SLITLESS, DetectoristStep

#: Columns on either side of the trace whose light a patch adds to.
APERTURE_PIX = 4.0


class SubtractShowersStep(DetectoristStep):
    """Find smooth patches of light in one integration that are absent from its neighbours, and subtract them.

    For slopes without their ramps, or for showers that FlagShowersStep did not find. Run it before CleanOutliersStep,
    which would treat the patch as outliers. The uncertainty of the model of a patch is common to the pixels of a row:
    its variance is stored in the model, like that of the background (extension BKG_VAR).
    """

    class_alias = "subtract_showers"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)
    subtracts: ClassVar = True

    spec = ""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        #: Where the trace lies, where whoever runs the step has located it on another part of the exposure.
        self.location: Location | None = None

    def process(self, input_data: Any) -> CubeModel:
        """Return the model without the patches."""
        model = self.open_input(input_data, CubeModel)
        if len(model.data) < LEAST_INTS:
            return self.skip_because(model, f"{len(model.data)} integrations; {LEAST_INTS} are needed to compare one")
        unusable = dq.has(models.flags(model), dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        location = self.location or locate_trace(model.data, unusable)
        center = location.center_at(np.arange(model.data.shape[1]))
        found = measure_showers(model.data, models.errors(model), unusable, center=center, half_width=APERTURE_PIX)
        hit = np.flatnonzero(found.image.any(axis=(1, 2)))
        if hit.size:
            model.data = model.data - found.image
            before = models.background_variance(model)
            models.set_background_variance(model, found.variance if before is None else before + found.variance)
        first = int(model.meta.exposure.integration_start or 1)
        return self.complete(
            model,
            f"light of showers subtracted from {hit.size} integrations",
            integrations=(hit + first).tolist(),
            brightest=[round(float(found.image[k].max()), 2) for k in hit],
            largest_sigma=float(found.sigma.max()),
            trace_changed=(np.flatnonzero(found.trace_changed) + first).tolist(),
        )
