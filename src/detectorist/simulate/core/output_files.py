"""Writing of simulated files: the same content gives the same bytes, and nothing is overwritten unless requested."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from detectorist.atomic_files import whole_file
from detectorist.errors import OutputError

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel


def make_room(folder: Path, patterns: Sequence[str], *, overwrite: bool) -> None:
    """Make the folder, and remove files of an earlier simulation from it if allowed.

    patterns : sequence of str
        Globs of what a simulation writes.

    Raises
    ------
    OutputError
        When such files exist and `overwrite` is False, or the folder cannot be written.
    """
    if folder.is_file():
        raise OutputError(f"{folder}: is a file, but must be a folder")
    present = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if present and not overwrite:
        raise OutputError(
            f"{folder}: {present[0].name} is there already; choose another folder, or allow overwriting (--overwrite)"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in present:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: cannot be written")


def save_reproducibly(model: JwstDataModel, path: Path, date: str) -> Path:
    """Save a datamodel so that the same content gives the same bytes.

    date : str
        The value of DATE, instead of the time of writing.

    Raises
    ------
    OutputError
        When it cannot be written.
    """

    def on_save(init: object) -> None:
        type(model).on_save(model, init)
        model.meta.filename, model.meta.date = path.name, date

    object.__setattr__(model, "on_save", on_save)
    with whole_file(path) as partial:
        model.save(str(partial))
        if path.suffix == ".asdf":
            sort_extensions(partial)
    return path


def sort_extensions(path: Path) -> None:
    """Write an ASDF file again with the extensions that it names in the order of their names.

    asdf lists them in the order of a set of objects, which is not the same from one process to the next.
    """
    import asdf

    content = BytesIO()
    with asdf.open(path) as file:
        named = file["history"]["extensions"]
        file["history"]["extensions"] = sorted(named, key=lambda one: str(one.get("extension_uri")))
        file.write_to(content)
    path.write_bytes(content.getvalue())
