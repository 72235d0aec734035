"""Whether the extensions of a file are those that jwst opens: it fails on others without saying which."""

from __future__ import annotations

import re
from pathlib import Path

from detectorist.errors import InputError
from detectorist.fits_files import opened
from detectorist.times import TABLE_DTYPE

#: How an ASDF tree within a FITS file refers to an extension: its name and version.
_IN_TREE = re.compile(rb"fits:(\w+),(\d+)")
#: Axes of extensions that jwst reads beside SCI of raw ramps, whatever refers to them.
_AXES = {"REFOUT": 4, "ZEROFRAME": 3, "GROUPDQ": 4, "PIXELDQ": 2}


def require_extensions(path: Path) -> None:
    """Refuse a file with extensions of another form, or without one that its metadata refer to.

    Raises
    ------
    InputError
    """
    _require_times_table(path)
    _require_what_the_tree_refers_to(path)
    _require_sci(path)
    _require_axes(path)


def _require_times_table(path: Path) -> None:
    """Refuse an INT_TIMES of another form: jwst cannot open the file."""
    with opened(path) as hdus:
        if "INT_TIMES" not in hdus:
            return
        names = getattr(getattr(hdus["INT_TIMES"], "columns", None), "names", None) or []
    found = [str(name) for name in names]  # a damaged header may leave a column without one
    wanted = {name.lower() for name in TABLE_DTYPE.names or ()}
    if {name.lower() for name in found} != wanted:
        raise InputError(
            f"{path}: INT_TIMES has columns {', '.join(found) or 'none'}; {', '.join(sorted(wanted))} are needed"
        )


def _require_what_the_tree_refers_to(path: Path) -> None:
    """Refuse a file whose ASDF tree refers to an extension that it does not have: jwst cannot open it."""
    with opened(path) as hdus:
        columns = getattr(hdus["ASDF"], "columns", None) if "ASDF" in hdus else None
        if columns is None or not len(columns):
            return
        for name, version in _IN_TREE.findall(hdus["ASDF"].data.field(0).tobytes()):
            if (name.decode(), int(version)) not in hdus:
                raise InputError(
                    f"{path}: its metadata (ASDF) refer to an extension {name.decode()}, which is not there; is the "
                    "file complete?"
                )


def _require_sci(path: Path) -> None:
    """Refuse a file without SCI: jwst opens it with an array of no pixels."""
    with opened(path) as hdus:
        if "SCI" not in hdus:
            found = ", ".join(hdu.name for hdu in hdus[1:]) or "none"
            raise InputError(f"{path}: extensions are {found}; SCI is needed, with the data of an exposure")


def _require_axes(path: Path) -> None:
    """Refuse ramps with an array beside SCI that has another number of axes, or other pixels."""
    with opened(path) as hdus:
        ramps = tuple(getattr(hdus["SCI"], "shape", ()))
        if len(ramps) != 4:
            return
        shapes = {"ZEROFRAME": (ramps[0], *ramps[2:]), "GROUPDQ": ramps, "PIXELDQ": ramps[2:]}
        for name, needed in _AXES.items():
            found = len(getattr(hdus[name], "shape", ())) if name in hdus else needed
            if found not in (needed, 0):
                raise InputError(f"{path}: {name} has {found} axes; {needed} are needed", found=found)
            shape = tuple(getattr(hdus[name], "shape", ())) if name in hdus else ()
            if shape and shape != shapes.get(name, shape):
                raise InputError(
                    f"{path}: {name} has shape {shape}, beside SCI with {ramps}; {shapes[name]} is needed",
                    found=list(shape),
                )
