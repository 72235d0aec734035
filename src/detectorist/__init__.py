"""Reduction of raw JWST exposures: MIRI LRS time series, NIRCam images, coronagraphy."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

from detectorist.cache_folders import require_folders

require_folders()  # before anything imports numba

__version__ = version("detectorist")

#: Names that are imported on first use, so that `import detectorist` stays quick.
_LAZY = {
    "Database": "detectorist.modes.coron.database",
    "run_obs": "detectorist.modes.coron.api",
    "subtract_star": "detectorist.modes.coron.subtraction.api",
    "SubtractionSettings": "detectorist.modes.coron.subtraction.settings",
}
#: `reduce_MODE(files, output_dir, ...)` is there for every mode.
_REDUCE = "reduce_"


def __getattr__(name: str) -> Any:
    """Import what is exported lazily."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name.startswith(_REDUCE) and name.removeprefix(_REDUCE) in import_module("detectorist.modes").mode_names():
        return import_module("detectorist.results.api").reduce_of(name.removeprefix(_REDUCE))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names of the module, lazy ones included."""
    modes = import_module("detectorist.modes").mode_names()
    return sorted([*globals(), *_LAZY, *(f"{_REDUCE}{name}" for name in modes)])
