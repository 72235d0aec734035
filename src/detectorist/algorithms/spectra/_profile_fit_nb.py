"""Compiled parts of `profile`: one frame at a time, float64, row axis first.

Names used throughout: a pixel is data = level + flux * profile + noise, `level` and `flux` of its row. `weight` is
one over the variance expected of a pixel; `shape_var` the variance of the fitted profile in it. `fit` marks pixels
that may shape the fit, `kept` those that do so at the moment.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Standard deviation of a Gaussian over its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Smallest share of the expected noise that the measured noise may have: keeps noiseless data from being all outliers.
LEAST_SCALE = 0.03
#: A pixel further out than this does not shape the fit, even where the caller's threshold would let it pass.
FIT_THRESHOLD_SIGMA = 4.0
#: Rounds of fit and rejection; most windows settle in three.
MAX_ROUNDS = 40
#: Largest change of a row's flux by a round, in its standard deviations, at which a fit has settled. Where half of the
#: rows lack a third of their light, a round leaves a third of the error of the one before.
SETTLED_SIGMA = 0.03
#: Pixels by which a column's own noise scale is drawn toward that of its window.
SCALE_PRIOR_PIX = 100
#: The same for a row's core, and the most that its scale may be.
ROW_PRIOR_PIX = 80
MOST_ROW_SCALE = 3.0
#: Root of the summed variance of a row's profile (which sums to 1) up to which the profile counts as measured.
MEASURED_ERROR = 0.15
#: Columns that are computed together: the numbers of a vector register.
LANES = 8
#: Least share of a row's profile-squared weight in pixels kept, below which its flux counts as unknown.
LEAST_WEIGHT = 0.05


@njit(cache=True, nogil=True)
def median_of(values, n):
    """Return the median of `values[:n]`, which are reordered; NaN for none."""
    if n == 0:
        return np.nan
    k = n // 2
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    if n % 2:
        return values[k]
    below = values[0]
    for i in range(1, k):
        below = max(below, values[i])
    return 0.5 * (below + values[k])


@njit(cache=True, nogil=True)
def sigma_of(values, n):
    """Return 1.4826 times the median of `values[:n]` (absolute deviations, which are reordered)."""
    return MAD_TO_SIGMA * median_of(values, n)


@njit(cache=True, nogil=True)
def factorise(normal, n):
    """Replace the lower half of `normal` by the inverse of its Cholesky factor; False where it is singular."""
    largest = 0.0
    for k in range(n):
        largest = max(largest, normal[k, k])
    if not largest > 0.0:
        return False
    for k in range(n):
        # A trace of ridge: directions that the data do not measure stay finite, and show as a large variance.
        normal[k, k] += 1e-9 * largest
    for k in range(n):
        for m in range(k + 1):
            total = normal[k, m]
            for q in range(m):
                total -= normal[k, q] * normal[m, q]
            if k == m:
                if not total > 0.0:
                    return False
                normal[k, k] = math.sqrt(total)
            else:
                normal[k, m] = total / normal[m, m]
    for k in range(n):
        normal[k, k] = 1.0 / normal[k, k]
        for m in range(k):
            total = 0.0
            for q in range(m, k):
                total -= normal[k, q] * normal[q, m]
            normal[k, m] = total * normal[k, k]
    return True


@njit(cache=True, nogil=True)
def accumulate(signal, weight, kept, row_used, flux, basis, normal, right_side):
    """Add up the normal equations (lower halves) of all columns: signal = flux * basis * coefficients.

    normal : (n, n, width), right_side : (n, width), 0 before; the width is that of the columns or more. Column by
    column the sums are made in the order of the rows; columns lie side by side, for vector instructions.
    """
    n_cols, width = signal.shape[1], right_side.shape[1]
    share, value, factor = np.zeros(width), np.zeros(width), np.zeros(width)
    for i in range(flux.size):
        if not row_used[i]:
            continue
        own = flux[i]
        for j in range(n_cols):
            share[j] = own * weight[i, j] if kept[i, j] else 0.0
            value[j] = signal[i, j] if kept[i, j] else 0.0
        for k in range(len(right_side)):
            here, right = basis[i, k], right_side[k]
            for j in range(width):
                factor[j] = share[j] * here
                right[j] += factor[j] * value[j]
                factor[j] *= own
            for m in range(k + 1):
                there, sums = basis[i, m], normal[k, m]
                for j in range(width):
                    sums[j] += factor[j] * there


@njit(cache=True, nogil=True)
def solve_columns(normal, right_side, solved, solution):
    """Solve the normal equations of every column; put the inverses of their Cholesky factors in their place."""
    n = len(right_side)
    own = np.empty((n, n))
    for j in range(solved.size):
        for k in range(n):
            for m in range(k + 1):
                own[k, m] = normal[k, m, j]
        solved[j] = factorise(own, n)
        for k in range(n):
            for m in range(k + 1):
                normal[k, m, j] = own[k, m]
        for k in range(n if solved[j] else 0):
            total = 0.0
            for m in range(k + 1):
                total += own[k, m] * right_side[m, j]
            for m in range(k + 1):
                solution[m, j] += own[k, m] * total


@njit(cache=True, nogil=True)
def fit_columns(signal, weight, kept, row_used, flux, basis, profile, shape_var):
    """Fit signal = flux * polynomial column by column (weighted least squares); fill profile and its variance."""
    n_rows, n_cols = signal.shape
    n, width = basis.shape[1], n_cols + -n_cols % LANES
    normal, right_side, solution = np.zeros((n, n, width)), np.zeros((n, width)), np.zeros((n, width))
    solved = np.empty(n_cols, np.bool_)
    accumulate(signal, weight, kept, row_used, flux, basis, normal, right_side)
    solve_columns(normal, right_side, solved, solution)
    value, spread, total = np.empty(width), np.empty(width), np.empty(width)
    for i in range(n_rows):
        value[:], spread[:] = 0.0, 0.0
        for k in range(n):
            total[:] = 0.0
            for m in range(k + 1):
                there, inverse = basis[i, m], normal[k, m]
                for j in range(width):
                    total[j] += inverse[j] * there
            here, own = basis[i, k], solution[k]
            for j in range(width):
                value[j] += here * own[j]
                spread[j] += total[j] * total[j]
        for j in range(n_cols):
            profile[i, j] = value[j]
            shape_var[i, j] = spread[j] if solved[j] else np.inf


@njit(cache=True, nogil=True)
def normalise_rows(profile, shape_var, flux):
    """Make every row's profile sum to 1, handing its scale to the flux; rows without a positive sum become unknown."""
    n_rows, n_cols = profile.shape
    for i in range(n_rows):
        total = 0.0
        for j in range(n_cols):
            total += profile[i, j]
        if not (0.2 < total < 5.0):
            for j in range(n_cols):
                profile[i, j], shape_var[i, j] = 1.0 / n_cols, np.inf
            continue
        flux[i] *= total
        for j in range(n_cols):
            profile[i, j] /= total
            shape_var[i, j] /= total * total


@njit(cache=True, nogil=True)
def flux_by_median(signal, weight, fit, profile):
    """Return the flux of one row as the weighted median of signal / profile: half the weight may be outlying."""
    n_cols = signal.size
    ratio = np.empty(n_cols)
    shares = np.empty(n_cols)
    peak = 0.0
    for j in range(n_cols):
        peak = max(peak, profile[j])
    n, total = 0, 0.0
    for j in range(n_cols):
        if not fit[j] or profile[j] <= 0.1 * peak:
            continue
        value, share = signal[j] / profile[j], profile[j] * math.sqrt(weight[j])
        k = n
        while k > 0 and ratio[k - 1] > value:
            ratio[k], shares[k] = ratio[k - 1], shares[k - 1]
            k -= 1
        ratio[k], shares[k] = value, share
        n += 1
        total += share
    passed = 0.0
    for k in range(n):
        passed += shares[k]
        if passed >= 0.5 * total:
            return ratio[k]
    return np.nan


@njit(cache=True, nogil=True)
def flux_by_search(signal, weight, fit, profile, threshold, scale):
    """Return the flux of one row, of those its core pixels suggest, that leaves the least sum of clipped squares.

    Finds the flux most pixels agree upon also where those that do not hold most of the weight.
    threshold : deviation, in units of the columns' `scale`, from which no further one matters.
    """
    peak = 0.0
    for j in range(signal.size):
        peak = max(peak, profile[j])
    best, least = np.nan, np.inf
    for k in range(signal.size):
        if not fit[k] or profile[k] <= 0.1 * peak:
            continue
        flux, total = signal[k] / profile[k], 0.0
        for j in range(signal.size):
            if fit[j]:
                total += min((signal[j] - flux * profile[j]) ** 2 * weight[j], (threshold * scale[j]) ** 2)
        if total < least:
            best, least = flux, total
    return best


@njit(cache=True, nogil=True)
def rescue_rows(signal, weight, fit, profile, threshold, scale, kept):
    """Choose the pixels to be kept again in rows that lost some of their core; return how many changed."""
    changed = 0
    for i in range(signal.shape[0]):
        peak, highest_lost = 0.0, 0.0
        for j in range(signal.shape[1]):
            peak = max(peak, profile[i, j])
            if fit[i, j] and not kept[i, j]:
                highest_lost = max(highest_lost, profile[i, j])
        if not highest_lost > 0.1 * peak:
            continue
        flux = flux_by_search(signal[i], weight[i], fit[i], profile[i], threshold, scale)
        for j in range(signal.shape[1]):
            deviation = abs(signal[i, j] - flux * profile[i, j]) * math.sqrt(weight[i, j])
            inside = fit[i, j] and deviation <= threshold * scale[j]
            changed += inside != kept[i, j]
            kept[i, j] = inside
    return changed


@njit(cache=True, nogil=True)
def flux_by_weights(signal, weight, kept, profile):
    """Return (flux, its variance) of one row by least squares over the pixels kept; (NaN, inf) where too few are."""
    top = bottom = present = every = 0.0
    for j in range(signal.size):
        every += profile[j] ** 2
        if kept[j]:
            share = profile[j] * weight[j]
            top += share * signal[j]
            bottom += share * profile[j]
            present += profile[j] ** 2
    if not (bottom > 0.0 and present >= LEAST_WEIGHT * every):
        return np.nan, np.inf
    return top / bottom, 1.0 / bottom


@njit(cache=True, nogil=True)
def classify_row(signal, weight, kept, shaped, profile, shape_var, flux, flux_var, deviation):
    """Fill the deviation of every pixel of a row from its model without that pixel, in units of the expected noise.

    Pixels that shaped the fit (`shaped`: the row's profile, `kept`: its flux) have pulled the model toward themselves,
    by their leverage in either fit; for the others the errors of the model come on top.
    """
    for j in range(signal.size):
        spread = flux * flux * shape_var[j] * weight[j]
        row = profile[j] * profile[j] * flux_var * weight[j]
        factor = 1.0 + spread + row
        if kept[j]:
            factor = max((1.0 - spread) * (1.0 - row) if shaped else 1.0 - row, 0.02)
        deviation[j] = (signal[j] - flux * profile[j]) * math.sqrt(weight[j] / factor)


@njit(cache=True, nogil=True)
def measure_scales(deviation, fit, scale):
    """Fill the noise scale of each column, never below that of the whole window, which is returned.

    deviation, fit : column by column, (n_cols, n_rows).
    """
    n_cols, n_rows = deviation.shape
    packed = np.empty((n_cols, n_rows))
    counts = np.zeros(n_cols, np.int64)
    sample = np.empty(n_cols * n_rows)
    n = 0
    # A third of a large window knows the noise to 2 %.
    step = 3 if n_cols * n_rows >= 1500 else 1
    for j in range(n_cols):
        for i in range(n_rows):
            if fit[j, i] and math.isfinite(deviation[j, i]):
                packed[j, counts[j]] = abs(deviation[j, i])
                counts[j] += 1
        for i in range(j % step, counts[j], step):
            sample[n] = packed[j, i]
            n += 1
    overall = max(sigma_of(sample, n), LEAST_SCALE) if n else 1.0
    for j in range(n_cols):
        own = sigma_of(packed[j], counts[j]) if counts[j] else 0.0
        mixed = (SCALE_PRIOR_PIX * overall**2 + counts[j] * own**2) / (SCALE_PRIOR_PIX + counts[j])
        scale[j] = math.sqrt(max(overall**2, mixed))
    return overall


@njit(cache=True, nogil=True)
def temper_rows(deviation, fit, profile):
    """Reduce the deviations of rows whose core deviates as a whole: there the model is wrong, not a pixel.

    Real traces shift and widen from one row to the next where spectra are steep or folded. The median deviation of the
    core distinguishes this from one or two outliers; the bound keeps those that stand out even then.
    """
    n_rows, n_cols = deviation.shape
    core = np.empty(n_cols)
    for i in range(n_rows):
        peak, n = 0.0, 0
        for j in range(n_cols):
            peak = max(peak, profile[i, j])
        for j in range(n_cols):
            if fit[i, j] and profile[i, j] > 0.1 * peak and math.isfinite(deviation[i, j]):
                core[n] = abs(deviation[i, j])
                n += 1
        if n < 4:
            continue
        scale = min(math.sqrt((ROW_PRIOR_PIX + n * sigma_of(core, n) ** 2) / (ROW_PRIOR_PIX + n)), MOST_ROW_SCALE)
        for j in range(n_cols):
            if scale > 1.0 and profile[i, j] > 0.02 * peak:
                deviation[i, j] /= scale
