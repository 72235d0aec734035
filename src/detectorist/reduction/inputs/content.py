"""Whether a file contains data: all values or groups equal, or all pixels flagged, means that it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.algorithms import dq
from detectorist.errors import InputError
from detectorist.fits_files import opened

if TYPE_CHECKING:
    from astropy.io.fits import HDUList


def require_content(path: Path) -> None:
    """Refuse data that are NaN or one number everywhere, do not change from group to group, or are flagged everywhere.

    Counts stored without the offset of unsigned numbers (BZERO) are refused as well.

    Good data are read only as far as necessary.

    Raises
    ------
    InputError
    """
    with opened(path) as hdus:
        empty, flagged, still = _only_number(hdus), _all_flagged(hdus), _all_still(hdus)
        least = _least_count(hdus)
    if empty:
        raise InputError(f"{path}: SCI contains nothing but {empty}; data of an exposure are needed")
    if flagged:
        raise InputError(f"{path}: every pixel is flagged DO_NOT_USE; nothing is left to reduce")
    if least < 0:
        raise InputError(f"{path}: SCI holds counts down to {least}; is BZERO missing, by which they are unsigned?")
    if still:
        raise InputError(f"{path}: SCI is the same in all groups; counts that change with time are needed")


def _only_number(hdus: HDUList) -> str:
    """Return the one number that SCI consists of, in words; "" where there are others, or no data."""
    seen: set[float] = set()
    empty = True
    for plane in _planes(hdus, "SCI"):
        empty = False
        finite = plane[np.isfinite(plane)]
        if finite.size:
            seen |= {float(finite.min()), float(finite.max())}
        if len(seen) > 1:
            return ""
    return "" if empty else f"{seen.pop():g}" if seen else "NaN"


def _all_flagged(hdus: HDUList) -> bool:
    found = False
    for plane in _planes(hdus, "DQ"):
        found = True
        if not dq.has(plane, dq.DO_NOT_USE).all():
            return False
    return found


def _least_count(hdus: HDUList) -> int:
    """Return the smallest number of the first frame of ramps in whole numbers, which are raw counts; else 0."""
    if "SCI" not in hdus or len(getattr(hdus["SCI"], "shape", ())) != 4:
        return 0
    first = next(_planes(hdus, "SCI"), np.zeros(1))
    return int(first.min()) if first.dtype.kind == "i" and first.size else 0


def _all_still(hdus: HDUList) -> bool:
    """Return whether the groups of every integration are equal: not even noise tells them apart."""
    shape: tuple[int, ...] = getattr(hdus["SCI"], "shape", ()) if "SCI" in hdus else ()
    if len(shape) != 4 or shape[1] < 2:
        return False
    for number, frame in enumerate(_planes(hdus, "SCI")):
        if number % shape[1] == 0:
            first = frame
        elif not np.array_equal(frame, first, equal_nan=True):
            return False
    return True


def _planes(hdus: HDUList, name: str) -> Iterator[np.ndarray]:
    """Yield an image extension frame by frame: of good data the first one tells enough."""
    shape: tuple[int, ...] = getattr(hdus[name], "shape", ()) if name in hdus else ()
    if len(shape) == 2:
        yield np.asarray(hdus[name].data)
    for place in np.ndindex(shape[:-2]) if len(shape) > 2 else ():
        yield np.asarray(hdus[name].section[place])
