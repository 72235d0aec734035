"""Compiled parts of `_profile_frame`: windows of the trace. Names as in `_profile_fit_nb`."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from detectorist.algorithms.spectra._profile_fit_nb import (
    MAX_ROUNDS,
    SETTLED_SIGMA,
    classify_row,
    fit_columns,
    flux_by_median,
    flux_by_weights,
    measure_scales,
    median_of,
    normalise_rows,
    rescue_rows,
    sigma_of,
)

#: Rows on either side whose flux a row must resemble to shape the profile.
FLUX_REACH_PIX = 5


@njit(cache=True, nogil=True)
def fill_basis(basis):
    """Fill the Legendre polynomials on -1 to 1, one column each."""
    n_rows, n = basis.shape
    for i in range(n_rows):
        x = 2.0 * i / max(n_rows - 1, 1) - 1.0
        basis[i, 0] = 1.0
        if n > 1:
            basis[i, 1] = x
        for k in range(2, n):
            basis[i, k] = ((2 * k - 1) * x * basis[i, k - 1] - (k - 1) * basis[i, k - 2]) / k


@njit(cache=True, nogil=True)
def like_neighbours(flux, typical, flux_var):
    """Return whether a row may shape the profile: a bad one (streak, cluster of outliers) would dominate."""
    return 0.0 < flux <= 3.0 * typical + 10.0 * math.sqrt(flux_var)


@njit(cache=True, nogil=True)
def start_window(signal, weight, fit, basis, profile, shape_var, flux, typical):
    """Fill a first profile and flux from the frame after a median over 3 rows, which no lone outlier survives.

    typical : filled with the median flux of the rows around each, which no short run of outliers survives.
    """
    n_rows, n_cols = signal.shape
    smooth = np.zeros((n_rows, n_cols))
    known = np.zeros((n_rows, n_cols), np.bool_)
    used = np.empty(n_rows, np.bool_)
    several = np.empty(5)
    for i in range(n_rows):
        flux[i] = 0.0
        for j in range(n_cols):
            if 0 < i < n_rows - 1 and fit[i - 1, j] and fit[i, j] and fit[i + 1, j]:
                x, y, z = signal[i - 1, j], signal[i, j], signal[i + 1, j]
                smooth[i, j] = max(min(x, y), min(max(x, y), z))
                n = 3
            else:
                # With one of three missing the other two have no say over an outlier: ask five.
                n = 0
                for k in range(max(i - 2, 0), min(i + 3, n_rows)):
                    if fit[k, j]:
                        several[n] = signal[k, j]
                        n += 1
                smooth[i, j] = median_of(several, n) if n else 0.0
            known[i, j] = n > 0
            flux[i] += smooth[i, j]
    around = np.empty(2 * FLUX_REACH_PIX + 1)
    for i in range(n_rows):
        n, spread = 0, 0.0
        for k in range(max(i - FLUX_REACH_PIX, 0), min(i + FLUX_REACH_PIX + 1, n_rows)):
            around[n] = flux[k]
            n += 1
        for j in range(n_cols):
            spread += 1.0 / weight[i, j]
        typical[i] = max(median_of(around, n), 0.0)
        used[i] = like_neighbours(flux[i], typical[i], spread)
    fit_columns(smooth, weight, known, used, flux, basis, profile, shape_var)
    normalise_rows(profile, shape_var, flux)


@njit(cache=True, nogil=True)
def model_weight(deviation, fit, flux, profile, floor, weight):
    """Fill the inverse of every variance, floor + slope * light; the slope from the scatter of bright pixels."""
    n_rows, n_cols = deviation.shape
    peak = 0.0
    for i in range(n_rows):
        for j in range(n_cols):
            if fit[i, j] and math.isfinite(flux[i]):
                peak = max(peak, flux[i] * profile[i, j])
    light = np.empty(n_rows * n_cols)
    residual = np.empty(n_rows * n_cols)
    n = 0
    for i in range(n_rows):
        for j in range(n_cols):
            model = flux[i] * profile[i, j]
            if fit[i, j] and model > 0.3 * peak:
                light[n] = model
                residual[n] = abs(deviation[i, j]) / math.sqrt(weight[i, j])
                n += 1
    slope = 0.0
    if n >= 20:
        slope = max(sigma_of(residual, n) ** 2 - floor, 0.0) / median_of(light, n)
    for i in range(n_rows):
        for j in range(n_cols):
            model = flux[i] * profile[i, j]
            weight[i, j] = 1.0 / (floor + (slope * model if model > 0.0 else 0.0))


@njit(cache=True, nogil=True)
def measure_row(signal, weight, fit, kept, profile):
    """Return (flux, its variance) of a row: least squares over the pixels kept, or a median where these are too few."""
    flux, flux_var = flux_by_weights(signal, weight, kept, profile)
    if math.isnan(flux):
        _, flux_var = flux_by_weights(signal, weight, fit, profile)
        if math.isfinite(flux_var):
            flux = flux_by_median(signal, weight, fit, profile)
    return flux, flux_var


@njit(cache=True, nogil=True)
def update_kept(deviation, fit, scale, threshold, kept):
    """Keep the pixels within `threshold` of their column's scale; return how many changed."""
    n_rows, n_cols = deviation.shape
    changed = 0
    for i in range(n_rows):
        for j in range(n_cols):
            inside = fit[i, j] and abs(deviation[i, j]) <= threshold * scale[j]
            changed += inside != kept[i, j]
            kept[i, j] = inside
    return changed


@njit(cache=True, nogil=True)
def largest_step(before, flux, flux_var, row_used):
    """Return the largest change of a row's flux by a round, in its standard deviations."""
    largest = 0.0
    for i in range(flux.size):
        if row_used[i] and flux_var[i] > 0.0:
            largest = max(largest, abs(flux[i] - before[i]) / math.sqrt(flux_var[i]))
    return largest


@njit(cache=True, nogil=True)
def fit_window(signal, weight, fit, have_err, floor, threshold, n_coefs):
    """Fit one window's profile and fluxes, rejecting until nothing changes.

    signal : data less the rows' levels, (n_rows, n_cols of the profile). weight : changed where `have_err` is False,
    with `floor` the variance without light. threshold : sigma beyond which a pixel does not shape the fit.

    Returns the window's noise scale, profile and its variance, flux of the rows and its variance, pixels kept, and
    deviations in units of the measured noise.
    """
    n_rows, n_cols = signal.shape
    basis = np.empty((n_rows, n_coefs))
    fill_basis(basis)
    profile, shape_var = np.empty(signal.shape), np.empty(signal.shape)
    flux, flux_var, row_used = np.empty(n_rows), np.empty(n_rows), np.empty(n_rows, np.bool_)
    kept, deviation, scale = np.zeros(signal.shape, np.bool_), np.empty(signal.shape), np.empty(n_cols)
    typical = np.empty(n_rows)
    start_window(signal, weight, fit, basis, profile, shape_var, flux, typical)
    no_var = np.zeros(n_cols)
    # Row sums of the start are spoilt where a pixel of the trace is missing; a weighted median of the rest is not.
    for i in range(n_rows):
        flux[i] = flux_by_median(signal[i], weight[i], fit[i], profile[i])
        classify_row(signal[i], weight[i], fit[i], False, profile[i], no_var, flux[i], 0.0, deviation[i])
    overall = measure_scales(deviation.T, fit.T, scale)
    update_kept(deviation, fit, scale, threshold, kept)
    rescue_rows(signal, weight, fit, profile, threshold, scale, kept)
    before = np.empty(n_rows)
    for turn in range(MAX_ROUNDS):
        for i in range(n_rows):
            flux[i], flux_var[i] = measure_row(signal[i], weight[i], fit[i], kept[i], profile[i])
            before[i] = flux[i]
            row_used[i] = like_neighbours(flux[i], typical[i], flux_var[i])
        fit_columns(signal, weight, kept, row_used, flux, basis, profile, shape_var)
        normalise_rows(profile, shape_var, flux)
        if not have_err:
            model_weight(deviation, kept, flux, profile, floor, weight)
        for i in range(n_rows):
            flux[i], flux_var[i] = measure_row(signal[i], weight[i], fit[i], kept[i], profile[i])
            classify_row(signal[i], weight[i], kept[i], row_used[i], profile[i], shape_var[i], flux[i], flux_var[i],
                      deviation[i])  # fmt: skip
        overall = measure_scales(deviation.T, fit.T, scale)
        changed = update_kept(deviation, fit, scale, threshold, kept)
        if turn == 0:
            rescue_rows(signal, weight, fit, profile, threshold, scale, kept)
        elif changed == 0 and largest_step(before, flux, flux_var, row_used) < SETTLED_SIGMA:
            break
    for i in range(n_rows):
        for j in range(n_cols):
            deviation[i, j] /= scale[j]
            # A variance guessed from the data is put right by what was measured; errors given are believed.
            if not have_err:
                shape_var[i, j] *= overall * overall
        if not have_err:
            flux_var[i] *= overall * overall
    return overall, profile, shape_var, flux, flux_var, kept, deviation


@njit(cache=True, nogil=True)
def judge_carried(signal, weight, fit, threshold, profile, shape_var, flux, flux_var, kept, deviation):
    """Measure and judge rows whose profile was carried over; the last four arrays are filled.

    Deviations are in units of the measured noise.
    """
    n_rows, n_cols = signal.shape
    scale = np.ones(n_cols)
    for i in range(n_rows):
        flux[i] = flux_by_median(signal[i], weight[i], fit[i], profile[i])
        flux_var[i] = 0.0
        for j in range(n_cols):
            kept[i, j] = fit[i, j]
    for turn in range(3):
        for i in range(n_rows):
            if turn:
                flux[i], flux_var[i] = measure_row(signal[i], weight[i], fit[i], kept[i], profile[i])
            classify_row(
                signal[i], weight[i], kept[i], False, profile[i], shape_var[i], flux[i], flux_var[i], deviation[i]
            )
        measure_scales(deviation.T, fit.T, scale)
        update_kept(deviation, fit, scale, threshold, kept)
        if turn == 0:
            rescue_rows(signal, weight, fit, profile, threshold, scale, kept)
    for i in range(n_rows):
        for j in range(n_cols):
            deviation[i, j] /= scale[j]


@njit(cache=True, nogil=True)
def neighbour_contrast(flux, row):
    """Return half the difference of the nearest known fluxes on either side of a row, or the only one."""
    below = above = np.nan
    for i in range(row - 1, -1, -1):
        if not math.isnan(flux[i]):
            below = flux[i]
            break
    for i in range(row + 1, flux.size):
        if not math.isnan(flux[i]):
            above = flux[i]
            break
    if math.isnan(below) and math.isnan(above):
        return 0.0
    if math.isnan(below) or math.isnan(above):
        return above if math.isnan(below) else below
    return 0.5 * max(abs(above - below), 0.1 * abs(above + below))


@njit(cache=True, nogil=True)
def replace_pixels(data, dq, asked, reference, columns, limit, left, right, deviation, beside, tally, replaced):
    """Mark the pixels to be replaced and count them as outlying, flagged and not finite; return their number."""
    side = np.empty(data.shape[1], np.int64)
    for k in range(columns.size):
        side[columns[k]] = k
    n = 0
    for i in range(data.shape[0]):
        for j in range(data.shape[1]):
            if not math.isfinite(data[i, j]):
                tally[2] += 1
            elif dq[i, j] & asked:
                tally[1] += 1
            else:
                found = deviation[i, j - left] if left <= j < right else beside[side[j], i]
                if (dq[i, j] & reference) or not abs(found) > limit:
                    continue
                tally[0] += 1
            replaced[i, j] = True
            n += 1
    return n


@njit(cache=True, nogil=True)
def fill_values(replaced, left, right, edges, columns, level, level_var, flux, filled, flux_var, profile, shape_var,
                lines, values, errors):  # fmt: skip
    """Fill value and error of the pixels to be replaced, row by row, from the model."""
    side = np.empty(replaced.shape[1], np.int64)
    for k in range(columns.size):
        side[columns[k]] = k
    n = 0
    for w in range(edges.size - 1):
        brightest = 1e-300
        for i in range(edges[w], edges[w + 1]):
            brightest = max(brightest, filled[i])
        for i in range(edges[w], edges[w + 1]):
            # A flux between neighbours may be off by as much as a line is deep.
            spread = flux_var[i]
            if math.isnan(flux[i]):
                spread = neighbour_contrast(flux, i) ** 2
            for j in range(replaced.shape[1]):
                if not replaced[i, j]:
                    continue
                if left <= j < right:
                    p = profile[i, j - left]
                    values[n] = level[i] + filled[i] * p
                    variance = filled[i] ** 2 * shape_var[i, j - left] + p * p * spread
                else:
                    x, line = filled[i] / brightest, lines[w, side[j]]
                    values[n] = level[i] + line[0] + line[1] * x
                    variance = line[2] + line[3] * x + line[4] * x * x
                errors[n] = math.sqrt(level_var[i] + variance)
                n += 1
