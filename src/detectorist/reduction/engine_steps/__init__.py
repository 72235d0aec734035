"""Standard steps of stage 1 that run in the compiled engine where it supports the exposure, with the same results."""

from detectorist.reduction.engine_steps.emicorr import EngineEmiCorrStep
from detectorist.reduction.engine_steps.front import (
    EngineDarkCurrentStep,
    EngineIPCStep,
    EngineLinearityStep,
    EngineRefPixStep,
    EngineResetStep,
    EngineSaturationStep,
)
from detectorist.reduction.engine_steps.jump import EngineJumpStep
from detectorist.reduction.engine_steps.ramp_fit import EngineRampFitStep, MarkedRampFitStep, mark_unfitted

#: By the name under which pipelines list them: `step_defs = {**Parent.step_defs, **ENGINE_STEPS}`.
ENGINE_STEPS = {
    "emicorr": EngineEmiCorrStep,
    "saturation": EngineSaturationStep,
    "ipc": EngineIPCStep,
    "refpix": EngineRefPixStep,
    "reset": EngineResetStep,
    "linearity": EngineLinearityStep,
    "dark_current": EngineDarkCurrentStep,
    "jump": EngineJumpStep,
    "ramp_fit": EngineRampFitStep,
}

__all__ = [
    "ENGINE_STEPS",
    "EngineDarkCurrentStep",
    "EngineEmiCorrStep",
    "EngineIPCStep",
    "EngineJumpStep",
    "EngineLinearityStep",
    "EngineRampFitStep",
    "EngineRefPixStep",
    "EngineResetStep",
    "EngineSaturationStep",
    "MarkedRampFitStep",
    "mark_unfitted",
]
