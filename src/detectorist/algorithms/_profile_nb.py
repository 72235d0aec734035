"""Compiled parts of `profile`: windows and whole frames, from the pieces of `_profile_fit_nb` (which explains names)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from detectorist.algorithms._profile_fit_nb import (
    FIT_THRESHOLD_SIGMA,
    LEAST_WEIGHT,
    MAX_ROUNDS,
    MEASURED_ERROR,
    fit_columns,
    flux_by_median,
    flux_by_weights,
    judge_row,
    measure_levels,
    measure_scales,
    median_of,
    normalise_rows,
    rescue_rows,
    sigma_of,
)

#: An error smaller than this share of its row's median is taken for a fault of the error, not for a perfect pixel.
LEAST_ERROR = 0.25
#: Rows on either side from which an unknown error is taken.
ERROR_REACH_PIX = 7


@njit(cache=True, nogil=True)
def fill_weight(err, fit, weight):
    """Fill the inverse of the variance expected of every pixel from the errors; return whether there are errors to speak of.

    An error that is not finite or not positive is unknown: the row's median times what the column has over it in the
    rows nearby stands in. Where less than half of the errors are known, nothing is filled.
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
            if math.isfinite(err[i, j]) and err[i, j] > 0.0:
                weight[i, j] = 1.0 / max(err[i, j], LEAST_ERROR * typical[i]) ** 2
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
def start_window(signal, weight, fit, basis, profile, shape_var, flux):
    """Fill a first profile and flux from the frame after a median over 3 rows, which no lone outlier survives."""
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
        used[i] = flux[i] > 0.0
    fit_columns(smooth, weight, known, used, flux, basis, profile, shape_var)
    normalise_rows(profile, shape_var, flux)


@njit(cache=True, nogil=True)
def model_weight(deviation, fit, flux, profile, floor, weight):
    """Fill the inverse of the variance of every pixel, floor + slope * light, the slope from the scatter of the bright pixels."""
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
    """Keep the pixels within `threshold` of their column's scale; return how many changed side."""
    n_rows, n_cols = deviation.shape
    changed = 0
    for i in range(n_rows):
        for j in range(n_cols):
            inside = fit[i, j] and abs(deviation[i, j]) <= threshold * scale[j]
            changed += inside != kept[i, j]
            kept[i, j] = inside
    return changed


@njit(cache=True, nogil=True)
def fit_window(signal, weight, fit, have_err, floor, threshold, basis, profile, shape_var, flux, flux_var, kept,
               deviation, scale):  # fmt: skip
    """Fit one window's profile and fluxes, rejecting until nothing changes; return the window's noise scale.

    signal : data less the rows' levels, (n_rows, n_cols of the profile). weight : changed where `have_err` is False.
    All arrays after `basis` are filled; `deviation` in units of the expected noise, before division by `scale`.
    """
    n_rows = signal.shape[0]
    row_used = np.empty(n_rows, np.bool_)
    start_window(signal, weight, fit, basis, profile, shape_var, flux)
    first_flux = flux.copy()
    # Row sums of the start are spoilt where a pixel of the trace is missing; a weighted median of the rest is not.
    for i in range(n_rows):
        flux[i] = flux_by_median(signal[i], weight[i], fit[i], profile[i])
        judge_row(signal[i], weight[i], fit[i], False, profile[i], shape_var[i] * 0.0, flux[i], 0.0, deviation[i])
    overall = measure_scales(deviation, fit, scale)
    update_kept(deviation, fit, scale, threshold, kept)
    rescue_rows(signal, weight, fit, profile, threshold * scale, kept)
    for turn in range(MAX_ROUNDS):
        for i in range(n_rows):
            flux[i], flux_var[i] = measure_row(signal[i], weight[i], fit[i], kept[i], profile[i])
            # A row of junk (streak, saturation) would outweigh all others: its flux must resemble its neighbours'.
            row_used[i] = 0.0 < flux[i] <= 3.0 * first_flux[i] + 10.0 * math.sqrt(flux_var[i])
        fit_columns(signal, weight, kept, row_used, flux, basis, profile, shape_var)
        normalise_rows(profile, shape_var, flux)
        if not have_err:
            model_weight(deviation, kept, flux, profile, floor, weight)
        for i in range(n_rows):
            flux[i], flux_var[i] = measure_row(signal[i], weight[i], fit[i], kept[i], profile[i])
            judge_row(signal[i], weight[i], kept[i], row_used[i], profile[i], shape_var[i], flux[i], flux_var[i],
                      deviation[i])  # fmt: skip
        overall = measure_scales(deviation, fit, scale)
        changed = update_kept(deviation, fit, scale, threshold, kept)
        if turn == 0:
            rescue_rows(signal, weight, fit, profile, threshold * scale, kept)
        elif changed == 0:
            break
    return overall


@njit(cache=True, nogil=True)
def fit_side(signal, weight, fit, light, offset, model, model_var, deviation):
    """Fit one column beside the profile as constant + slope * light of the row (wings), rejecting; fill the last three.

    light : flux of the rows over that of the brightest, which has 1.
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
    for i in range(n_rows):
        x = light[i]
        model[i] = constant + slope * x
        if determinant > 0.0:
            model_var[i] = (c - 2.0 * b * x + a * x * x) / determinant
        else:
            model_var[i] = 1.0 / a if a > 0.0 else 1.0 / weight[i]
        deviation[i] = (signal[i] - model[i]) * math.sqrt(weight[i])


@njit(cache=True, nogil=True)
def judge_sides(data, fit, left, right, level, level_var, flux, offset, weight, model, model_var, deviation):
    """Fill model and deviation (in units of the measured noise) of one window's columns beside the profile."""
    n_rows, n_cols = data.shape
    n_left, n_sides = left, left + n_cols - right
    light = flux / max(flux.max(), 1e-300)
    raw, usable = np.empty((n_rows, n_sides)), np.empty((n_rows, n_sides), np.bool_)
    value, value_var = np.empty(n_rows), np.empty(n_rows)
    for k in range(n_sides):
        j = k if k < n_left else k + right - left
        usable[:, k] = fit[:, j]
        fit_side(data[:, j] - level, weight[:, j], fit[:, j], light, offset[j], value, value_var, raw[:, k])
        model[:, j], model_var[:, j] = value + level, value_var + level_var
    scale = np.empty(n_sides)
    measure_scales(raw, usable, scale)
    for k in range(n_sides):
        j = k if k < n_left else k + right - left
        for i in range(n_rows):
            if usable[i, k]:
                deviation[i, j] = raw[i, k] / scale[k]
            else:
                deviation[i, j] = raw[i, k] / math.sqrt(scale[k] ** 2 + model_var[i, j] * weight[i, j])


@njit(cache=True, nogil=True)
def carry_profiles(signal, fit, profile, shape_var, measured):
    """Give rows without a measured profile that of the nearest measured row, or one for the whole frame."""
    n_rows, n_cols = profile.shape
    nearest = np.full(n_rows, -1, np.int64)
    last = -1
    for i in range(n_rows):
        last = i if measured[i] else last
        nearest[i] = last
    last = -1
    for i in range(n_rows - 1, -1, -1):
        last = i if measured[i] else last
        if last >= 0 and (nearest[i] < 0 or last - i < i - nearest[i]):
            nearest[i] = last
    mean = np.zeros(n_cols)
    if last < 0:
        # No window shows a trace: the columns' medians, so far as they are positive and stand out.
        column = np.empty(n_rows)
        for j in range(n_cols):
            n = 0
            for i in range(n_rows):
                if fit[i, j]:
                    column[n] = signal[i, j]
                    n += 1
            centre = median_of(column, n) if n else 0.0
            for k in range(n):
                column[k] = abs(column[k] - centre)
            mean[j] = centre if n and centre > 5.0 * sigma_of(column, n) / math.sqrt(n) else 0.0
        total = mean.sum()
        mean = mean / total if total > 0.0 else np.full(n_cols, 1.0 / n_cols)
    for i in range(n_rows):
        if measured[i]:
            continue
        for j in range(n_cols):
            profile[i, j] = profile[nearest[i], j] if nearest[i] >= 0 else mean[j]
            shape_var[i, j] = (MEASURED_ERROR * profile[i, j]) ** 2


@njit(cache=True, nogil=True)
def judge_unmeasured(signal, weight, fit, measured, threshold, profile, shape_var, flux, flux_var, kept, deviation):
    """Measure and judge the rows whose profile was carried over; deviations come out in units of the measured noise."""
    rows = np.flatnonzero(~measured)
    if rows.size == 0:
        return
    chosen = fit[rows]
    raw = np.empty((rows.size, fit.shape[1]))
    kept_here = chosen.copy()
    scale = np.ones(fit.shape[1])
    for turn in range(3):
        for k, i in enumerate(rows):
            if turn == 0:
                flux[i] = flux_by_median(signal[i], weight[i], fit[i], profile[i])
                flux_var[i] = 0.0
            else:
                flux[i], flux_var[i] = measure_row(signal[i], weight[i], fit[i], kept_here[k], profile[i])
            judge_row(signal[i], weight[i], kept_here[k], False, profile[i], shape_var[i], flux[i], flux_var[i], raw[k])
        measure_scales(raw, chosen, scale)
        update_kept(raw, chosen, scale, threshold, kept_here)
        if turn == 0:
            rescue_rows(signal[rows], weight[rows], chosen, profile[rows], threshold * scale, kept_here)
    for k, i in enumerate(rows):
        for j in range(fit.shape[1]):
            deviation[i, j] = raw[k, j] / scale[j]
            kept[i, j] = kept_here[k, j]


@njit(cache=True, nogil=True)
def fit_windows(signal, weight, fit, have_err, noise, edges, margin, n_coefs, threshold, profile, shape_var, flux,
                flux_var, kept, deviation, scales):  # fmt: skip
    """Fit all windows of a frame inside the profile columns, each with `margin` rows of its neighbours."""
    n_rows, n_cols = signal.shape
    for w in range(edges.size - 1):
        low, high = max(edges[w] - margin, 0), min(edges[w + 1] + margin, n_rows)
        n = high - low
        basis = np.empty((n, n_coefs))
        fill_basis(basis)
        p, v, d = np.empty((n, n_cols)), np.empty((n, n_cols)), np.empty((n, n_cols))
        f, fv = np.empty(n), np.empty(n)
        k, scale = np.zeros((n, n_cols), np.bool_), np.empty(n_cols)
        own = weight[low:high].copy()
        scales[w] = fit_window(signal[low:high], own, fit[low:high], have_err, noise[w] ** 2, threshold,
                               basis, p, v, f, fv, k, d, scale)  # fmt: skip
        for i in range(edges[w], edges[w + 1]):
            profile[i], shape_var[i], kept[i], weight[i] = p[i - low], v[i - low], k[i - low], own[i - low]
            flux[i], flux_var[i] = f[i - low], fv[i - low]
            deviation[i] = d[i - low] / scale


@njit(cache=True, nogil=True)
def fit_frame(data, err, fit, left, right, edges, margin, n_coefs, threshold, model, model_var, deviation, profile,
              level, flux, measured, scales):  # fmt: skip
    """Model one frame; return whether its errors were used.

    data, err : (n_rows, n_cols) float64. fit : bool, True where a pixel may shape the model.
    left, right : columns of the profile, end exclusive. edges : first rows of the windows, and n_rows.
    threshold : sigma beyond which a pixel does not shape the fit.
    Filled: model, model_var (n_rows, n_cols), deviation (in units of the measured noise; NaN where there is no model),
    profile (n_rows, right - left), level, flux (n_rows,; NaN: no pixel), measured (n_rows,), scales (n_windows,).
    """
    n_rows, n_cols = data.shape
    level_var, noise = np.zeros(n_rows), np.empty(edges.size - 1)
    offset = np.empty((edges.size - 1, n_cols))
    for w in range(edges.size - 1):
        noise[w] = measure_levels(data, fit, left, right, edges[w], edges[w + 1], level, level_var, offset[w])
    fill_gaps(level, True)
    weight = np.empty((n_rows, n_cols))
    have_err = fill_weight(err, fit, weight)
    if not have_err:
        fill_noise(data, fit, noise)
        for w in range(edges.size - 1):
            weight[edges[w] : edges[w + 1]] = 1.0 / noise[w] ** 2
    signal = np.ascontiguousarray(data[:, left:right]) - level.reshape(-1, 1)
    inside = np.ascontiguousarray(fit[:, left:right])
    inner = np.ascontiguousarray(weight[:, left:right])
    shape_var, around = np.empty(signal.shape), np.empty(signal.shape)
    flux_var, kept = np.empty(n_rows), np.zeros(signal.shape, np.bool_)
    fit_windows(signal, inner, inside, have_err, noise, edges, margin, n_coefs, threshold, profile, shape_var, flux,
                flux_var, kept, around, scales)  # fmt: skip
    for i in range(n_rows):
        measured[i] = shape_var[i].sum() < MEASURED_ERROR**2
    carry_profiles(signal, inside, profile, shape_var, measured)
    judge_unmeasured(signal, inner, inside, measured, threshold, profile, shape_var, flux, flux_var, kept, around)
    for i in range(n_rows):
        present = np.sum(profile[i] ** 2 * kept[i])
        if not present >= LEAST_WEIGHT * np.sum(profile[i] ** 2):
            flux[i] = np.nan
    filled = flux.copy()
    fill_gaps(filled, False)
    for i in range(n_rows):
        if math.isnan(flux[i]):
            # Interpolated between neighbours, which may differ by as much as a line is deep.
            flux_var[i] = neighbour_contrast(flux, i) ** 2
        for j in range(left, right):
            p = profile[i, j - left]
            model[i, j] = level[i] + filled[i] * p
            model_var[i, j] = level_var[i] + filled[i] ** 2 * shape_var[i, j - left] + p * p * flux_var[i]
            deviation[i, j] = around[i, j - left]
    for w in range(edges.size - 1):
        a, b = edges[w], edges[w + 1]
        judge_sides(data[a:b], fit[a:b], left, right, level[a:b], level_var[a:b], filled[a:b], offset[w],
                    weight[a:b], model[a:b], model_var[a:b], deviation[a:b])  # fmt: skip
    return have_err


@njit(cache=True, nogil=True)
def neighbour_contrast(flux, row):
    """Return half the difference of the nearest known fluxes on either side of a row, or the one there is."""
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
