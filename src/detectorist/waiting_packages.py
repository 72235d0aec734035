"""Packages of and below the standard pipeline that load when they are first used, not when a step is imported.

The jump and reference pixel steps import the statistics and filters of scipy, which the engine does without: .4 s of
CPU time in every process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

#: Packages that standard code imports for functions that the engine replaces.
REPLACED = ("scipy.stats", "scipy.signal")


#: One thread loads; others wait for it. It may ask again itself: packages import parts of themselves.
_LOADING = threading.RLock()
#: Modules that are being loaded.
_STARTED: set[str] = set()


class LoadedOnUse(ModuleType):
    """A module that runs its code when something of it is asked for.

    `importlib.util.LazyLoader` would run it when anyone looks for `__file__`, as `inspect` does in all modules, and
    before Python 3.12 shows other threads a module half loaded.
    """

    def __getattr__(self, name: str) -> Any:
        """Load the module and return what is asked for."""
        if name.startswith("__") and name != "__all__":  # which `from ... import *` asks for
            raise AttributeError(name)
        with _LOADING:
            if type(self) is LoadedOnUse and self.__name__ not in _STARTED:
                _load(self)
        return ModuleType.__getattribute__(self, name)


def _load(module: ModuleType) -> None:
    """Run the code of a module; it is an ordinary one from when all of it has run, or it failed."""
    assert module.__spec__ is not None
    assert module.__spec__.loader is not None
    _STARTED.add(module.__name__)
    try:
        module.__spec__.loader.exec_module(module)
    finally:
        _STARTED.discard(module.__name__)
        module.__class__ = ModuleType  # type: ignore[assignment]


def defer_replaced_packages() -> None:
    """Let the packages of REPLACED load on first use; those that are imported already stay as they are.

    It may be told before or after they are asked for the first time, and more than once.
    """
    if not any(isinstance(finder, _Deferring) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferring())


class _Deferring(MetaPathFinder):
    """Finds the packages of REPLACED, and has them load on first use: whoever imports them, and whenever."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a package that waits; None for all others."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in REPLACED else None
        if spec is not None and spec.loader is not None:
            spec.loader = _WaitingLoader(spec.loader)
        return spec


class _WaitingLoader(Loader):
    """Makes a module that is loaded when something of it is asked for."""

    def __init__(self, loader: Loader):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the true loader makes."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Let the module wait, with its true loader."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        module.__class__ = LoadedOnUse
