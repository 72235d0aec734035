"""Arrays in the machine's own byte order: those of FITS files are not, and compiled loops take no others."""

from __future__ import annotations

import numpy as np


def native(array: np.ndarray) -> np.ndarray:
    """Return `array` in the machine's byte order: itself where it is so already, else a copy of the same values."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)
