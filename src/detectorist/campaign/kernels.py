"""Whether kernels are compiled already: compiling takes half a minute, and several workers would all do it."""

from __future__ import annotations

import sys
from pathlib import Path

from detectorist import cache_folders


def is_compiled(module: str) -> bool:
    """Return whether numba keeps a compiled kernel of a module, as "engine/_ramp_tiles_nb", for this Python.

    A guess from the names of files, which costs nothing; wrong after a change of the module itself. "" is compiled.
    """
    if not module:
        return True
    own = Path(__file__).parents[1] / module
    pattern = f"{own.name}.*py{sys.version_info.major}{sys.version_info.minor}*.nbi"
    beside = [] if cache_folders.is_chosen() else [own.parent / "__pycache__"]
    places = [*beside, *cache_folders.folders()]
    return any(next(place.rglob(pattern), None) is not None for place in places)
