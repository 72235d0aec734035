"""The standard Detector1Pipeline, imported alone.

The package `jwst.pipeline` imports every pipeline of all instruments with their libraries, about 0.6 s of CPU time that
no reduction here needs. A later import of `jwst.pipeline` works as usual, with the same class.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from detectorist.libraries.deferred import defer_standard_modules
from detectorist.libraries.waiting_packages import defer_replaced_packages

if TYPE_CHECKING:
    from jwst.pipeline import Detector1Pipeline


def _without_siblings(name: str) -> ModuleType:
    """Import a module without its package's `__init__`, which stays to be run by whoever imports the package."""
    package = name.rpartition(".")[0]
    spec = None if package in sys.modules else importlib.util.find_spec(package)
    if spec is None:
        return import_module(name)
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        return import_module(name)
    finally:
        del sys.modules[package]


if not TYPE_CHECKING:
    defer_standard_modules()
    defer_replaced_packages()
    Detector1Pipeline = _without_siblings("jwst.pipeline.calwebb_detector1").Detector1Pipeline

__all__ = ["Detector1Pipeline"]
