"""Settings of steps that a run leaves out: they are likely meant to do something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def settings_without_effect(settings: Iterable[str], steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a note, a sentence, on every setting whose step is skipped.

    settings : iterable of str
        "step.parameter=value", "parameter=value".
    steps : mapping
        {step: {parameter: value}} of recipe and settings.
    """
    notes = []
    for text in settings:
        name = text.partition("=")[0].strip().removeprefix("steps.")
        step, _, parameter = name.partition(".")
        if parameter and parameter != "skip" and steps.get(step, {}).get("skip"):
            notes.append(f"{name} has no effect: {step} is skipped; add --set {step}.skip=false to run it")
    return notes
