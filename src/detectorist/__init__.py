"""From raw JWST exposures to science-ready products, where the standard pipeline leaves off."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

__version__ = version("detectorist")

#: Names that are imported on first use, so that `import detectorist` stays quick.
_LAZY = {"Database": "detectorist.modes.coron.database", "run_obs": "detectorist.cli.coron"}


def __getattr__(name: str) -> Any:
    """Import what is exported lazily."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the module, lazy ones included."""
    return sorted([*globals(), *_LAZY])
