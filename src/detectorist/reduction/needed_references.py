"""The reference files that CRDS names for an exposure, and whether they exist, without reading or fetching any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from detectorist.crds_source import use_references
from detectorist.errors import ReferenceMissing

#: What is said of a file that a folder of references names and does not hold.
NOT_THERE = "is not in the folder"


def find_references(path: Path, types: Sequence[str], references: str | None) -> dict[str, str]:
    """Return {type: file name, "N/A", or "missing: why"}.

    path : Path
        A file of the exposure; its header decides.
    references : str, optional
        As in `crds_source.use_references`.
    """
    try:
        source = use_references(references, optional=True)
        if source.name == "none":
            return dict.fromkeys(types, "missing: no source of references")
        return {kind: _state(name) for kind, name in best_references(path, types).items()}
    except ReferenceMissing as error:
        return dict.fromkeys(types, f"missing: {str(error).splitlines()[0]}")
    except (Exception, SystemExit) as error:
        return dict.fromkeys(types, f"missing: {error}")


def require_references(path: Path, types: Sequence[str], references: str | None) -> None:
    """Refuse a folder of references in which files named for an exposure are missing.

    Raises
    ------
    ReferenceMissing
    """
    found = find_references(path, types, references)
    lacking = [f"{kind} ({text.split()[1]})" for kind, text in found.items() if text.endswith(NOT_THERE)]
    if lacking:
        raise ReferenceMissing(
            f"{references}: reference files are missing: {', '.join(lacking)}; copy the whole folder"
        )


def best_references(path: Path, types: Sequence[str]) -> dict[str, str]:
    """Return {type: file name or "NOT FOUND ..."} from CRDS for a file's header."""
    import crds

    from detectorist.reduction.inputs.headers import read_header

    header = {f"META.{key}".upper(): value for key, value in read_header(path).items()}
    header.update({key.lower(): value for key, value in header.items()})
    return crds.getrecommendations(
        header, reftypes=list(types), context=os.environ.get("CRDS_CONTEXT"), observatory="jwst"
    )


def _state(name: str) -> str:
    from crds.core import config

    if name.lower().removeprefix("not found").strip() == "n/a":
        return "N/A"
    if name.startswith("NOT FOUND"):
        return f"missing: {name.removeprefix('NOT FOUND').strip()}"
    place = config.locate_file(name, observatory="jwst")
    if os.path.exists(place) or os.environ.get("CRDS_READONLY_CACHE") != "1":
        return name
    return f"missing: {name} {NOT_THERE}"
