"""The files of a run: names that can be recorded, real files, and exposures that are the mode's to reduce."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from detectorist.campaign.exposures import is_safe_name
from detectorist.errors import ParameterError
from detectorist.modes import Mode, modes_of_exposure_types
from detectorist.product_names import is_fits
from detectorist.reduction.file_hash import file_hash

#: Files of one kind that a note lists by name.
MOST_NAMED = 3
#: Bytes from the middle of a file, where its noise is, that no other exposure shares.
SAMPLE_BYTES = 4096


def files_of_mode(mode: Mode, files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the files that a mode reduces, and a line on each kind of others.

    Others are acquisitions, exposures of other modes, folders and pipes, and files with names that cannot be those of
    products, such as the hidden twins ("._jw...") that some systems write beside every file of a disk.

    A file whose type no mode has, or cannot be read, stays: it fails in its own job, with the reason. Copies stay as
    well, with a line on them. A file that is not there fails in its own job, too.

    Raises
    ------
    ParameterError
        When none is left.
    """
    kept: list[Path] = []
    left_out: dict[str, list[Path]] = {}
    for file in files:
        reason = _why_left_out(mode, Path(file))
        (left_out.setdefault(reason, []) if reason else kept).append(Path(file))
    notes = [f"{_listed(paths)}: {reason}; left out" for reason, paths in left_out.items()]
    if notes and not kept:
        raise ParameterError(f"{'; '.join(notes)}: no exposure is left to reduce")
    return kept, [*notes, *_lines_on_copies(kept)]


def _lines_on_copies(files: Sequence[Path]) -> list[str]:
    """Return a line on each exposure that is there under several names: what is made of them would count it twice."""
    alike: dict[object, list[Path]] = {}
    for file in files:
        if is_fits(file) and file.is_file() and (size := file.stat().st_size):
            with suppress(OSError), open(file, "rb") as handle:
                handle.seek(size // 2)
                alike.setdefault((size, handle.read(SAMPLE_BYTES)), []).append(file)
    lines = []
    for some in alike.values():
        same: dict[str, list[Path]] = {}
        for file in some if len(some) > 1 else ():
            same.setdefault(file_hash(file), []).append(file)
        copies = [paths for paths in same.values() if len({path.absolute() for path in paths}) > 1]
        lines += [f"{_listed(paths)}: the same file under several names; each is reduced by itself" for paths in copies]
    return lines


def _why_left_out(mode: Mode, path: Path) -> str:
    if not is_safe_name(path.name):
        return "its name is hidden or not text, and would be that of its products"
    if path.exists() and not path.is_file():  # the end of a pipe would be waited for
        return "not a file"
    if not is_fits(path):
        return ""
    from detectorist.reduction.inputs.exposure_types import exposure_type, is_acquisition_type

    kind = exposure_type(path)
    if is_acquisition_type(kind):
        return "target acquisition"
    others = modes_of_exposure_types().get(kind, ())
    if others and mode.name not in others:
        return f"exposure type {kind}, which is for mode {' or '.join(others)}"
    return ""


def _listed(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name if is_safe_name(path.name) else repr(path.name) for path in paths[:MOST_NAMED])
    return names if len(paths) <= MOST_NAMED else f"{names} and {len(paths) - MOST_NAMED} more"
