"""The pipelines, under the names that scripts import: one per mode, each with the recipes it runs."""

from importlib import import_module
from typing import Any

from detectorist.modes import PIPELINES


def __getattr__(name: str) -> Any:
    """Import a pipeline by its name: each brings the standard pipeline with it, so only when it is asked for."""
    if name in PIPELINES:
        return getattr(import_module(PIPELINES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the pipelines too."""
    return sorted([*globals(), *PIPELINES])
