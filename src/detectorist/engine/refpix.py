"""Side reference pixels: the running median that stock takes row by row."""

from __future__ import annotations

import numpy as np


def running_median(strip: np.ndarray, dq: np.ndarray, *, length: int) -> np.ndarray:
    """Return the median of `length` rows around every row of a strip of reference pixels.

    strip : ndarray of float32 or float64, shape (ny, n_columns), ny > length. dq : ndarray of unsigned int, same shape;
    DO_NOT_USE pixels are left out. length : for even lengths the window holds one row more before than after, as in
    stock. Ends are mirrored without repeating the outermost row. NaN in a window, or no usable
    pixel, gives NaN. Returns float64, shape (ny,). The input is not modified.
    """
    from detectorist.engine import _refpix_nb as kernels

    out = np.empty(len(strip))
    values = np.ascontiguousarray(strip, np.float64)
    flags = np.ascontiguousarray(dq, np.uint32)
    kernels.running_median(values, flags, int(length), strip.dtype == np.float32, out)
    return out
