"""Input files are checked before the standard steps read them, in one place for all modes.

An incomplete file, a wrong checksum, or a header that contradicts itself or its array is refused: standard steps would
trust one or the other. A sample or a rate that is not a number is flagged: standard steps would treat it as zero or
pass it on.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, JwstDataModel, RampModel, read_metadata

from detectorist import models
from detectorist.algorithms import dq
from detectorist.detectors import MIRI, MIRI_SUBARRAYS, NIRCAM
from detectorist.errors import InputError, NoSuchFile
from detectorist.fits_files import named_for_jwst, opened, read_keywords
from detectorist.libraries.asdf_extensions import load_extensions
from detectorist.reduction.inputs.checksums import require_checksums
from detectorist.reduction.inputs.content import require_content
from detectorist.reduction.inputs.extensions import require_extensions
from detectorist.reduction.inputs.integration_numbers import with_numbers
from detectorist.reduction.inputs.known_names import require_known_names
from detectorist.reduction.inputs.whole_files import require_whole_file

log = logging.getLogger(__name__)

#: Relative difference of two times in a header that is not a rounding.
TIME_TOLERANCE = 0.01
#: What the names of an instrument's detectors begin with.
DETECTORS = {"NIRCAM": "NRC", "MIRI": "MIR"}
#: Words for the axes of a SCI array, by its number of dimensions.
_INTS, _GROUPS = "integrations (INTSTART, INTEND)", "groups (NGROUPS)"
_ROWS, _COLUMNS = "rows (SUBSIZE2)", "columns (SUBSIZE1)"
_AXES = {4: (_INTS, _GROUPS, _ROWS, _COLUMNS), 3: (_INTS, _ROWS, _COLUMNS), 2: (_ROWS, _COLUMNS)}
#: Keywords that count something: key of the metadata -> keyword.
_COUNTS = {
    "exposure.nints": "NINTS",
    "exposure.ngroups": "NGROUPS",
    "exposure.nframes": "NFRAMES",
    "exposure.groupgap": "GROUPGAP",
    "exposure.integration_start": "INTSTART",
    "exposure.integration_end": "INTEND",
    "subarray.xsize": "SUBSIZE1",
    "subarray.ysize": "SUBSIZE2",
    "subarray.xstart": "SUBSTRT1",
    "subarray.ystart": "SUBSTRT2",
}
#: Files whose metadata are kept: those of an exposure.
HEADERS_KEPT = 16
#: What rates are measured in.
RATE_UNIT = "DN/s"


def require_sound(path: Path) -> None:
    """Refuse an input file that is damaged, or whose header contradicts its array or itself.

    Raises
    ------
    InputError
        With the name of the file, the value found and the value needed.
    """
    require_sound_header(path)
    require_checksums(path)
    require_content(path)


def require_sound_header(path: Path) -> None:
    """Refuse defects seen without reading the arrays: a truncated file, a header contradicting its array or itself.

    A compressed file is unpacked to its end, the only way to find out whether it is truncated.

    Raises
    ------
    InputError
        As `require_sound`.
    """
    require_whole_file(path)
    require_known_names(path)
    meta = read_header(path)
    _require_counts(path)
    require_extensions(path)
    axes = sci_axes(path)
    if not axes:
        raise InputError(f"{path}: SCI holds no array; that of an exposure is needed")
    require_consistent(str(path), meta, axes)


def _require_counts(path: Path) -> None:
    """Refuse words and fractions where a keyword counts something: jwst would leave the keyword out."""
    keywords = read_keywords(path)
    for keyword in _COUNTS.values():
        if isinstance(keywords.value(keyword), float) and keywords.whole(keyword) is not None:
            raise InputError(f"{path}: {keyword} is {keywords.value(keyword)!r}; a number without a point is needed")
        keywords.whole(keyword)


def read_header(path: Path) -> dict[str, Any]:
    """Return the metadata of a JWST product as a flat dictionary: {"exposure.ngroups": ...}.

    Raises
    ------
    InputError
        When the file does not exist, or is not a JWST product.
    """
    if not path.is_file():
        raise NoSuchFile(f"{path}: no such file")
    found = path.stat()
    return dict(_header_as_of(path, found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=HEADERS_KEPT)
def _header_as_of(path: Path, *state: int) -> dict[str, Any]:
    """Return what `read_header` does of a file in a given state: one reduction asks five times."""
    load_extensions()
    read_keywords(path)  # refuses what astropy would read for ever
    try:
        with named_for_jwst(path) as name:
            flat = read_metadata(name, flatten=True) if has_tree(path) else _read_without_tree(name)
    except InputError:
        raise  # says it all
    except Exception as error:
        kind = read_keywords(path).value("DATAMODL")
        found = f"a JWST product{f' of DATAMODL {kind}' if kind else ''}"
        raise InputError(f"{path}: not readable as {found} ({error}); is the file complete?") from error
    return with_numbers(path, {key.removeprefix("meta."): value for key, value in flat.items()})


def has_tree(path: Path) -> bool:
    """Return whether a file has its metadata as ASDF too; other programs write FITS files without it."""
    with opened(path) as hdus:
        return "ASDF" in hdus


def _read_without_tree(path: Path) -> dict[str, Any]:
    """Return metadata from the keywords alone, as jwst reads them."""
    with datamodels.open(path) as model:
        flat = model.to_flat_dict(include_arrays=False)
    return {**flat, "meta.model_type": flat.get("meta.model_type") or type(model).__name__}


def sci_axes(path: Path) -> tuple[int, ...]:
    """Return the shape of the SCI array of a FITS file from its header; () if there is none."""
    try:
        return read_keywords(path).axes
    except InputError:
        return ()


def require_consistent_input(data: str | Path | JwstDataModel) -> None:
    """Compare the header of a file with its array and with itself, that of an open model with its array.

    A model may be a cut-out whose position on the detector was not updated.

    Raises
    ------
    InputError
        As `require_consistent`.
    """
    if not isinstance(data, JwstDataModel):
        require_consistent(str(data), read_header(Path(data)), sci_axes(Path(data)))
    elif len(data.shape or ()) in _AXES:
        _require_axes(models.describe(data), metadata_of(data), data.shape)


def metadata_of(model: JwstDataModel) -> dict[str, Any]:
    """Return the metadata of an open model as `read_header` returns those of a file."""
    flat = model.to_flat_dict(include_arrays=False)
    return {key.removeprefix("meta."): value for key, value in flat.items()}


def require_consistent(name: str, meta: dict[str, Any], axes: tuple[int, ...]) -> None:
    """Compare the header of ramps or rates with their array and with itself.

    name : str
        For errors.
    meta : dict
        Flat metadata: {"exposure.ngroups": ...}. Missing values are not compared, unless standard steps need them.
    axes : tuple of int
        Shape of SCI: ([n_ints, [n_groups,]] ny, nx); other lengths are not checked here.

    Raises
    ------
    InputError
        With both values.
    """
    for key, keyword in _COUNTS.items():
        found = meta.get(key)
        if found is not None and (isinstance(found, bool) or not isinstance(found, int)):
            raise InputError(f"{name}: {keyword} is {found!r}; a whole number is needed")
    if len(axes) in _AXES:
        _require_axes(name, meta, axes)
        _require_integrations(name, meta, axes)
        _require_place(name, meta, axes)
    if len(axes) == 4:
        _require_times(name, meta)
        _require_readout(name, meta)


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


def ramps_without_gaps(source: str | Path | JwstDataModel) -> str | Path | JwstDataModel:
    """Return ramps with `flag_missing_samples` applied to a copy; a file or model that lacks none as it is.

    Raw counts are whole numbers, of which none can be missing, and are not read.
    """
    if isinstance(source, JwstDataModel):
        ramps = source
    elif read_keywords(source).headers[-1]["BITPIX"] < 0:
        ramps = models.open_as(Path(source), RampModel)
        ramps.meta.filename = Path(source).name
    else:
        return source
    if np.isfinite(ramps.data).all():
        return source
    ramps = models.open_as(ramps, RampModel)
    flag_missing_samples(ramps)
    return ramps


def flag_missing_rates(rates: CubeModel | ImageModel) -> int:
    """Set DO_NOT_USE on pixels whose rate or error is NaN or infinite, in place, and return how many were without it.

    An infinite rate becomes NaN, as in standard products.
    """
    missing = ~np.isfinite(rates.data)
    if rates.hasattr("err") and np.shape(rates.err) == np.shape(rates.data):
        unknown = ~np.isfinite(rates.err)
        if not unknown.all():  # errors that nobody knows say nothing against a pixel
            missing |= unknown
    flags = models.flags(rates)
    new = missing & ~dq.has(flags, dq.DO_NOT_USE)
    infinite = np.isinf(rates.data)
    if infinite.any():
        rates.data = np.where(infinite, np.float32(np.nan), rates.data)
    if new.any():
        rates.dq = np.where(missing, flags | dq.DO_NOT_USE, flags)
        log.warning("%s: %d pixels are not finite and are not used", models.describe(rates), new.sum())
    return int(new.sum())


def require_rate_unit(rates: JwstDataModel) -> None:
    """Raise InputError if rates have a unit other than DN/s."""
    _require_unit(models.describe(rates), {"bunit_data": rates.meta.bunit_data})


def _require_unit(name: str, meta: dict[str, Any]) -> None:
    unit = meta.get("bunit_data")
    if unit and str(unit).replace(" ", "").lower() != RATE_UNIT.lower():
        raise InputError(f"{name}: BUNIT is {unit}; rates in {RATE_UNIT} are needed", found=str(unit))


def _require_axes(name: str, meta: dict[str, Any], axes: tuple[int, ...]) -> None:
    first, last = meta.get("exposure.integration_start"), meta.get("exposure.integration_end")
    said = {
        _INTS: last - first + 1 if first is not None and last is not None else None,
        _GROUPS: meta.get("exposure.ngroups"),
        _ROWS: meta.get("subarray.ysize"),
        _COLUMNS: meta.get("subarray.xsize"),
    }
    for what, found in zip(_AXES[len(axes)], axes, strict=True):
        if said[what] is not None and said[what] != found:
            raise InputError(
                f"{name}: the header says {said[what]} {what}, the array holds {found}; is the file complete?",
                header=said[what],
                array=found,
            )


def _require_integrations(name: str, meta: dict[str, Any], axes: tuple[int, ...]) -> None:
    """Compare the numbers of integrations with each other; an exposure in one file holds all of them."""
    first, last, total = (meta.get(f"exposure.{key}") for key in ("integration_start", "integration_end", "nints"))
    if first is not None and first < 1:
        raise InputError(f"{name}: INTSTART is {first}; integrations are counted from 1", header=first)
    if total is None:
        return
    # Rates are often cut out of longer series, and keep their own numbers.
    if last is not None and last > total and len(axes) == 4:
        raise InputError(f"{name}: INTEND is {last}, but NINTS says {total} integrations in all", header=last)
    segments, number = meta.get("exposure.segment_total"), meta.get("exposure.segment_number")
    if len(axes) == 4 and last is not None and segments and number == segments and last != total:
        raise InputError(
            f"{name}: INTEND of the last segment is {last}, but NINTS says {total} integrations in all", header=last
        )
    # Where the number of segments is not said, what ends before the last integration is one of several.
    in_one_file = segments in (0, 1) or (segments is None and last in (None, total))
    if in_one_file and first in (None, 1) and len(axes) > 2 and total != axes[0]:
        raise InputError(
            f"{name}: the header says {total} integrations (NINTS), the array holds {axes[0]}; is the file complete?",
            header=total,
            array=axes[0],
        )
    if first is None and len(axes) == 4 and total != axes[0]:
        raise InputError(
            f"{name}: INTSTART and INTEND are missing, and INT_TIMES does not number the integrations either: NINTS "
            f"says {total}, the array holds {axes[0]}, and which of them is not known",
            header=total,
            array=axes[0],
        )


def _require_place(name: str, meta: dict[str, Any], axes: tuple[int, ...]) -> None:
    """Compare instrument, detector, and place and size of the subarray; references are cut out by them."""
    instrument, detector = (str(meta.get(f"instrument.{key}") or "") for key in ("name", "detector"))
    if not instrument and len(axes) == 4:
        raise InputError(f"{name}: INSTRUME is missing or unknown; references are chosen by it")
    if not detector.startswith(DETECTORS.get(instrument, detector)):
        found = f"detector is {detector}; one of the two is wrong" if detector else "DETECTOR is missing or unknown"
        raise InputError(f"{name}: instrument is {instrument}, {found}")
    known = NIRCAM.get(detector, MIRI if detector == MIRI.name else None)
    if known is None:
        return
    for axis, keyword, there in (("x", 1, known.n_cols), ("y", 2, known.n_rows)):
        start, size = meta.get(f"subarray.{axis}start"), axes[-1] if axis == "x" else axes[-2]
        if start is None and len(axes) == 4:
            raise InputError(f"{name}: SUBSTRT{keyword} is missing; references are cut out by it")
        if start is not None and not 1 <= start <= there - size + 1:
            raise InputError(
                f"{name}: SUBSTRT{keyword} is {start}: {size} pixels from there do not lie on {detector}, which has "
                f"{there}",
                header=start,
            )
    _require_subarray(name, meta, axes[-2:], (known.n_rows, known.n_cols))


def _require_subarray(name: str, meta: dict[str, Any], found: tuple[int, ...], whole: tuple[int, int]) -> None:
    """Compare the name of the subarray with its size; other names than those we know are taken as they are."""
    called = meta.get("subarray.name")
    if called is None:
        return
    words = f"{name}: {found[0]} x {found[1]} pixels called {called}"
    if meta.get("instrument.name") == "MIRI":
        _require_known_subarray(name, meta, found)
    if (called == "FULL") != (found == whole) and not (called.startswith("FULL") and found == whole):
        raise InputError(f"{words}, a full frame has {whole[0]} x {whole[1]}; one of the two is wrong")


def _require_known_subarray(name: str, meta: dict[str, Any], found: tuple[int, ...]) -> None:
    """Compare size and place of a subarray of MIRI that we know; SUBSIZE and the array of all others agree by now."""
    known = MIRI_SUBARRAYS.get(meta["subarray.name"])
    if known is None:
        return
    if found != (known.n_rows, known.n_cols):
        raise InputError(
            f"{name}: {found[0]} x {found[1]} pixels called {known.name}, which has {known.n_rows} x {known.n_cols}"
        )
    start = (meta.get("subarray.ystart"), meta.get("subarray.xstart"))
    if None not in start and start != (known.y_start, known.x_start):
        raise InputError(
            f"{name}: SUBSTRT1, SUBSTRT2 are {start[1]}, {start[0]}; {known.name} begins at {known.x_start}, "
            f"{known.y_start}"
        )


def _require_times(name: str, meta: dict[str, Any]) -> None:
    group = _seconds(name, "TGROUP", meta.get("exposure.group_time"))
    frame = _seconds(name, "TFRAME", meta.get("exposure.frame_time"))
    n_frames, gap = meta.get("exposure.nframes"), meta.get("exposure.groupgap")
    if n_frames is None or gap is None:
        missing = "NFRAMES" if n_frames is None else "GROUPGAP"
        raise InputError(f"{name}: {missing} is missing; the noise of the ramps follows from it")
    expected = frame * (n_frames + gap)
    if abs(group - expected) > TIME_TOLERANCE * group:
        raise InputError(
            f"{name}: TGROUP is {group:.6g} s, but {n_frames} frames and a gap of {gap} of {frame:.6g} s make "
            f"{expected:.6g} s",
            group_time=group,
            expected=expected,
        )


def _require_readout(name: str, meta: dict[str, Any]) -> None:
    """Refuse ramps that do not say how they were read: frames per group, and the directions of readout.

    MIRI is read in one direction only, and no step asks for it: files of test benches do not say it.
    """
    n_frames = meta.get("exposure.nframes")
    if n_frames is None or n_frames < 1:
        raise InputError(f"{name}: NFRAMES is {n_frames or 'missing'}; the number of frames of a group is needed")
    fast, slow = meta.get("subarray.fastaxis"), meta.get("subarray.slowaxis")
    if fast is None and slow is None and meta.get("instrument.name") == "MIRI":
        return
    if fast not in (1, -1, 2, -2) or slow not in (1, -1, 2, -2) or abs(fast) == abs(slow):
        raise InputError(f"{name}: FASTAXIS, SLOWAXIS are {fast}, {slow}; 1 and 2, or -1 and -2, one of each is needed")


def _seconds(name: str, keyword: str, value: Any) -> float:
    if not isinstance(value, int | float) or not value > 0:
        found = "missing" if value is None else value
        raise InputError(f"{name}: {keyword} is {found}; a positive number of seconds is needed")
    return float(value)
