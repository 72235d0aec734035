"""`--references sim`: simulated references on demand."""

from __future__ import annotations

from pathlib import Path


def folder_of_references(references: str | None, output_dir: Path) -> str | None:
    """Return `references`; for "sim" a folder below `output_dir`, where simulated ones are made on first use."""
    if references != "sim":
        return references
    from detectorist.simulate.lrs.references import build_lrs_cache

    folder = output_dir / "references" / "sim"
    if not (folder / "config" / "jwst" / "server_config").is_file():
        build_lrs_cache(folder)
    return str(folder)
