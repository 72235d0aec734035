"""A light curve from a table of another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table

from detectorist.errors import InputError, NoSuchFile

#: Endings of tables that are read, and how astropy calls them.
FORMATS = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv"}
#: Names under which a column may stand, the first that is there; case does not matter.
COLUMNS = {
    "time": ("time_bjd_tdb", "bjd_tdb", "bmjd_tdb", "bjd", "bmjd", "time"),
    "flux": ("flux", "relative_flux", "normalized_flux"),
    "error": ("flux_err", "flux_error", "error", "uncertainty"),
}


@dataclass(frozen=True)
class LightCurveTable:
    """Columns of a light curve: days, flux, its standard deviation, and the exposure where the table has it."""

    time: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    exposure: np.ndarray | None


def is_light_curve(path: str | Path) -> bool:
    """Return whether a path is a table that `read_light_curve` reads, by its ending."""
    return Path(path).suffix.lower() in FORMATS


def read_light_curve(path: str | Path) -> LightCurveTable:
    """Read a table with times, fluxes and errors.

    Raises
    ------
    InputError
        When there is no such file, it is no table, or a column is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise NoSuchFile(f"{path}: no such file")
    try:
        table = Table.read(path, format=FORMATS[path.suffix.lower()])
    except Exception as error:  # astropy raises whatever a broken table leads to
        raise InputError(f"{path}: not readable as a table ({str(error).splitlines()[0]})") from error
    lower = {name.lower(): name for name in table.colnames}
    found = {}
    for wanted, names in COLUMNS.items():
        there = [lower[name] for name in names if name in lower]
        if not there:
            raise InputError(
                f"{path}: columns are {', '.join(table.colnames)}; {wanted} ({' or '.join(names)}) is needed"
            )
        column = table[there[0]]
        found[wanted] = np.asarray(getattr(column, "mjd", column), float)  # a column of times, or of numbers
    exposure = np.asarray(table[lower["exposure"]], int) if "exposure" in lower else None
    return LightCurveTable(found["time"], found["flux"], found["error"], exposure)
