"""Compiled parts of `profile`: the columns beside the trace, and the noise expected from the errors.

Columns beside the profile are held column by column, (n_sides, n_rows). Names as in `_profile_fit_nb`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from detectorist.algorithms.spectra._profile_fit_nb import FIT_THRESHOLD_SIGMA, measure_scales, median_of, sigma_of

#: Least number of columns beside the profile from which a row's level is taken; and a quarter of those there are.
LEAST_SIDES = 6
#: An error below this share of its row's median is taken for a fault of the error, not for a perfect pixel.
LEAST_ERROR = 0.25
#: Rows on either side from which an unknown error is taken.
ERROR_REACH_PIX = 7


@njit(cache=True, nogil=True)
def take_columns(frame, columns, out):
    """Fill `out` (n_columns, n_rows) with some columns of a frame."""
    for i in range(frame.shape[0]):
        for k in range(columns.size):
            out[k, i] = frame[i, columns[k]]


@njit(cache=True, nogil=True)
def median_levels(side, fit, start, stop, level):
    """Fill the level of rows `start`-`stop` with the median beside the profile; NaN where too few are known."""
    n_sides, n_rows = side.shape[0], stop - start
    gathered = np.empty((n_rows, n_sides))
    count = np.zeros(n_rows, np.int64)
    for k in range(n_sides):
        for i in range(start, stop):
            if fit[k, i]:
                gathered[i - start, count[i - start]] = side[k, i]
                count[i - start] += 1
    for i in range(n_rows):
        enough = count[i] >= max(LEAST_SIDES, n_sides // 4)
        level[start + i] = median_of(gathered[i], count[i]) if enough else np.nan


@njit(cache=True, nogil=True)
def measure_levels(side, fit, start, stop, level, level_var, offset):
    """Measure rows `start`-`stop` beside the profile: level of each row, offset of each column; return the noise."""
    n_sides = side.shape[0]
    median_levels(side, fit, start, stop, level)
    scratch = np.empty((stop - start) * max(n_sides, 1))
    # Columns differ (hot ones, a gradient): left in, they would shift the mean of a row where one of them is missing.
    for k in range(n_sides):
        n = 0
        for i in range(start, stop):
            if fit[k, i] and not math.isnan(level[i]):
                scratch[n] = side[k, i] - level[i]
                n += 1
        offset[k] = median_of(scratch, n) if n else 0.0
    # Every third row of a long window knows the noise to 2 %.
    step = 3 if stop - start >= 90 else 1
    n = 0
    for k in range(n_sides):
        for i in range(start, stop, step):
            if fit[k, i] and not math.isnan(level[i]):
                scratch[n] = abs(side[k, i] - level[i] - offset[k])
                n += 1
    noise = sigma_of(scratch, n)
    total, count = np.zeros(stop - start), np.zeros(stop - start)
    for k in range(n_sides):
        for i in range(start, stop):
            residual = side[k, i] - level[i] - offset[k]
            if fit[k, i] and abs(residual) <= FIT_THRESHOLD_SIGMA * noise:
                total[i - start] += residual
                count[i - start] += 1.0
    for i in range(start, stop):
        level_var[i] = 0.0
        if count[i - start] > 0.0:
            level[i] += total[i - start] / count[i - start]
            level_var[i] = noise**2 / count[i - start]
    return noise


@njit(cache=True, nogil=True)
def fill_weight(err, fit, weight):
    """Fill the inverse of the variance expected of every pixel from the errors; return whether these are of use.

    An error that is not finite, not positive or far below its row's is unknown: it is replaced by the row's median
    times the column's usual excess over it in nearby rows. Where less than half of the errors are known, nothing is
    filled.
    """
    n_rows, n_cols = err.shape
    known, wanted = 0, 0
    scratch = np.empty(max(n_cols, 2 * ERROR_REACH_PIX + 1))
    typical = np.empty(n_rows)
    for i in range(n_rows):
        n = 0
        for j in range(n_cols):
            if fit[i, j]:
                wanted += 1
                if math.isfinite(err[i, j]) and err[i, j] > 0.0:
                    scratch[n] = err[i, j]
                    n += 1
        known += n
        typical[i] = median_of(scratch, n)
    if 2 * known < wanted or known == 0:
        return False
    fill_gaps(typical, True)
    for i in range(n_rows):
        for j in range(n_cols):
            if math.isfinite(err[i, j]) and err[i, j] > LEAST_ERROR * typical[i]:
                weight[i, j] = 1.0 / (err[i, j] * err[i, j])
                continue
            n = 0
            for k in range(max(i - ERROR_REACH_PIX, 0), min(i + ERROR_REACH_PIX + 1, n_rows)):
                if fit[k, j] and math.isfinite(err[k, j]) and err[k, j] > 0.0:
                    scratch[n] = err[k, j] / typical[k]
                    n += 1
            weight[i, j] = 1.0 / (typical[i] * (median_of(scratch, n) if n else 1.0)) ** 2
    return True


@njit(cache=True, nogil=True)
def fill_gaps(values, hold):
    """Replace NaN between known values by linear interpolation; beyond them by the nearest one, or 0 unless `hold`."""
    last = -1
    n = values.size
    for i in range(n):
        if math.isnan(values[i]):
            continue
        for k in range(last + 1, i):
            if last < 0:
                values[k] = values[i] if hold else 0.0
            else:
                values[k] = values[last] + (values[i] - values[last]) * (k - last) / (i - last)
        last = i
    for k in range(last + 1, n):
        values[k] = values[last] if hold and last >= 0 else 0.0


@njit(cache=True, nogil=True)
def fill_noise(data, fit, noise):
    """Give windows whose noise could not be measured beside the profile that of the others, or of row differences."""
    known = np.flatnonzero(noise > 0.0)
    if known.size:
        value = noise[known].min()
    else:
        scratch = np.empty(data.size)
        n = 0
        for i in range(1, data.shape[0]):
            for j in range(data.shape[1]):
                if fit[i, j] and fit[i - 1, j]:
                    scratch[n] = abs(data[i, j] - data[i - 1, j]) / math.sqrt(2.0)
                    n += 1
        value = sigma_of(scratch, n) if n else 1.0
    for w in range(noise.size):
        if not noise[w] > 0.0:
            noise[w] = value if value > 0.0 else 1.0


@njit(cache=True, nogil=True)
def fit_side(signal, weight, fit, light, offset, line):
    """Fit one column beside the profile as constant + slope * light of the row (wings), rejecting.

    light : flux of the rows over that of the brightest, which has 1.
    line : filled with constant, slope, and variance of the fit as a + b * light + c * light**2.
    """
    n_rows = signal.size
    scratch = np.empty(n_rows)
    constant, slope = offset, 0.0
    a = b = c = determinant = 0.0
    step = 3 if n_rows >= 90 else 1
    for _ in range(2):
        n = 0
        for i in range(0, n_rows, step):
            if fit[i]:
                scratch[n] = abs(signal[i] - constant - slope * light[i])
                n += 1
        limit = FIT_THRESHOLD_SIGMA * sigma_of(scratch, n) if n else 0.0
        a = b = c = p = q = 0.0
        for i in range(n_rows):
            if fit[i] and abs(signal[i] - constant - slope * light[i]) <= limit:
                x, w = light[i], weight[i]
                a += w
                b += w * x
                c += w * x * x
                p += w * signal[i]
                q += w * signal[i] * x
        if not a > 0.0:
            break
        determinant = a * c - b * b
        # Where all rows are alike bright, wings and constant cannot be told apart and need not be.
        if n >= 8 and determinant > 1e-3 * a * a:
            constant, slope = (c * p - b * q) / determinant, (a * q - b * p) / determinant
        else:
            constant, slope, determinant = p / a, 0.0, 0.0
    line[0], line[1] = constant, slope
    if determinant > 0.0:
        line[2], line[3], line[4] = c / determinant, -2.0 * b / determinant, a / determinant
    else:
        line[2], line[3], line[4] = 1.0 / (a if a > 0.0 else weight[n_rows // 2]), 0.0, 0.0


@njit(cache=True, nogil=True)
def judge_sides(side, fit, start, stop, level, level_var, flux, offset, weight, lines, deviation):
    """Fit the columns beside the profile in rows `start`-`stop`; fill deviations in units of the measured noise."""
    n_sides, n_rows = side.shape[0], stop - start
    raw, scale = np.empty((n_sides, n_rows)), np.empty(n_sides)
    signal, light = np.empty(n_rows), np.empty(n_rows)
    brightest = 1e-300
    for i in range(start, stop):
        brightest = max(brightest, flux[i])
    for i in range(n_rows):
        light[i] = flux[start + i] / brightest
    for k in range(n_sides):
        for i in range(n_rows):
            signal[i] = side[k, start + i] - level[start + i]
        fit_side(signal, weight[k, start:stop], fit[k, start:stop], light, offset[k], lines[k])
        for i in range(n_rows):
            raw[k, i] = (signal[i] - lines[k, 0] - lines[k, 1] * light[i]) * math.sqrt(weight[k, start + i])
    measure_scales(raw, fit[:, start:stop], scale)
    for k in range(n_sides):
        for i in range(start, stop):
            if fit[k, i]:
                deviation[k, i] = raw[k, i - start] / scale[k]
                continue
            x = light[i - start]
            added = (level_var[i] + lines[k, 2] + lines[k, 3] * x + lines[k, 4] * x * x) * weight[k, i]
            deviation[k, i] = raw[k, i - start] / math.sqrt(scale[k] ** 2 + added)


@njit(cache=True, nogil=True)
def measure_sides(side, fit, edges, level, level_var, offset):
    """Fill level and variance of every row, and the offset of every column and window; return the windows' noise."""
    noise = np.empty(edges.size - 1)
    for w in range(edges.size - 1):
        noise[w] = measure_levels(side, fit, edges[w], edges[w + 1], level, level_var, offset[w])
    fill_gaps(level, True)
    return noise


@njit(cache=True, nogil=True)
def judge_all_sides(side, fit, edges, level, level_var, flux, offset, weight, lines, deviation):
    """Call `judge_sides` for every window."""
    for w in range(edges.size - 1):
        judge_sides(side, fit, edges[w], edges[w + 1], level, level_var, flux, offset[w], weight, lines[w], deviation)
