"""Running median of columns of reference pixels, for `refpix`."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def running_median(series, usable, half, step):
    """Return the median of the usable samples within `half` rows, taking every `step`-th row.

    series : float64 (n_series, ny), C-contiguous; usable : bool, same shape. Result: float64, NaN where none is usable.
    The window is kept sorted, so a row costs one insertion and one removal.
    """
    n_series, ny = series.shape
    out = np.empty((n_series, ny))
    reach = half // step
    window = np.empty(2 * reach + 2)
    for k in range(n_series):
        for phase in range(step):
            n_rows = (ny - phase + step - 1) // step
            size = 0
            ahead = 0
            for row in range(n_rows):
                while ahead < n_rows and ahead <= row + reach:
                    here = phase + ahead * step
                    if usable[k, here]:
                        value = series[k, here]
                        place = size
                        while place > 0 and window[place - 1] > value:
                            window[place] = window[place - 1]
                            place -= 1
                        window[place] = value
                        size += 1
                    ahead += 1
                gone = row - reach - 1
                if gone >= 0 and usable[k, phase + gone * step]:
                    value = series[k, phase + gone * step]
                    place = np.searchsorted(window[:size], value)
                    for shift in range(place, size - 1):
                        window[shift] = window[shift + 1]
                    size -= 1
                if size == 0:
                    out[k, phase + row * step] = np.nan
                elif size % 2:
                    out[k, phase + row * step] = window[size // 2]
                else:
                    out[k, phase + row * step] = 0.5 * (window[size // 2 - 1] + window[size // 2])
    return out


@njit(cache=True, error_model="numpy", nogil=True)
def solve_beside(upper, values):
    """Replace values (n, n_sets) by the solutions of U' U x = values, U the upper factor of a banded matrix.

    upper : (n_bands, n), as `scipy.linalg.cholesky_banded` has it. LAPACK solves for one set after the other; side by
    side they take a tenth of the time.
    """
    n_bands, n = upper.shape
    for j in range(n):
        own = values[j]
        for lag in range(1, min(n_bands, j + 1)):
            factor, other = upper[n_bands - 1 - lag, j], values[j - lag]
            for k in range(own.size):
                own[k] -= factor * other[k]
        for k in range(own.size):
            own[k] /= upper[n_bands - 1, j]
    for j in range(n - 1, -1, -1):
        own = values[j]
        for lag in range(1, min(n_bands, n - j)):
            factor, other = upper[n_bands - 1 - lag, j + lag], values[j + lag]
            for k in range(own.size):
                own[k] -= factor * other[k]
        for k in range(own.size):
            own[k] /= upper[n_bands - 1, j]
