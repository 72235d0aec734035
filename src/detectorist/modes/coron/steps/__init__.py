"""Stock steps as coronagraphy needs them; used inside Coron1Pipeline only, the stock ones stay as they are."""

from detectorist.modes.coron.steps.jump import CoronJumpStep
from detectorist.modes.coron.steps.ramp_fit import CoronRampFitStep
from detectorist.modes.coron.steps.refpix import CoronRefPixStep
from detectorist.modes.coron.steps.saturation import CoronSaturationStep

__all__ = ["CoronJumpStep", "CoronRampFitStep", "CoronRefPixStep", "CoronSaturationStep"]
