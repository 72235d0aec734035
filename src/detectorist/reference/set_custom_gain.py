"""One gain for the whole detector."""

from __future__ import annotations

import numpy as np
from stdatamodels.jwst.datamodels import GainModel, RampModel

from detectorist.errors import ParameterError
from detectorist.reference._base import MIRI_FRAME, ReferenceStep, as_full_frame


class SetCustomGain(ReferenceStep):
    """Make a gain reference with one value, for `override_gain` of the jump, ramp-fitting and gain-scale steps.

    The default, 3.1 electrons per DN, was measured on flight data by Bell et al. (2023, arXiv:2301.06350). The model
    covers the full frame; standard steps cut out the subarray. A step accepts the model itself; inside a pipeline,
    save it and pass the path.
    """

    class_alias = "set_custom_gain"

    spec = """
        gain_value = float(default=3.1)  # electrons per DN
    """

    def require_possible(self) -> None:
        """Refuse a gain that is not positive."""
        if not np.isfinite(self.gain_value) or self.gain_value <= 0:
            raise ParameterError(
                f"gain_value is {self.gain_value}: a positive number of electrons per DN is needed",
                parameter="gain_value",
                value=float(self.gain_value),
            )

    def process(self, input_data):
        """Return a `GainModel`."""
        self.require_possible()
        model = self.read_input(input_data, RampModel)
        gain = GainModel(data=np.full(MIRI_FRAME, self.gain_value, np.float32))
        gain.meta.bunit_data = "electron/DN"
        self.record = {"gain": float(self.gain_value)}
        return as_full_frame(
            gain, model, kind="gain", description=f"gain of {self.gain_value:g} electrons per DN everywhere"
        )
