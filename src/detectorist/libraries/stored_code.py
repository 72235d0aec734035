"""Kernels of this package come from numba's disk cache without what numba loads in order to compile.

Before it reads stored machine code, numba loads its implementations of Python, of numpy and of their types, which only
a compilation needs, and a compilation loads by itself: a quarter of a second of CPU time in every process. Functions
of others are read as before: theirs may need what numba loads, or what extends it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from detectorist.libraries.import_hooks import ExecutingFinder, ask_first

#: The module of numba that reads stored code.
READER = "numba.core.caching"
#: Its methods of which reading consists, besides loading the compiler's registries.
PARTS = ("_guard_against_spurious_io_errors", "_load_overload")


def read_without_compiler() -> None:
    """Have stored kernels of this package read so, whenever numba is imported. It may be said more than once."""
    if READER in sys.modules:
        _change(sys.modules[READER])
    else:
        ask_first(_Finder({READER}, _run_and_change))


def _change(reader: Any) -> None:
    """Change how numba reads stored code of this package; with a numba that reads it otherwise nothing is changed."""
    cache = getattr(reader, "Cache", None)
    if not all(hasattr(cache, name) for name in ("load_overload", *PARTS)):
        return
    usual = reader.Cache.load_overload
    if hasattr(usual, "usual"):
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


class _Finder(ExecutingFinder):
    """Finds the module of numba that reads stored code."""


def _run_and_change(reader: ModuleType) -> None:
    assert reader.__spec__ is not None
    assert reader.__spec__.loader is not None
    reader.__spec__.loader.exec_module(reader)
    _change(reader)
