"""`--references sim`: simulated references on demand."""

from __future__ import annotations

import importlib
from pathlib import Path


def folder_of_references(mode: str, references: str | None, output_dir: Path) -> str | None:
    """Return `references`; for "sim" a folder below `output_dir`, where simulated ones are made on first use."""
    if references != "sim":
        return str(Path(references).resolve()) if references and Path(references).is_dir() else references
    folder = output_dir / "references" / f"sim_{mode}"
    if not (folder / "config" / "jwst" / "server_config").is_file():
        importlib.import_module(f"detectorist.simulate.{mode}.references").build_cache(folder)
    return str(folder.resolve())
