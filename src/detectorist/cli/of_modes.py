"""Commands that modes bring, beside `run`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from detectorist.modes import load_mode, mode_names


def commands_of_modes() -> dict[str, Any]:
    """Return {name: function or typer app} of all modes."""
    found: dict[str, Any] = {}
    for mode in mode_names():
        for name, target in load_mode(mode).commands.items():
            module, _, attribute = target.partition(":")
            found[name] = getattr(import_module(module), attribute)
    return found
