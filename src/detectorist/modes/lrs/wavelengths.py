"""A wavelength map from a file, for data whose WCS cannot be computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
