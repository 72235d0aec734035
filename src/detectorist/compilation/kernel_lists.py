"""Lists of the kernels of a mode, and which of them are not compiled yet; imports nothing of numba."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from detectorist import cache_folders

#: Name of a file of numba's cache: module, kernel, line, Python.
_INDEX = re.compile(rf"(\w+)\.(\w+)-\d+\.py{sys.version_info.major}{sys.version_info.minor}\w*\.nbi")


def read_list(file: Path) -> dict[str, list[Any]]:
    """Return a list of kernels: "package.module:kernel" -> the types of its arguments, once for each specialisation.

    Empty where there is no such file: nothing is compiled ahead then.
    """
    return json.loads(file.read_text()) if file.is_file() else {}


def missing(kernels: dict[str, list[Any]]) -> list[str]:
    """Return the kernels of which numba keeps no machine code that is younger than their source.

    A guess from names and times of files, which takes milliseconds: it knows nothing of types and processors. Where it
    is wrong, a kernel is compiled when it is called.
    """
    sources = {name: path for name in {name.partition(":")[0] for name in kernels} if (path := _source(name))}
    compiled = _compiled({source.parent for source in sources.values()})
    found = []
    for name in kernels:
        module, _, kernel = name.partition(":")
        written = compiled.get((module.rpartition(".")[2], kernel), 0.0)
        if module in sources and written < sources[module].stat().st_mtime:
            found.append(name)
    return found


def _source(module: str) -> Path | None:
    """Return the file of a module, found without importing it; None where there is no such module."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(found.origin) if found and found.origin else None


def _compiled(folders: set[Path]) -> dict[tuple[str, str], float]:
    """Return when the machine code of kernels of modules in `folders` was last written: (module, kernel) -> time."""
    chosen = cache_folders.folder_in_use()
    places = [folder / "__pycache__" for folder in folders] if chosen is None else [chosen]
    written: dict[tuple[str, str], float] = {}
    for place in places:
        for file in place.rglob("*.nbi"):
            if match := _INDEX.fullmatch(file.name):
                module, kernel = match.groups()
                written[module, kernel] = max(written.get((module, kernel), 0.0), file.stat().st_mtime)
    return written
