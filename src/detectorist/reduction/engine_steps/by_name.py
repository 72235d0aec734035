"""All steps that run in the engine, under the names that pipelines give them."""

from detectorist.reduction.engine_steps.dark import EngineDarkCurrentStep
from detectorist.reduction.engine_steps.emicorr import EngineEmiCorrStep
from detectorist.reduction.engine_steps.front import (
    EngineIPCStep,
    EngineLinearityStep,
    EngineResetStep,
    EngineSaturationStep,
)
from detectorist.reduction.engine_steps.jump import EngineJumpStep
from detectorist.reduction.engine_steps.ramp_fit import EngineRampFitStep
from detectorist.reduction.engine_steps.refpix import EngineRefPixStep

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
