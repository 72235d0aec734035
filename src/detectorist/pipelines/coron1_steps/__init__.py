"""Stock steps as coronagraphy needs them; used inside Coron1Pipeline only, the stock ones stay as they are."""

from detectorist.pipelines.coron1_steps.ramp_fit import CoronRampFitStep
from detectorist.pipelines.coron1_steps.refpix import CoronRefPixStep
from detectorist.pipelines.coron1_steps.saturation import CoronSaturationStep

__all__ = ["CoronRampFitStep", "CoronRefPixStep", "CoronSaturationStep"]
