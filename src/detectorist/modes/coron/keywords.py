"""Keywords of `run_obs`, and the corresponding parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectorist.errors import ParameterError
from detectorist.parameters import nearest
from detectorist.reduction.recipes.settings import setting

#: Keywords that turn a step off: keyword -> (step, parameter, value when the keyword is true).
SKIPS = {
    "skip_ktc": ("subtract_ktc", "skip", True),
    "skip_fnoise": ("subtract_1overf", "skip", True),
    "skip_fnoise_vert": ("subtract_1overf", "vertical_corr", False),
    "skip_charge": ("charge_migration", "skip", True),
    "skip_jump": ("jump", "skip", True),
    "skip_dark": ("dark_current", "skip", True),
    "skip_ipc": ("ipc", "skip", True),
    "skip_persistence": ("persistence", "skip", True),
}
#: Keywords that go to the pipeline itself.
OPTIONS = ("save_intermediates", "return_rateints", "save_calibrated_ramp", "rate_int_outliers", "stage_1overf")
_SATURATION = ("flag_rcsat", "grow_diagonal", "n_pix_grow_sat")
_REFPIX = ("nlower", "nupper", "nleft", "nright", "nrow_off", "ncol_off")
_JUMP = ("rejection_threshold", "three_group_rejection_threshold", "four_group_rejection_threshold")
#: Keywords that are parameters of steps: keyword -> parameters that take its value.
PARAMETERS = {
    **{name: (f"saturation.{name}",) for name in _SATURATION},
    **{name: (f"refpix.{name}",) for name in _REFPIX},
    **{name: (f"jump.{name}",) for name in _JUMP},
    "suppress_one_group": ("ramp_fit.suppress_one_group",),
    "maximum_cores": ("jump.maximum_cores", "ramp_fit.maximum_cores"),
    "ramp_fit.save_calibrated_ramp": ("save_calibrated_ramp",),
    "mask_groups.types": ("mask_groups.types",),
    "mask_array": ("mask_groups.mask_array",),
}
#: What a keyword asks for beside its own value.
IMPLIED = {"mask_array": ("mask_groups.skip=false", 'mask_groups.mask_method="custom"')}


def settings_of(keywords: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the settings that correspond to keywords and tables of steps, in order of increasing precedence.

    Raises
    ------
    ParameterError
        For an unknown keyword, a `skip_...` that is not true or false, or `save_results=False`.
    """
    known = (*SKIPS, *OPTIONS, *PARAMETERS, "save_results")
    found: list[str] = []
    for name, value in keywords.items():
        if name not in known:
            raise ParameterError(f'no keyword "{name}"{nearest(name, known)}; known are {", ".join(known)}')
        if value is not None:
            found += _settings_of_keyword(name, value)
    return found + [
        setting(target, value)
        for step, table in steps.items()
        for name, value in table.items()
        if value is not None
        for target in _targets_in_steps(step, name)
    ]


def steps_in_place(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return tables of steps without parameters that belong to the pipeline here, not to the step.

    Raises
    ------
    ParameterError
        When they are no tables.
    """
    if not (isinstance(steps, Mapping) and all(isinstance(table, Mapping) for table in steps.values())):
        raise ParameterError(f"steps is {steps!r}: a table is needed: {{step: {{parameter: value}}}}")
    return {
        step: {name: value for name, value in table.items() if f"{step}.{name}" not in PARAMETERS or step != "ramp_fit"}
        for step, table in steps.items()
    }


def _settings_of_keyword(name: str, value: Any) -> list[str]:
    if name == "save_results":
        if not value:
            raise ParameterError("save_results is False: run_obs leaves files; Coron1Pipeline.call returns models")
        return []
    if name in OPTIONS:
        return [setting(name, value)]
    if name in SKIPS:
        if value not in (True, False):
            raise ParameterError(f"{name} is {value!r}: True or False is needed")
        step, parameter, when_true = SKIPS[name]
        return [setting(f"{step}.{parameter}", when_true if value else not when_true)]
    return [*IMPLIED.get(name, ()), *(setting(target, value) for target in PARAMETERS[name])]


def _targets_in_steps(step: str, name: str) -> tuple[str, ...]:
    return PARAMETERS.get(f"{step}.{name}", (f"{step}.{name}",))
