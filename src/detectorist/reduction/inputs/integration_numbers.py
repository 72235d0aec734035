"""The numbers of the integrations in a file without INTSTART and INTEND.

Standard steps then assume 1 to NINTS, and fail to find these integrations in a later segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.errors import InputError
from detectorist.fits_files import opened, read_keywords

FIRST, LAST = "exposure.integration_start", "exposure.integration_end"


def range_of(first: int | None, last: int | None, n_ints: int, listed: Sequence[int]) -> tuple[int | None, int | None]:
    """Return the numbers of the first and last integration of a file; None, None if they are unknown.

    first, last : int, optional
        As in the header.
    n_ints : int
        Integrations of the array.
    listed : sequence of int
        Numbers in INT_TIMES.
    """
    if first is not None and last is not None:
        return first, last
    if first is not None:
        return first, first + n_ints - 1
    if last is not None:
        return last - n_ints + 1, last
    if len(listed) == n_ints > 0 and list(listed) == list(range(int(listed[0]), int(listed[0]) + n_ints)):
        return int(listed[0]), int(listed[-1])
    return None, None


def fill_in(model: JwstDataModel, n_ints: int) -> None:
    """Fill in INTSTART and INTEND of a model in place, from INT_TIMES or from each other.

    n_ints : int
        Integrations of the file that it was read from.
    """
    exposure = model.meta.exposure
    if exposure.integration_start is None or exposure.integration_end is None:
        listed = _listed(model.int_times) if model.hasattr("int_times") else []
        exposure.integration_start, exposure.integration_end = range_of(
            exposure.integration_start, exposure.integration_end, n_ints, listed
        )


def with_numbers(path: Path, meta: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a file, with INTSTART and INTEND filled in as by `fill_in`."""
    if meta.get(FIRST) is not None and meta.get(LAST) is not None:
        return meta
    try:
        with opened(path) as hdus:
            shape: tuple[int, ...] = hdus["SCI"].shape if "SCI" in hdus else ()
            listed = _listed(hdus["INT_TIMES"].data) if "INT_TIMES" in hdus else []
    except InputError:
        return meta  # what is wrong with the file is told where its array is needed
    n_ints = shape[0] if len(shape) > 2 else 0
    first, last = range_of(meta.get(FIRST), meta.get(LAST), n_ints, listed) if n_ints else (None, None)
    return {**meta, FIRST: first, LAST: last} if first is not None else meta


def are_missing(path: Path) -> bool:
    """Return whether a file is a part of an exposure and its header does not say which."""
    found = read_keywords(path)
    whole = found.axes[:1] == (found.whole("NINTS"),)
    return not whole and (found.whole("INTSTART") is None or found.whole("INTEND") is None)


def _listed(table: Any) -> list[int]:
    """Return the numbers of integrations in INT_TIMES."""
    found: Any = np.zeros(0) if table is None else np.asarray(table)
    if found.dtype.names is None or "integration_number" not in found.dtype.names:
        return []
    return [int(number) for number in found["integration_number"]]
