"""Keywords of `run_obs`, and the parameters that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectorist.errors import ParameterError
from detectorist.parameters import nearest
from detectorist.reduction.settings import setting

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


def settings_of(keywords: Mapping[str, Any], steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the settings that keywords and tables of steps stand for, the stronger ones last.

    Raises
    ------
    ParameterError
        For an unknown keyword.
    """
    known = (*SKIPS, *OPTIONS)
    found: list[str] = []
    for name, value in keywords.items():
        if name not in known:
            raise ParameterError(f'no keyword "{name}"{nearest(name, known)}; known are {", ".join(known)}')
        if value is None:
            continue
        if name in OPTIONS:
            found.append(setting(name, value))
        else:
            step, parameter, when_true = SKIPS[name]
            found.append(setting(f"{step}.{parameter}", when_true if value else not when_true))
    return found + [
        setting(f"{step}.{name}", value)
        for step, table in steps.items()
        for name, value in table.items()
        if value is not None
    ]
