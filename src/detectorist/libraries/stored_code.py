"""Kernels of this package come from numba's disk cache without what numba loads in order to compile.

Before it reads stored machine code, numba loads its implementations of Python, of numpy and of their types, which only
a compilation needs, and a compilation loads by itself: a quarter of a second of CPU time in every process. Functions
of others are read as before: theirs may need what numba loads, or what extends it.

With the machine code numba stores each kernel once more, for compilations to come that call it, and reads that as well,
which takes as long as the rest. It is read when a compilation asks for it.
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
#: Methods of its stored functions that make them of what is stored, and that compilations call.
LINKING = ("_unserialize", "_get_module_for_linking", "get_pointer_to_function")
#: Of the engine that runs them: names of functions that it knows, and the method by which it learns more.
SYMBOLS = ("_defined_symbols", "_load_defined_symbols")
#: How the name of what Python calls of a function begins; every stored function has it.
CALLED_BY_PYTHON = "_ZN7cpython"


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
    _link_on_demand()


def _link_on_demand() -> None:
    """Have numba read what only a compilation needs of a stored function when one asks for it."""
    from llvmlite import binding
    from numba.core import codegen

    kind: Any = codegen.JITCodeLibrary
    if not all(hasattr(kind, name) for name in LINKING):
        return
    usual = kind._unserialize
    nothing = binding.parse_assembly("").as_bitcode()

    def unserialize(cls: Any, generator: Any, state: Any) -> Any:
        """Return a stored function; what a compilation makes of it is read when one begins to."""
        name, stored_as, data = state
        if stored_as != "object" or not all(hasattr(generator._engine, each) for each in SYMBOLS):
            return usual(generator, state)
        code, for_linking = data
        library = usual(generator, (name, stored_as, (code, nothing)))
        known = generator._engine._defined_symbols

        def read() -> Any:
            del library._get_module_for_linking, library.get_pointer_to_function
            library._shared_module = binding.parse_bitcode(for_linking)
            generator._engine._load_defined_symbols(library._shared_module)
            return library._shared_module

        def pointer_to(symbol: str) -> int:
            if symbol.startswith(CALLED_BY_PYTHON):
                known.add(symbol)
            else:
                read()
            return kind.get_pointer_to_function(library, symbol)

        library._get_module_for_linking, library.get_pointer_to_function = read, pointer_to
        return library

    kind._unserialize = classmethod(unserialize)


class _Finder(ExecutingFinder):
    """Finds the module of numba that reads stored code."""


def _run_and_change(reader: ModuleType) -> None:
    assert reader.__spec__ is not None
    assert reader.__spec__.loader is not None
    reader.__spec__.loader.exec_module(reader)
    _change(reader)
