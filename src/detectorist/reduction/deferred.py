"""Modules of the standard pipeline that load when they are first used, not when their step is imported.

The imports of `clean_flicker_noise`, a step that is off by default, reach fitting and plotting libraries: .7 s of CPU
time in every process.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

#: {package: modules} that only a step uses which is off by default.
DEFERRED = {"jwst.clean_flicker_noise": ("autoparam", "clean_flicker_noise")}


class _LoadedOnUse(ModuleType):
    """A module that runs its code when something of it is asked for.

    `importlib.util.LazyLoader` would run it when anyone looks for `__file__`, as `inspect` does in all modules.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def defer_standard_modules() -> None:
    """Let the modules of DEFERRED load on first use; packages that are imported already stay as they are.

    The steps' classes are the standard ones: only what they call comes later.
    """
    for package, names in DEFERRED.items():
        if package not in sys.modules:
            _import_without(package, names)


def _import_without(package: str, names: tuple[str, ...]) -> None:
    """Import a package with `names` of its modules deferred."""
    parent = importlib.util.find_spec(package)
    if parent is None or parent.loader is None:
        return  # another version of the standard pipeline: the import itself will say what is missing
    module = importlib.util.module_from_spec(parent)
    sys.modules[package] = module  # its modules cannot be found without it
    for name in names:
        spec = importlib.util.find_spec(f"{package}.{name}")
        if spec is not None:
            deferred = importlib.util.module_from_spec(spec)
            deferred.__class__ = _LoadedOnUse
            sys.modules[spec.name] = deferred
            setattr(module, name, deferred)
    parent.loader.exec_module(module)
    above, _, own = package.rpartition(".")
    setattr(sys.modules[above], own, module)
