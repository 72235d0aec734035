"""Settings of steps that a run leaves out: they are likely meant to do something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def settings_without_effect(
    settings: Iterable[str],
    steps: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, Any],
    runs_with: Mapping[str, tuple[str, Any]],
) -> list[str]:
    """Return a note, a sentence, on every setting whose step is skipped or not chosen.

    settings : iterable of str
        "step.parameter=value", "parameter=value".
    steps, parameters : mapping
        {step: {parameter: value}} and {parameter of the pipeline: value} of recipe and settings.
    runs_with : mapping
        {step: (parameter of the pipeline, the value with which it runs)}, as `Mode.runs_with`.
    """
    notes = []
    for text in settings:
        name = text.partition("=")[0].strip().removeprefix("steps.")
        step, _, parameter = name.partition(".")
        if not parameter or parameter == "skip":
            continue
        if steps.get(step, {}).get("skip"):
            notes.append(f"{name} has no effect: {step} is skipped; add --set {step}.skip=false to run it")
        elif step in runs_with and parameters.get(runs_with[step][0]) != runs_with[step][1]:
            choice, value = runs_with[step]
            word = str(value).lower()
            notes.append(f"{name} has no effect: {step} does not run; add --set {choice}={word} to run it")
    return notes
