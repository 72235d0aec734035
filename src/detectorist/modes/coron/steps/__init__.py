"""Standard steps adapted to coronagraphy; used only inside Coron1Pipeline, the standard ones are not modified."""

from detectorist.modes.coron.steps.jump import CoronJumpStep
from detectorist.modes.coron.steps.ramp_fit import CoronRampFitStep
from detectorist.modes.coron.steps.refpix import CoronRefPixStep
from detectorist.modes.coron.steps.saturation import CoronSaturationStep

__all__ = ["CoronJumpStep", "CoronRampFitStep", "CoronRefPixStep", "CoronSaturationStep"]
