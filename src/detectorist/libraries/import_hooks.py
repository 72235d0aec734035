"""Finders for modules whose code is run in another way than Python's own: later, or with a change after it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class ExecutingFinder(MetaPathFinder):
    """Finds modules of some names where Python does, and gives them to a function in place of running their code.

    Parameters
    ----------
    names : collection of str
        Full names of the modules.
    execute : callable
        Takes the module, whose `__spec__.loader` is the true one, when it is imported.
    """

    def __init__(self, names: Collection[str], execute: Callable[[ModuleType], None]):
        self._names, self._execute = names, execute

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module with one of the names; None for all others."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = _ExecutingLoader(spec.loader, self._execute)
        return spec


class _ExecutingLoader(Loader):
    """Makes a module as its true loader does, and gives it to a function."""

    def __init__(self, loader: Loader, execute: Callable[[ModuleType], None]):
        self._loader, self._execute = loader, execute

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the true loader makes."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its true loader back, and call the function."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._execute(module)


def ask_first(finder: ExecutingFinder) -> None:
    """Have Python ask a finder before its own, unless it asks one of the same class already."""
    if not any(type(one) is type(finder) for one in sys.meta_path):
        sys.meta_path.insert(0, finder)
