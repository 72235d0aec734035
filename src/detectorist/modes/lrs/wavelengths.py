"""A wavelength map from a file, for data whose WCS cannot be computed, and when one of an exposure serves again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.errors import InputError
from detectorist.fits_files import read_array


def read_wavelength_map(path: str | Path, shape: tuple[int, int]) -> np.ndarray:
    """Return the WAVELENGTH extension of a FITS file, in micron, shape (n_rows, n_cols).

    Raises
    ------
    InputError
        When there is no such file or extension, or it has another shape.
    """
    wavelengths = np.array(read_array(path, "WAVELENGTH", "a wavelength map"), float)
    if wavelengths.shape != tuple(shape):
        raise InputError(f"{path}: WAVELENGTH has shape {wavelengths.shape}; {tuple(shape)} is needed")
    if not np.isfinite(wavelengths).any():
        raise InputError(f"{path}: WAVELENGTH has no finite value")
    return wavelengths


def place_of(rates: CubeModel) -> dict[str, Any] | None:
    """Return what the wavelengths of the pixels depend on: pointing, and place on the detector.

    None where rates come with a WCS, which decides alone.
    """
    if models.state(rates, "assign_wcs") == "COMPLETE":
        return None
    meta = rates.instance["meta"]
    return copy.deepcopy({"shape": rates.data.shape[1:], **{name: meta.get(name) for name in ("wcsinfo", "subarray")}})
