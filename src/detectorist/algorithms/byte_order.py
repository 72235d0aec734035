"""Arrays in the machine's byte order: FITS arrays are big-endian, and compiled loops accept native arrays only."""

from __future__ import annotations

import numpy as np


def native(array: np.ndarray) -> np.ndarray:
    """Return `array` in the machine's byte order: the array itself if it is native already, otherwise a copy."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)
