"""Compiled loops of `detectorist.algorithms.ramps.ktc`.

A fit of one ramp is five numbers: slope, its information, and mean, mean time and number of samples of the
first segment.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SLOPE, INFO, MEAN, TIME, COUNT = range(5)


@njit(cache=True, nogil=True)
def fit_offsets(ramp, groupdq, times, limit, excluded, jump, offset, slope, measured):
    """Fill `offset` (n_ints, ny, nx), `slope` (ny, nx) and `measured` (n_ints, ny, nx) in place."""
    n_ints, _, ny, nx = ramp.shape
    fits = np.empty((5, n_ints, nx))
    values = np.empty(n_ints)
    weights = np.empty(n_ints)
    for y in range(ny):
        _fit_row(ramp, groupdq, times, y, limit[y], excluded, jump, fits)
        for x in range(nx):
            common = _common_slope(fits[:, :, x], values, weights)
            if np.isnan(common):
                for i in range(n_ints):
                    _fit_flagged(ramp, groupdq, times, i, y, x, np.inf, excluded, jump, fits[:, i, x])
                common = _common_slope(fits[:, :, x], values, weights)
            slope[y, x] = common
            level = _common_level(fits[:, :, x], values, weights) if np.isnan(common) else 0.0
            for i in range(n_ints):
                if fits[COUNT, i, x] == 0 or np.isnan(level):
                    continue
                signal = level if np.isnan(common) else common * fits[TIME, i, x]
                offset[i, y, x] = fits[MEAN, i, x] - signal
                measured[i, y, x] = True


@njit(cache=True, nogil=True)
def _fit_row(ramp, groupdq, times, y, limit, excluded, jump, fits):
    """Fit all ramps of a row; those with nothing flagged, nearly all, share their sums of times."""
    n_ints, n_groups, _, nx = ramp.shape
    mean_time = times.mean()
    info = ((times - mean_time) ** 2).sum()
    for i in range(n_ints):
        for x in range(nx):
            flags = groupdq[i, 0, y, x]
            total = moment = 0.0
            highest = ramp[i, 0, y, x]
            for g in range(n_groups):
                flags |= groupdq[i, g, y, x]
                value = ramp[i, g, y, x]
                highest = max(highest, value)
                total += value
                moment += value * (times[g] - mean_time)
            clean = flags & (excluded | jump) == 0 and highest <= limit[x]
            if clean and np.isfinite(total) and info > 0:
                fits[SLOPE, i, x] = moment / info
                fits[INFO, i, x] = info
                fits[MEAN, i, x] = total / n_groups
                fits[TIME, i, x] = mean_time
                fits[COUNT, i, x] = n_groups
            else:
                _fit_flagged(ramp, groupdq, times, i, y, x, limit[x], excluded, jump, fits[:, i, x])


@njit(cache=True, nogil=True)
def _fit_flagged(ramp, groupdq, times, i, y, x, limit, excluded, jump, fit):
    """Fit one ramp group by group: every segment tells the slope, the first one the offset."""
    sums = np.zeros(5)  # n, t, d, tt, td of the running segment
    slope_sums = np.zeros(2)  # information, covariance
    fit[:] = 0.0
    for g in range(ramp.shape[1]):
        flags = groupdq[i, g, y, x]
        if flags & jump:
            _close_segment(sums, slope_sums, fit)
        value = ramp[i, g, y, x]
        if flags & excluded or not value <= limit or not np.isfinite(value):
            continue
        t = times[g]
        sums[0] += 1.0
        sums[1] += t
        sums[2] += value
        sums[3] += t * t
        sums[4] += t * value
    _close_segment(sums, slope_sums, fit)
    # Single samples leave rounding errors behind instead of zero information.
    if slope_sums[0] > 1e-9 * times[-1] ** 2:
        fit[SLOPE] = slope_sums[1] / slope_sums[0]
        fit[INFO] = slope_sums[0]


@njit(cache=True, nogil=True)
def _close_segment(sums, slope_sums, fit):
    n = sums[0]
    if n == 0:
        return
    if fit[COUNT] == 0:
        fit[COUNT] = n
        fit[MEAN] = sums[2] / n
        fit[TIME] = sums[1] / n
    slope_sums[0] += sums[3] - sums[1] * sums[1] / n
    slope_sums[1] += sums[4] - sums[1] * sums[2] / n
    sums[:] = 0.0


@njit(cache=True, nogil=True)
def _common_slope(fits, values, weights):
    for i in range(values.size):
        values[i] = fits[SLOPE, i]
        weights[i] = fits[INFO, i]
    return _weighted_median(values, weights)


@njit(cache=True, nogil=True)
def _common_level(fits, values, weights):
    """Level of a pixel that only its first groups tell: their median is signal, the rest is kTC."""
    n_measured = 0
    for i in range(values.size):
        values[i] = fits[MEAN, i]
        weights[i] = 1.0 if fits[COUNT, i] > 0 else 0.0
        n_measured += fits[COUNT, i] > 0
    return _weighted_median(values, weights) if n_measured > 1 else np.nan


@njit(cache=True, nogil=True)
def _weighted_median(values, weights):
    """Weighted median, the mean of both middle values at a tie, NaN without weight. Sorts in place."""
    _sort_pairs(values, weights)
    total = weights.sum()
    if total <= 0:
        return np.nan
    below = 0.0
    lower = np.nan
    for i in range(values.size):
        if weights[i] <= 0:
            continue
        if not np.isnan(lower):
            return 0.5 * (lower + values[i])
        below += weights[i]
        if below > 0.5 * total * (1 + 1e-9):
            return values[i]
        if below >= 0.5 * total * (1 - 1e-9):
            lower = values[i]
    return lower


@njit(cache=True, nogil=True)
def _sort_pairs(values, weights):
    for i in range(1, values.size):
        v, w = values[i], weights[i]
        j = i - 1
        while j >= 0 and values[j] > v:
            values[j + 1] = values[j]
            weights[j + 1] = weights[j]
            j -= 1
        values[j + 1] = v
        weights[j + 1] = w
