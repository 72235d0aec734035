"""Quirks of the JWST datamodels, known here and nowhere else.

What our steps add to a model must survive `.copy()`, `.save()` and reopening by someone who has only `jwst`. A schema
extended on one instance is lost by `.copy()`; entries of the metadata tree (stored in the ASDF extension) and of
`extra_fits` (stored as ordinary FITS cards and extensions) are kept. So every step is stamped in both.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from astropy.utils.exceptions import AstropyWarning
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import JwstDataModel, RampModel
from stdatamodels.jwst.datamodels.util import NoTypeWarning

from detectorist import __version__
from detectorist.errors import InputError, NoSuchFile
from detectorist.fits_files import named_for_jwst, opened_with_counts, read_keywords, require_headers

#: FITS keywords of our steps' states, as the standard pipeline has S_LINEAR and the like.
STATE_KEYWORDS = {
    "drop_groups": "S_DRPGRP",
    "reference_pixel": "S_LRSREF",
    "group_background_subtract": "S_GRPBKG",
    "drop_integrations": "S_DRPINT",
    "regroup": "S_REGRP",
    "snowballs": "S_SNOWBL",
    "flag_persistence": "S_FLGPER",
    "wisps": "S_WISPS",
    "stripes": "S_STRIPE",
    "subtract_group_offsets": "S_GRPOFF",
    "flag_showers": "S_SHOWER",
    "subtract_ktc": "S_KTC",
    "subtract_1overf": "S_1OVERF",
    "apply_rateints_outliers": "S_RIOUTL",
    "mask_groups": "S_MSKGRP",
    "subtract_star": "S_STARSB",
    "inspect_dq_flags": "S_INSPDQ",
    "subtract_showers": "S_SUBSHW",
    "clean_outliers": "S_CLNOUT",
    "background_subtract": "S_LRSBKG",
    "extract_1d_box": "S_EXTBOX",
    "extract_1d_optimal": "S_EXTOPT",
    "align_spectra": "S_ALIGN",
}

#: Characters of a HISTORY card, and how one begins that continues the one before.
HISTORY_WIDTH, CONTINUED = 72, "  "

#: Arrays of variances that ERR is made of.
VARIANCES = ("var_poisson", "var_rnoise", "var_flat")

#: Extension with the variance of a subtracted background: common to a row, so no part of the pixels' own ERR.
BACKGROUND_VARIANCE_HDU = "BKG_VAR"


def open_as(data: Any, kind: type[JwstDataModel], *, copy: bool = True) -> JwstDataModel:
    """Return `data` (a model or the path of a file) as a model of class `kind`; the input stays as it is.

    Raises
    ------
    InputError
        When the file cannot be read, or holds an array of another number of dimensions than `kind` needs.
    """
    if isinstance(data, JwstDataModel):
        _require_kind(data, kind, describe(data))
        if type(data) is kind:
            return data.copy() if copy else data
        return _converted(data, kind, copy)
    path = _existing(data)
    require_kind_of_file(path, kind)
    model = None
    try:
        with _without_warnings_of_files(), named_for_jwst(path) as name:
            if kind is RampModel:
                with opened_with_counts(name) as hdus:
                    model = kind(hdus)
            else:
                model = kind(name)
            np.asarray(model.data).shape  # noqa: B018 - a truncated file fails only when its array is read
            require_sound_tree(model)
    except InputError:
        raise
    except Exception as error:
        if model is not None:
            model.close()
        raise InputError(f"{path}: not readable as a {kind.__name__} ({error}); is the file complete?") from error
    return model


def require_kind_of_file(path: Path, kind: type[JwstDataModel]) -> None:
    """Raise InputError where the headers of a file cannot be read, or give SCI another number of axes than `kind` has.

    jwst would leave a file open whose headers it cannot read.
    """
    require_headers(path, f"a {kind.__name__}")
    keywords = read_keywords(path)
    _require_axes(keywords.axes, kind, str(path), keywords.text("DATAMODL") or "file without DATAMODL")


@contextmanager
def _without_warnings_of_files() -> Iterator[None]:
    """Silence what astropy and jwst say of damaged or unnamed files: we say it ourselves.

    Where warnings are made errors, these would also leave the file open.
    """
    with warnings.catch_warnings():
        for category in (AstropyWarning, NoTypeWarning):
            warnings.simplefilter("ignore", category)
        yield


def require_sound_tree(model: JwstDataModel) -> None:
    """Raise ValueError when the metadata, which are text in FITS files, have lost their form by damage."""
    history = model.instance.get("history", {})
    entries = history.get("entries", []) if isinstance(history, dict) else history
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("the history is not a list of entries")
    if not isinstance(model.instance.get("meta", {}), dict):
        raise ValueError("the metadata are not a table")


def _converted(model: JwstDataModel, kind: type[JwstDataModel], copy: bool) -> JwstDataModel:
    """Return a model of another class as `kind`; an uncal's 16-bit arrays do not pass the schema of a ramp."""
    integers = [
        name
        for name in ("data", "zeroframe", "refout")
        if np.issubdtype(getattr(model.instance.get(name), "dtype", np.float32), np.integer)
    ]
    if not (copy or integers):
        return kind(model)
    copied = model.copy()
    for name in integers:
        copied.instance[name] = copied.instance[name].astype(np.float32)
    return kind(copied)


def _existing(data: Any) -> Path:
    if not isinstance(data, str | Path):
        raise InputError(f"input is of type {type(data).__name__}: a JWST datamodel or the path of a file is needed")
    path = Path(data)
    if not path.is_file():
        raise NoSuchFile(f"{path}: no such file")
    return path


def _require_kind(model: JwstDataModel, kind: type[JwstDataModel], name: str) -> None:
    _require_axes(model.shape or (), kind, name, type(model).__name__)


def _require_axes(found: tuple[int, ...], kind: type[JwstDataModel], name: str, what: str) -> None:
    """Tell a rate from a rateints and a ramp from both, by the dimensions that the class's schema asks for."""
    wanted = {datamodels.RampModel: 4, datamodels.CubeModel: 3, datamodels.ImageModel: 2}.get(kind)
    if wanted is not None and len(found) != wanted:
        shape = f"SCI of shape {tuple(found)}" if found else "no SCI array"
        products = {
            4: "a ramp (uncal or ramp file)",
            3: "one image per integration (rateints)",
            2: "one image (rate)",
        }
        raise InputError(
            f"{name}: {shape} in a {what}; {products[wanted]} with {wanted} dimensions is needed",
            found_shape=list(found),
        )


def sharing_arrays(model: JwstDataModel, *, without: tuple[str, ...] = ()) -> JwstDataModel:
    """Return a model with metadata of its own and the same arrays, some left out: `VARIANCES` may not be needed.

    What is written into an array of one of the two is written into that of the other.
    """
    instance = model.instance
    held = {name: instance.pop(name) for name, value in list(instance.items()) if isinstance(value, np.ndarray)}
    try:
        other = model.copy()
    finally:
        instance.update(held)
    other.instance.update({name: array for name, array in held.items() if name not in without})
    return other


def drop_arrays(model: JwstDataModel, *names: str) -> None:
    """Take arrays out of a model, where it has them."""
    for name in names:
        model.instance.pop(name, None)


def describe(model: Any) -> str:
    """Return how an error or a log line names a model: its file name, or its class where it has none."""
    meta = getattr(model, "meta", None)
    return getattr(meta, "filename", None) or type(model).__name__


def record_step(model: JwstDataModel, alias: str, state: str, numbers: dict[str, Any]) -> None:
    """Write a step's state and numbers into `model` so that they survive copying, saving and reopening."""
    setattr(model.meta.cal_step, alias, state)
    records(model)  # makes the tree
    model.meta.detectorist.instance[alias] = _plain({"state": state, **numbers})
    if alias in STATE_KEYWORDS:
        set_keyword(model, STATE_KEYWORDS[alias], state, f"detectorist {alias}"[:46])


def records(model: JwstDataModel) -> dict[str, dict[str, Any]]:
    """Return what our steps recorded on `model`: {alias: {"state": ..., number: value}}."""
    if not model.meta.hasattr("detectorist") or model.meta.detectorist is None:
        model.meta.detectorist = {}
    tree = model.meta.detectorist
    return tree.instance if hasattr(tree, "instance") else tree


def state(model: JwstDataModel, alias: str) -> str | None:
    """Return the state of a step on this model: COMPLETE, SKIPPED or None."""
    return getattr(model.meta.cal_step, alias, None)


def set_keyword(model: JwstDataModel, keyword: str, value: Any, comment: str = "") -> None:
    """Set a card of the primary header that the schema does not know."""
    _extra(model).setdefault("PRIMARY", {}).setdefault("header", [])
    cards = _extra(model)["PRIMARY"]["header"]
    cards[:] = [card for card in cards if card[0] != keyword] + [[keyword, value, comment]]


def carry_provenance(source: JwstDataModel, target: JwstDataModel) -> None:
    """Stamp on `target` what our steps did to `source`: stock ramp fitting drops states, records and history."""
    for alias, numbers in records(source).items():
        if alias in records(target):
            continue
        copied = dict(numbers)
        record_step(target, alias, copied.pop("state", "COMPLETE"), copied)
    known = {entry["description"] for entry in _history(target)}
    wanted = True
    for entry in _history(source):
        if not entry["description"].startswith(CONTINUED):
            wanted = entry["description"] not in known
        if wanted:
            target.add_history_entry(entry["description"], software=entry.get("software"))


def add_history(model: JwstDataModel, line: str) -> None:
    """Add a line to the history, in entries that fit a HISTORY card each: FITS cuts longer ones within a word."""
    for part in textwrap.wrap(line, HISTORY_WIDTH, subsequent_indent=CONTINUED, break_on_hyphens=False):
        model.add_history_entry(part, software={"name": "detectorist", "version": __version__})


def history(model: JwstDataModel) -> str:
    """Return all entries as one text; entries that FITS has cut are whole again."""
    texts = [entry["description"] for entry in _history(model)]
    return "".join(text if len(text) >= HISTORY_WIDTH else f"{text}\n" for text in texts)


def _history(model: JwstDataModel) -> list[dict[str, Any]]:
    return list(model.instance.get("history", {}).get("entries", []))


def set_background_variance(model: JwstDataModel, variance: np.ndarray) -> None:
    """Hand on the variance of the subtracted background, shape (n_ints, n_rows), unit of SCI squared."""
    _extra(model)[BACKGROUND_VARIANCE_HDU] = {
        "data": np.asarray(variance, np.float32),
        "header": [["BUNIT", "SCI unit ** 2", "common to all pixels of a row"]],
    }


def background_variance(model: JwstDataModel) -> np.ndarray | None:
    """Return the variance set by `set_background_variance`, shape (n_ints, n_rows), or None where there is none."""
    extension = _extra(model).get(BACKGROUND_VARIANCE_HDU)
    return None if extension is None else np.asarray(extension["data"], float)


def _extra(model: JwstDataModel) -> dict[str, Any]:
    if not model.hasattr("extra_fits") or model.extra_fits is None:
        model.extra_fits = {}
    return model.extra_fits.instance


def _plain(value: Any) -> Any:
    """Return plain Python values: what ASDF, JSON and SQLite all store."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def place_for(data: np.ndarray) -> np.ndarray | None:
    """Return where a step puts corrected ramps: into those it was given, or None, a new array, if they are read-only.

    Ramps are the largest arrays there are, and a new one costs as much as the correction. What a step has opened by
    `DetectoristStep.open_input` is its own to change.
    """
    return data if data.flags.writeable and data.dtype == np.float32 else None


def writable(array: np.ndarray) -> np.ndarray:
    """Return `array`, or a copy where it is a read-only view of a file."""
    return array if array.flags.writeable else array.copy()


def errors(model: JwstDataModel) -> np.ndarray:
    """Return ERR, NaN ("unknown") where the model has none: recent datamodels do not make one."""
    err = getattr(model, "err", None)
    if err is None or np.shape(err) != model.data.shape:
        return np.full(model.data.shape, np.nan, np.float32)
    return err


def flags(model: JwstDataModel) -> np.ndarray:
    """Return DQ, zeros where the model has none."""
    dq = getattr(model, "dq", None)
    if dq is None or np.shape(dq) != model.data.shape:
        return np.zeros(model.data.shape, np.uint32)
    return dq


def group_flags(model: JwstDataModel) -> np.ndarray:
    """Return GROUPDQ, zeros where an uncal opened as a ramp has none yet."""
    dq = getattr(model, "groupdq", None)
    if dq is None or np.shape(dq) != model.data.shape:
        return np.zeros(model.data.shape, np.uint8)
    return dq


def on_subarray(reference: np.ndarray, model: JwstDataModel, start: tuple[int, int] = (1, 1)) -> np.ndarray:
    """Return the part of a reference array (..., ny, nx) that lies under `model`.

    start : tuple of int
        (xstart, ystart) of the reference on the detector, 1-based as in the headers.

    Raises
    ------
    InputError
        When the reference does not cover the subarray of the model.
    """
    ny, nx = model.data.shape[-2:]
    if reference.shape[-2:] == (ny, nx):
        return reference
    x0 = (model.meta.subarray.xstart or 1) - start[0]
    y0 = (model.meta.subarray.ystart or 1) - start[1]
    cut = reference[..., max(y0, 0) : y0 + ny, max(x0, 0) : x0 + nx]
    if x0 < 0 or y0 < 0 or cut.shape[-2:] != (ny, nx):
        raise InputError(
            f"{describe(model)}: reference of shape {reference.shape} from {start} does not cover the subarray "
            f"({ny} rows, {nx} columns from row {y0 + start[1]}, column {x0 + start[0]})"
        )
    return cut
