"""Raw files are checked before stock steps see them.

A header that contradicts itself or its array is refused: stock steps believe one or the other. A sample that is not a
number is flagged: ramp fitting would take it for a zero.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import RampModel, read_metadata

from detectorist import models
from detectorist.algorithms import dq
from detectorist.errors import InputError

log = logging.getLogger(__name__)

#: Relative difference of two times in a header that is not a rounding.
TIME_TOLERANCE = 0.01


def read_header(path: Path) -> dict[str, Any]:
    """Return the metadata of a JWST product as a flat dictionary: {"exposure.ngroups": ...}.

    Raises
    ------
    InputError
        When there is no such file, or it is no JWST product.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        flat = read_metadata(path, flatten=True)
    except Exception as error:
        raise InputError(f"{path}: not readable as a JWST product ({error}); is the file complete?") from error
    return {key.removeprefix("meta."): value for key, value in flat.items()}


def sci_axes(path: Path) -> tuple[int, ...]:
    """Return the shape of the SCI array of a FITS file from its header; () where there is none to read."""
    try:
        with fits.open(path) as hdus:
            header = hdus["SCI"].header
            return tuple(int(header[f"NAXIS{axis}"]) for axis in range(int(header["NAXIS"]), 0, -1))
    except (OSError, KeyError, ValueError, TypeError, fits.VerifyError):
        return ()


def require_whole_file(path: Path) -> None:
    """Raise InputError where a FITS file ends before its last array does; compressed ones are taken as they are."""
    if path.suffix == ".gz":
        return
    size = path.stat().st_size
    try:
        with fits.open(path) as hdus:
            end = max(hdu.fileinfo()["datLoc"] + hdu.fileinfo()["datSpan"] for hdu in hdus)
    except (OSError, ValueError, TypeError, fits.VerifyError) as error:
        raise InputError(f"{path}: not readable ({error}); is the file complete?") from error
    if end > size:
        raise InputError(f"{path}: {size} bytes, its header promises {end}; is the file complete?", found=size)


def require_consistent_ramp(name: str, meta: dict[str, Any], axes: tuple[int, ...]) -> None:
    """Compare the header of a ramp with its array and with itself.

    name : str
        For errors.
    meta : dict
        Flat metadata: {"exposure.ngroups": ...}. What is missing is not compared.
    axes : tuple of int
        Shape of SCI, (n_ints, n_groups, ny, nx); other lengths are left to whoever reads the array.

    Raises
    ------
    InputError
        With both values.
    """
    if len(axes) == 4:
        _require_axes(name, meta, axes)
    _require_times(name, meta)


def flag_missing_samples(ramps: RampModel) -> int:
    """Set DO_NOT_USE on samples that are NaN or infinite, in place, and return how many there are."""
    flags, n_missing = None, 0
    for number, integration in enumerate(ramps.data):
        missing = ~np.isfinite(integration)
        if missing.any():
            flags = models.group_flags(ramps) if flags is None else flags
            flags[number][missing] |= dq.DO_NOT_USE
            n_missing += int(missing.sum())
    if flags is not None:
        ramps.groupdq = flags
        log.warning("%s: %d samples are not finite and are not used", models.describe(ramps), n_missing)
    return n_missing


def _require_axes(name: str, meta: dict[str, Any], axes: tuple[int, ...]) -> None:
    first, last = meta.get("exposure.integration_start"), meta.get("exposure.integration_end")
    n_ints = last - first + 1 if first is not None and last is not None else None
    wanted = (n_ints, *(meta.get(key) for key in ("exposure.ngroups", "subarray.ysize", "subarray.xsize")))
    words = ("integrations (INTSTART, INTEND)", "groups (NGROUPS)", "rows (SUBSIZE2)", "columns (SUBSIZE1)")
    for said, found, what in zip(wanted, axes, words, strict=True):
        if said is not None and said != found:
            raise InputError(
                f"{name}: the header says {said} {what}, the array holds {found}; is the file complete?",
                header=said,
                array=found,
            )
    if first is not None and first < 1:
        raise InputError(f"{name}: INTSTART is {first}; integrations are counted from 1", header=first)


def _require_times(name: str, meta: dict[str, Any]) -> None:
    group, frame = meta.get("exposure.group_time"), meta.get("exposure.frame_time")
    n_frames, gap = meta.get("exposure.nframes"), meta.get("exposure.groupgap")
    if group is not None and not group > 0:
        raise InputError(f"{name}: TGROUP is {group}; a positive number of seconds is needed", group_time=group)
    if group is None or frame is None or n_frames is None or gap is None:
        return
    expected = frame * (n_frames + gap)
    if abs(group - expected) > TIME_TOLERANCE * group:
        raise InputError(
            f"{name}: TGROUP is {group} s, but {n_frames} frames and a gap of {gap} of {frame} s make {expected:g} s",
            group_time=group,
            expected=expected,
        )
