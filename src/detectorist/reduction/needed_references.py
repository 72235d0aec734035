"""The reference files that CRDS names for an exposure, and whether they exist, without reading or fetching any."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from detectorist.crds_source import use_references
from detectorist.errors import InputError, ReferenceMissing
from detectorist.product_names import is_fits
from detectorist.reduction.inputs.whole_files import require_whole_file

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


def require_whole_references(found: Mapping[str, str]) -> None:
    """Refuse reference files that a folder lacks, or that were cut short as by a download that broke off.

    crds and jwst fail on both without naming the file.

    found : mapping
        {type: file name, or "NOT FOUND ..."}, as of `best_references`.

    Raises
    ------
    ReferenceMissing
    """
    from crds.core import config

    known = {kind: name for kind, name in found.items() if not name.upper().startswith("NOT FOUND")}
    lacking = [f"{kind} ({name})" for kind, name in known.items() if _state(name).endswith(NOT_THERE)]
    if lacking:
        raise ReferenceMissing(
            f"{os.environ.get('CRDS_PATH')}: reference files are missing: {', '.join(lacking)}; copy the whole folder",
            types=[text.split()[0] for text in lacking],
        )
    for name in known.values():
        place = Path(config.locate_file(name, observatory="jwst"))
        if place.is_file() and is_fits(place):
            status = place.stat()
            _require_whole_reference(place, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _require_whole_reference(place: Path, *state: int) -> None:
    """Refuse a reference file that was cut short; asked once of every state of a file, as all exposures share them."""
    try:
        require_whole_file(place)
    except InputError as error:
        raise ReferenceMissing(f"{error} It is a reference: remove it, and fetch or copy it anew") from error


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
