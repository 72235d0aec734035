"""Kernels of this package come from numba's disk cache without what numba loads in order to compile.

Before it reads stored machine code, numba loads its implementations of Python, of numpy and of their types, which only
a compilation needs, and a compilation loads by itself: a quarter of a second of CPU time in every process. Functions
of others are read as before: theirs may need what numba loads, or what extends it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

#: The module of numba that reads stored code.
READER = "numba.core.caching"


def read_without_compiler() -> None:
    """Have stored kernels of this package read so, whenever numba is imported. It may be said more than once."""
    if READER in sys.modules:
        _change(sys.modules[READER])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _change(reader: Any) -> None:
    """Change how numba reads stored code of this package; with a numba that has no such method nothing is changed."""
    usual = getattr(getattr(reader, "Cache", None), "load_overload", None)
    if usual is None or hasattr(usual, "usual"):
        return

    def load_overload(self: Any, sig: Any, target_context: Any) -> Any:
        """Return the machine code for arguments of some types; None where there is none: numba compiles it then."""
        if not self._py_func.__module__.startswith("detectorist."):
            return usual(self, sig, target_context)
        from numba.core.runtime import rtsys

        rtsys.initialize(target_context)  # memory of arrays that kernels make
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    load_overload.usual = usual  # type: ignore[attr-defined]
    reader.Cache.load_overload = load_overload


class _Finder(MetaPathFinder):
    """Finds the module of numba that reads stored code."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return its spec; None for all other modules."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == READER else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads the module and changes it."""

    def __init__(self, loader: Loader):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the true loader makes."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of the module, with its true loader, and change it."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _change(module)
