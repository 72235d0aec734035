"""Stock steps of stage 1 that run in the compiled engine where it covers the exposure, with the same results."""

from detectorist.pipelines.engine_steps.jump import EngineJumpStep
from detectorist.pipelines.engine_steps.ramp_fit import EngineRampFitStep

__all__ = ["EngineJumpStep", "EngineRampFitStep"]
