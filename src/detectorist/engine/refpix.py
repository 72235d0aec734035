"""Reference pixels: the running median that stock takes row by row, its clipping, and levels taken off in one pass."""

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


def clip_sigma(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, float, float]:
    """Leave out values beyond `low` and `high` standard deviations of the mean until there are none.

    values : ndarray of float32 or float64, in whose precision mean and deviation are taken, as `scipy.stats.sigmaclip`
    does. Returns what is left, flat, and the last limits.
    """
    kept = np.asarray(values).ravel()
    while True:
        deviation, mean = kept.std(), kept.mean()
        lowest, highest = mean - deviation * low, mean + deviation * high
        inside = kept[(kept >= lowest) & (kept <= highest)]
        if inside.size == kept.size:
            return inside, lowest, highest
        kept = inside


def subtract_levels(plane: np.ndarray, of_column: np.ndarray, of_row: np.ndarray | None, *, single: bool) -> None:
    """Subtract the level of every column, then that of every row, in place, rounded to float32 at the end.

    plane : ndarray of float32, shape (ny, nx), C order. of_column, of_row : ndarray of float64, shapes (nx,) and (ny,);
    None for no levels of rows. single : round to float32 between the two as well.
    """
    from detectorist.engine import _refpix_nb as kernels

    rows = np.zeros(len(plane)) if of_row is None else np.ascontiguousarray(of_row, np.float64)
    kernels.subtract_levels(plane, np.ascontiguousarray(of_column, np.float64), rows, bool(single))
