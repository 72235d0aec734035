"""Images of FITS products as an xarray dataset: values, errors, flags with their meanings, units and times."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from stdatamodels.jwst.datamodels import dqflags

from detectorist.errors import InputError
from detectorist.fits_files import opened
from detectorist.modes.exposure import Exposure

if TYPE_CHECKING:
    from astropy.io.fits import HDUList

#: Extensions read, the ending of their variable, and what they hold.
EXTENSIONS = {"SCI": "", "ERR": "_error", "DQ": "_dq", "WHT": "_weight"}
MEANINGS = {"_error": "standard deviation", "_dq": "flags: each bit that flag_masks names", "_weight": "weight"}
_DIMENSIONS = {2: ("row", "column"), 3: ("integration", "row", "column")}
#: What the attributes say of the exposure: keyword -> attribute.
ATTRIBUTES = {
    "PROGRAM": "program",
    "OBSERVTN": "observation",
    "INSTRUME": "instrument",
    "DETECTOR": "detector",
    "FILTER": "filter",
    "PUPIL": "pupil",
    "CORONMSK": "mask",
    "DATE-BEG": "start",
    "CRDS_CTX": "crds_context",
    "CAL_VER": "jwst_version",
    "DT_VERS": "code",
}


def images_to_xarray(exposure: Exposure, products: Mapping[str, str]) -> xr.Dataset:
    """Return images of an exposure.

    Parameters
    ----------
    exposure : Exposure
    products : mapping
        {variable: ending of the product}; missing ones are left out.

    Returns
    -------
    Dataset
        For each, `variable`, `variable_error`, `variable_dq` on (row, column) or (integration, row, column).
        Integrations have the exposure's numbers, and mid-times in `time_mjd_utc` (days) where the file has times.

    Raises
    ------
    InputError
        When none of the products exists.
    """
    variables: dict[str, Any] = {}
    attributes: dict[str, str] = {"exposure": exposure.name, "target": exposure.target}
    for variable, ending in products.items():
        path = next((path for path in exposure.products if path.endswith(ending)), None)
        if path is not None and Path(path).is_file():
            with opened(path, "a product") as hdus:
                variables |= _read(variable, hdus)
                attributes |= {word: str(hdus[0].header[key]) for key, word in ATTRIBUTES.items() if _has(hdus, key)}
            attributes[f"{variable}_file"] = str(path)
    if not variables:
        raise InputError(f"{exposure.name}: none of its products ({', '.join(products.values())}) is there")
    return xr.Dataset(variables, attrs=attributes)


def _has(hdus: HDUList, keyword: str) -> bool:
    return bool(str(hdus[0].header.get(keyword) or ""))


def _read(variable: str, hdus: HDUList) -> dict[str, Any]:
    found: dict[str, Any] = {}
    unit = str(hdus["SCI"].header.get("BUNIT", ""))
    for extension, ending in EXTENSIONS.items():
        if extension not in hdus or hdus[extension].data is None:
            continue
        data = np.ascontiguousarray(hdus[extension].data)
        data = data.astype(data.dtype.newbyteorder("="))
        attributes = {"long_name": f"{variable} {MEANINGS[ending]}"} if ending else {}
        attributes |= {"units": unit} if extension in ("SCI", "ERR") else {}
        attributes |= flag_attributes(data) if extension == "DQ" else {}
        found[f"{variable}{ending}"] = (_DIMENSIONS[data.ndim], data, attributes)
        if data.ndim == 3:
            found |= _times(hdus, len(data))
    return found


def _times(hdus: HDUList, n_ints: int) -> dict[str, Any]:
    """Return numbers and mid-times of integrations."""
    start = int(hdus[0].header.get("INTSTART", 1))
    found: dict[str, Any] = {"integration": ("integration", np.arange(start, start + n_ints))}
    if "INT_TIMES" in hdus and hdus["INT_TIMES"].data is not None and len(hdus["INT_TIMES"].data) == n_ints:
        times = np.asarray(hdus["INT_TIMES"].data["int_mid_MJD_UTC"], float)
        found["time_mjd_utc"] = ("integration", times, {"units": "days", "long_name": "mid-time, MJD UTC"})
    return found


def flag_attributes(flags: np.ndarray) -> dict[str, Any]:
    """Return the flags that occur, as the CF conventions name them: `flag_masks` and `flag_meanings`."""
    used = int(np.bitwise_or.reduce(flags, axis=None)) if flags.size else 0
    names = {value: name for name, value in sorted(dqflags.pixel.items()) if value}
    bits = [1 << bit for bit in range(32) if used >> bit & 1 and 1 << bit in names]
    return {"flag_masks": np.array(bits, flags.dtype), "flag_meanings": " ".join(names[bit] for bit in bits)}
