"""Packages of and below the standard pipeline that load when they are first used, not when a step is imported.

Steps import what other steps, other instruments or other users of a library need: a second of CPU time in every
process. A package that waits can be imported, and modules of it; its own code runs when anything else of it is asked
for. `from package import name` asks at once: so a name may be had from the module of the package that defines it, and
modules that are known to use what they take only in calls get stand-ins, which load the package when they are used.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import FrameType, ModuleType
from typing import Any

#: Packages and modules that wait.
WAITING = frozenset(
    {
        # for functions that the engine replaces, and for the large events of the standard jump step
        "scipy.stats",
        "scipy.signal",
        "stcal.jump.jump",
        # for all of numpy's own attributes, which scipy copies
        "numpy.f2py",
        "numpy.polynomial",
        "numpy.testing",
        # for functions of which our steps call none, or a single one
        "astropy.stats",
        "scipy.interpolate",
        "scipy.optimize",
        "scipy.special",
        # for names of flags, and for the classes of reference files with a WCS
        "astropy.modeling",
        "astropy.modeling.core",
        "astropy.modeling.models",
        "astropy.nddata",
        "gwcs",
        "stdatamodels.jwst.transforms",
        # for association files
        "jsonschema",
        # for the step of NIRSpec, and its WCS
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
    }
)

#: {name that is had without its package: the module that has it, and does not load the package}.
ELSEWHERE = {
    "scipy.interpolate.BSpline": "scipy.interpolate._bsplines",
    "scipy.interpolate.make_interp_spline": "scipy.interpolate._bsplines",
    "scipy.optimize.nnls": "scipy.optimize._nnls",
}

#: Modules that are had without their package; those with private names all are.
MODULES = {"stdatamodels.jwst.transforms.extensions"}

#: {module: packages whose functions and classes it calls, or tells instances of, only within functions}.
STAND_INS = {
    "crds": {"crds.bestrefs"},
    "gwcs.converters.selector": {"astropy.modeling.core"},
    "jwst.emicorr.emicorr": {"astropy.stats"},
    "jwst.jump.jump_step": {"stcal.jump.jump"},
    "jwst.refpix.irs2_subtract_reference": {"astropy.stats"},
    "jwst.picture_frame.picture_frame_step": {"jwst.picture_frame.picture_frame"},
    "matplotlib.projections": {"mpl_toolkits.mplot3d"},
    "scipy.fft._fftlog_backend": {"scipy.special"},
    "scipy.interpolate._bsplines": {"scipy.optimize", "scipy.special"},
    "stcal.ramp_fitting.likely_fit": {"stcal.jump.jump"},
    "stdatamodels.jwst.datamodels.wcs_ref_models": {"astropy.modeling.core"},
    "stdatamodels.jwst.transforms.converters.jwst_models": {"astropy.modeling"},
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
            if full in ELSEWHERE:
                return getattr(import_module(ELSEWHERE[full]), name)
            if full in WAITING or full in MODULES or (name.startswith("_") and _is_module(self, full)):
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


def _is_module(package: ModuleType, full: str) -> bool:
    """Return whether a private name is that of a module, which other modules of a package ask the package for."""
    return hasattr(package, "__path__") and find_spec(full) is not None


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
    if not any(isinstance(finder, _Deferring) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferring())


class _Deferring(MetaPathFinder):
    """Finds the packages of WAITING, and has them load on first use: whoever imports them, and whenever."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a package that waits; None for all others."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in WAITING else None
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
