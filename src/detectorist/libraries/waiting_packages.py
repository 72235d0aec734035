"""Packages of and below the standard pipeline that load when they are first used, not when a step is imported.

Steps import what other steps, other instruments or other users of a library need: a second of CPU time in every
process. A package that waits can be imported; its own code runs when anything of it is asked for, or a module of it is
imported: which may ask for its package while it runs, and the package for it. Only packages wait whose modules nobody
loads in a usual run, and none that waits is part of another. `from package import name` asks at once: modules that are
known to use what they take only in calls get stand-ins, which load the package when they are used.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

from detectorist.libraries.import_hooks import ExecutingFinder, ask_first

#: Packages and modules that wait.
WAITING = frozenset(
    {
        # for functions that the engine replaces, and for the large events of the standard jump step
        "scipy.stats",
        "scipy.signal",
        "stcal.jump.jump",
        # for all of numpy's own attributes, which scipy copies
        "numpy.f2py",
        "numpy.testing",
        # for the step of NIRSpec
        "jwst.picture_frame.picture_frame",
        # for contexts under construction
        "crds.bestrefs",
        "crds.misc.check_archive",
        "crds.refactoring.checksum",
        "crds.refactoring.newcontext",
        "crds.refactoring.refactor",
        "crds.refactoring.refactor2",
        # for axes in space
        "mpl_toolkits.mplot3d",
        # for another kind of fonts than PDF files have by default
        "fontTools.subset",
    }
)

#: {module: packages whose functions and classes it calls, or tells instances of, only within functions}.
STAND_INS = {
    "crds": {"crds.bestrefs"},
    "jwst.jump.jump_step": {"stcal.jump.jump"},
    "jwst.picture_frame.picture_frame_step": {"jwst.picture_frame.picture_frame"},
    "matplotlib.projections": {"mpl_toolkits.mplot3d"},
    "stcal.ramp_fitting.likely_fit": {"stcal.jump.jump"},
}

#: What is asked of a class before it is used: matplotlib registers its axes under their names.
_KNOWN = {"Axes3D": {"name": "3d"}}

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
        """Load the module and return what is asked for; or return that without loading it, see above."""
        if name.startswith("__") and name != "__all__":  # which `from ... import *` asks for
            raise AttributeError(name)
        if _waits(self):
            full = f"{self.__name__}.{name}"
            if full in WAITING:
                return import_module(full)
            if name != "__all__" and self.__name__ in STAND_INS.get(_importer(sys._getframe(1)), ()):
                return StandIn(self, name)
        load(self)
        return ModuleType.__getattribute__(self, name)


class StandIn:
    """A function or class of a module that waits, which loads the module when it is used."""

    def __init__(self, module: ModuleType, name: str):
        self._module = module
        self.__name__ = name
        vars(self).update(_KNOWN.get(name, {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function or class."""
        return self._original()(*args, **kwargs)

    def __instancecheck__(self, one: Any) -> bool:
        """Return whether something is an instance of the class."""
        return isinstance(one, self._original())

    def __getattr__(self, name: str) -> Any:
        """Return what the function or class has."""
        return getattr(self._original(), name)

    def _original(self) -> Any:
        load(self._module)
        return getattr(self._module, self.__name__)


def load(module: ModuleType) -> None:
    """Run the code of a module that waits; it is an ordinary one from when all of it has run, or it failed."""
    with _LOADING:
        if not _waits(module):
            return
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        _STARTED.add(module.__name__)
        try:
            module.__spec__.loader.exec_module(module)
        finally:
            _STARTED.discard(module.__name__)
            module.__class__ = ModuleType  # type: ignore[assignment]


def is_waiting(name: str) -> bool:
    """Return whether a module of that name has been imported and not been loaded yet."""
    module = sys.modules.get(name)
    return module is not None and _waits(module)


def _waits(module: ModuleType) -> bool:
    return type(module) is LoadedOnUse and module.__name__ not in _STARTED


def _importer(frame: FrameType | None) -> str:
    """Return the name of the module that asks for something, which Python's import may ask for in its place."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if not name.startswith(("importlib.", "_frozen_importlib")):
            return name
        frame = frame.f_back
    return ""


def defer_replaced_packages() -> None:
    """Let the packages of WAITING load on first use; those that are imported already stay as they are.

    It may be told before or after they are asked for the first time, and more than once.
    """
    ask_first(_Deferring(WAITING, _let_wait))


class _Deferring(ExecutingFinder):
    """Finds the packages of WAITING, and has them load on first use: whoever imports them, and whenever."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a package that waits, or of a module that its package has just imported; else None."""
        if fullname not in WAITING and _needs_its_package(fullname):
            load(sys.modules[fullname.rpartition(".")[0]])
            return _spec_of_imported(fullname)
        return super().find_spec(fullname, path, target)


def _needs_its_package(fullname: str) -> bool:
    """Return whether the package of a module waits and must be loaded before it: it may import the module itself.

    A module that asks for its package while it runs would otherwise be asked for by the package, half loaded.
    """
    return is_waiting(fullname.rpartition(".")[0])


def _spec_of_imported(fullname: str) -> ModuleSpec | None:
    """Return a spec that gives the module which is there already; None where there is none."""
    module = sys.modules.get(fullname)
    return None if module is None else ModuleSpec(fullname, _ImportedLoader(module))


class _ImportedLoader(Loader):
    """Gives a module that has been imported while it was looked for, as it is."""

    def __init__(self, module: ModuleType):
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that is there."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which Python has replaced; its code has run."""
        module.__spec__ = self._spec


def _let_wait(module: ModuleType) -> None:
    module.__class__ = LoadedOnUse
