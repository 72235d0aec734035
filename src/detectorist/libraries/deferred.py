"""Modules of and below the standard pipeline that load when they are first used, not when a step is imported.

The imports of `clean_flicker_noise`, a step that is off by default, reach fitting and plotting libraries: .7 s of CPU
time in every process.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from detectorist.libraries.waiting_packages import LoadedOnUse

#: {package: modules} that only a step uses which is off by default.
DEFERRED = {"jwst.clean_flicker_noise": ("autoparam", "clean_flicker_noise")}


def defer_standard_modules() -> None:
    """Let the modules of DEFERRED load on first use; packages that are imported already stay as they are.

    The steps' classes are the standard ones: only what they call comes later.
    """
    for package, names in DEFERRED.items():
        if package not in sys.modules:
            _import_without(package, names)


def _defer(name: str) -> ModuleType | None:
    """Enter a module that loads on first use among the imported ones and return it; None where there is none."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    deferred = importlib.util.module_from_spec(spec)
    deferred.__class__ = LoadedOnUse
    sys.modules[name] = deferred
    return deferred


def _import_without(package: str, names: tuple[str, ...]) -> None:
    """Import a package with `names` of its modules deferred."""
    parent = importlib.util.find_spec(package)
    if parent is None or parent.loader is None:
        return  # another version of the standard pipeline: the import itself will say what is missing
    module = importlib.util.module_from_spec(parent)
    sys.modules[package] = module  # its modules cannot be found without it
    for name in names:
        deferred = _defer(f"{package}.{name}")
        if deferred is not None:
            setattr(module, name, deferred)
    parent.loader.exec_module(module)
    above, _, own = package.rpartition(".")
    setattr(sys.modules[above], own, module)
