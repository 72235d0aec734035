"""Rows of the tables of coronagraphic exposures: read from headers, types determined, orientations counted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

from detectorist.detectors import CORONAGRAPHIC_TYPES
from detectorist.errors import InputError, NoSuchFile, ParameterError
from detectorist.fits_files import Keywords, read_keywords
from detectorist.parameters import nearest
from detectorist.product_names import product_of, without_ending
from detectorist.product_names import stem_of as exposure_stem
from detectorist.reduction.inputs.exposure_types import is_target_acquisition

log = logging.getLogger(__name__)

#: What an exposure can be: the science target, the reference star, and empty fields for either.
TYPES = ("SCI", "REF", "SCI_BG", "REF_BG")
#: Orientations that differ by less than this belong to one roll, degrees.
ROLL_TOLERANCE_DEG = 0.5
#: Products that an exposure can be known by.
KNOWN_BY = ("uncal", "rateints", "rate", "calints", "cal")
#: What DATAMODL says of each.
STAGES = {"uncal": "STAGE0", "rateints": "STAGE1", "rate": "STAGE1", "calints": "STAGE2", "cal": "STAGE2"}


class UnreadableError(InputError):
    """A file is damaged."""


class _Column(NamedTuple):
    """A column of the tables: the keyword it is read from (None: made here), and its dtype."""

    keyword: str | None
    dtype: str


WORD_DTYPE, PATH_DTYPE = "U64", "U1024"
#: Columns of the tables in order. Text is wide enough for any edit: a narrow column would cut a new word in silence.
COLUMNS = {
    "TYPE": _Column(None, "U16"),
    "ROLL": _Column(None, "i4"),
    "DATAMODL": _Column(None, "U16"),
    "TARGPROP": _Column("TARGPROP", WORD_DTYPE),
    "INSTRUME": _Column("INSTRUME", WORD_DTYPE),
    "DETECTOR": _Column("DETECTOR", WORD_DTYPE),
    "FILTER": _Column("FILTER", WORD_DTYPE),
    "PUPIL": _Column("PUPIL", WORD_DTYPE),
    "CORONMSK": _Column("CORONMSK", WORD_DTYPE),
    "SUBARRAY": _Column("SUBARRAY", WORD_DTYPE),
    "APERNAME": _Column("APERNAME", WORD_DTYPE),
    "EXP_TYPE": _Column("EXP_TYPE", WORD_DTYPE),
    "READPATT": _Column("READPATT", WORD_DTYPE),
    "NINTS": _Column("NINTS", "i4"),
    "NGROUPS": _Column("NGROUPS", "i4"),
    "NFRAMES": _Column("NFRAMES", "i4"),
    "EFFINTTM": _Column("EFFINTTM", "f8"),
    "ROLL_REF": _Column("ROLL_REF", "f8"),
    "TARG_RA": _Column("TARG_RA", "f8"),
    "TARG_DEC": _Column("TARG_DEC", "f8"),
    "NUMDTHPT": _Column("NUMDTHPT", "i4"),
    "PATT_NUM": _Column("PATT_NUM", "i4"),
    "XOFFSET": _Column("XOFFSET", "f8"),
    "YOFFSET": _Column("YOFFSET", "f8"),
    "IS_PSF": _Column("IS_PSF", "U8"),
    "BKGDTARG": _Column("BKGDTARG", "U8"),
    "FITSFILE": _Column(None, PATH_DTYPE),
    "UNCALFILE": _Column(None, PATH_DTYPE),
}
#: Keywords whose values make one concatenation: exposures that can be reduced and compared together.
_CONCATENATED = ("INSTRUME", "DETECTOR", "FILTER", "PUPIL", "CORONMSK", "SUBARRAY")
_NOTHING = {"U": "NONE", "i": 0, "f": float("nan")}


def stem_of(path: str | Path) -> str:
    """Return the name of an exposure: that of its file without "_uncal.fits" and the like.

    Raises
    ------
    InputError
        When the file does not have the name of a JWST product.
    """
    if product_of(path) not in KNOWN_BY or without_ending(path) == Path(path).name:
        named = ", ".join(f"*_{product}.fits" for product in KNOWN_BY)
        raise InputError(f"{path}: a file named one of {named} is needed")
    return exposure_stem(path)


def concatenation_of(row: Any) -> str:
    """Return the name of the table that a row belongs to."""
    return "_".join(["JWST", *(str(row[name]) for name in _CONCATENATED)])


def read_row(path: Path) -> dict[str, Any] | None:
    """Return the row of a file, TYPE still empty; None for one that is left out.

    Raises
    ------
    UnreadableError
        For a damaged file.
    InputError
        For a file that does not exist or is not a coronagraphic exposure.
    """
    try:
        keywords = read_keywords(path)
        row = {name: _value(keywords, column) for name, column in COLUMNS.items() if column.keyword}
    except NoSuchFile:
        raise
    except InputError as error:
        raise UnreadableError(error.message, **error.numbers) from error
    kind = keywords.text("EXP_TYPE")
    if is_target_acquisition(path):
        log.warning("%s: EXP_TYPE is %s, target acquisition; left out", path, kind)
        return None
    if kind not in CORONAGRAPHIC_TYPES:
        raise InputError(
            f"{path}: EXP_TYPE is {kind}; a coronagraphic exposure ({', '.join(CORONAGRAPHIC_TYPES)}) is needed"
        )
    raw = product_of(path) == "uncal"
    uncal = path if raw else _find_uncal(path)
    row |= {"TYPE": "", "ROLL": 0, "DATAMODL": STAGES[product_of(path)]}
    row |= {"FITSFILE": str(path), "UNCALFILE": "" if uncal is None else str(uncal)}
    return row


def _find_uncal(path: Path) -> Path | None:
    """Return the raw file of a rate: beside it, or beside its folder."""
    name = f"{stem_of(path)}_uncal.fits"
    candidates = (folder / (name + ending) for folder in (path.parent, path.parent.parent) for ending in ("", ".gz"))
    return next((found for found in candidates if found.is_file()), None)


def _value(keywords: Keywords, column: _Column) -> Any:
    """Return the value of a column in the type it has, and a value of that type where the file says nothing."""
    read = {"U": keywords.text, "i": keywords.whole, "f": keywords.number}[column.dtype[0]]
    value = read(str(column.keyword))
    return _NOTHING[column.dtype[0]] if value is None else value


def make_table(rows: list[dict[str, Any]]) -> Table:
    """Return rows as a table with the columns in order; missing values are filled in."""
    table = Table()
    for name, column in COLUMNS.items():
        values = [_NOTHING[column.dtype[0]] if np.ma.is_masked(row[name]) else row[name] for row in rows]
        if name in ("UNCALFILE", "TYPE"):
            values = ["" if np.ma.is_masked(row[name]) else row[name] for row in rows]
        table[name] = np.array(values, column.dtype)
    return table


def check_row(name: str, row: Any) -> None:
    """Raise ParameterError for an invalid TYPE, or a row in the table of another concatenation."""
    if row["TYPE"] not in TYPES:
        hint = nearest(str(row["TYPE"]).upper(), TYPES)
        raise ParameterError(f'{row["FITSFILE"]}: TYPE is "{row["TYPE"]}"{hint}; one of {", ".join(TYPES)} is needed')
    if concatenation_of(row) != name:
        raise ParameterError(f"{row['FITSFILE']}: belongs to {concatenation_of(row)}, but is in the table {name}")


def tell_types(table: Table) -> None:
    """Fill the empty TYPEs: empty fields by BKGDTARG, reference stars by IS_PSF."""
    new = table["TYPE"] == ""
    empty = table["BKGDTARG"] == "True"
    reference = table["IS_PSF"] == "True"
    unknown = new & (table["IS_PSF"] == "NONE") & ~empty
    if np.any(unknown):
        # A reference star is dithered behind the mask, a target is not.
        reference |= unknown & (table["NUMDTHPT"] > 1)
        log.warning("IS_PSF is missing in %d files: their TYPE is guessed from their dithers", unknown.sum())
    for index in np.nonzero(new)[0]:
        of_reference = reference[index]
        if empty[index] and not of_reference:
            of_reference = _is_like_reference(table, index, empty, reference)
        table["TYPE"][index] = ("REF" if of_reference else "SCI") + ("_BG" if empty[index] else "")


def _is_like_reference(table: Table, index: Any, empty: np.ndarray, reference: np.ndarray) -> bool:
    """Return whether an empty field was exposed as a reference star was, and no target."""
    alike = ~empty
    for name in ("READPATT", "NINTS", "NGROUPS"):
        alike = alike & (table[name] == table[name][index])
    return bool(np.any(alike & reference) and not np.any(alike & ~reference))


def count_rolls(table: Table) -> None:
    """Number the orientations of the science target in the order of their angle; 0 for all else."""
    science = table["TYPE"] == "SCI"
    angles = np.asarray(table["ROLL_REF"], float)
    table["ROLL"] = 0
    last, number = -np.inf, 0
    for index in np.argsort(angles, kind="stable"):
        if not science[index] or not np.isfinite(angles[index]):
            continue
        if angles[index] - last > ROLL_TOLERANCE_DEG:
            number, last = number + 1, angles[index]
        table["ROLL"][index] = number
