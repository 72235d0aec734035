"""The order of steps: one pipeline per mode, and the recipes they run."""

from importlib import import_module
from typing import Any

#: Where the pipelines are. Each brings the standard pipeline with it, so it is imported when it is asked for.
_MODULES = {"Coron1Pipeline": "coron1", "ImagingPipeline": "imaging", "LrsPipeline": "lrs"}


def __getattr__(name: str) -> Any:
    """Import a pipeline by its name."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the pipelines too."""
    return sorted([*globals(), *_MODULES])
