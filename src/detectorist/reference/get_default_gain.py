"""The gain reference of CRDS."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, GainModel, RampModel

from detectorist import models
from detectorist.errors import ReferenceMissing
from detectorist.reference._base import ReferenceStep, save_model

log = logging.getLogger(__name__)


class GetDefaultGain(ReferenceStep):
    """Return the gain reference (electrons per DN) of these data, or its median over the detector."""

    class_alias = "get_default_gain"
    reference_file_types: ClassVar = ["gain"]

    spec = """
        median_value = boolean(default=False)  # return the median instead of the model
        save = boolean(default=False)  # write the model to save_path
        save_path = string(default=None)  # file (.fits) or folder; default: next to the products
    """

    #: What a subclass for another reference changes.
    kind: ClassVar = "gain"
    model_class: ClassVar = GainModel

    def process(self, input_data):
        """Return the model, or a float with `median_value`."""
        model = self.read_input(input_data, RampModel, CubeModel)
        reference = self.published_reference(model, self.kind, self.model_class)
        usable = reference.data[np.isfinite(reference.data) & (reference.data > 0)]
        if usable.size == 0:
            raise ReferenceMissing(
                f"{models.describe(model)}: {self.kind} reference {models.describe(reference)} has no positive value",
                reference=self.kind,
            )
        median = float(np.median(usable))
        self.record = {"median": median, "reference": models.describe(reference)}
        if self.save:
            path = save_model(reference, self.path_for(self.save_path, self.kind, model))
            log.info("%s: %s written to %s", models.describe(model), self.kind, path)
        return median if self.median_value else reference
