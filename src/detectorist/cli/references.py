"""`--references sim`: simulated references on demand."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from detectorist.errors import ReferenceMissing


def folder_of_references(mode: str, references: str | None, output_dir: Path) -> str | None:
    """Return `references`; for "sim" a folder below `output_dir`, where simulated ones are made on first use.

    Raises
    ------
    ReferenceMissing
        For "sim" in a mode whose references depend on what was simulated, or that has no simulator.
    """
    if references != "sim":
        return str(Path(references).resolve()) if references and Path(references).is_dir() else references
    folder = output_dir / "references" / f"sim_{mode}"
    if not (folder / "config" / "jwst" / "server_config").is_file():
        name = f"detectorist.simulate.{mode}.references"
        build = getattr(importlib.import_module(name), "build_cache", None) if _is_there(name) else None
        if build is None:
            raise ReferenceMissing(
                f"--references sim: mode {mode} has none apart from those of a simulation; give that folder "
                f"(detectorist simulate {mode} -o sim: --references sim/crds)"
            )
        build(folder)
    return str(folder.resolve())


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False
