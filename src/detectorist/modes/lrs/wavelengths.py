"""A wavelength map from a file, for data whose WCS cannot be computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from detectorist.errors import InputError


def read_wavelength_map(path: str | Path, shape: tuple[int, int]) -> np.ndarray:
    """Return the WAVELENGTH extension of a FITS file, in micron, shape (n_rows, n_cols).

    Raises
    ------
    InputError
        When there is no such file or extension, or it has another shape.
    """
    try:
        with fits.open(path) as hdus:
            found = [hdu.name for hdu in hdus]
            if "WAVELENGTH" not in found:
                raise InputError(f"{path}: extensions are {', '.join(found)}; WAVELENGTH is needed")
            wavelengths = np.array(hdus["WAVELENGTH"].data, float)
    except OSError as error:
        raise InputError(f"{path}: not readable as FITS ({error})") from error
    if wavelengths.shape != tuple(shape):
        raise InputError(f"{path}: WAVELENGTH has shape {wavelengths.shape}; {tuple(shape)} is needed")
    if not np.isfinite(wavelengths).any():
        raise InputError(f"{path}: WAVELENGTH holds no finite value")
    return wavelengths
