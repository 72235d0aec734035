"""Slopes of a few ramps side by side from the likelihood of their differences: linear in the number of groups.

The differences of consecutive groups, divided by the time between them, have a tridiagonal covariance matrix; its
determinant and inverse follow from recursions (Brandt 2024, PASP 136, 045004, section 4). All numbers are
float64, in DN and seconds. The order of operations decides between equally good jumps, so it is the standard code's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.algorithms._sorting_nb import median_of, sort_tile
from detectorist.engine._compiled import OPTIONS, TILE

#: Ramps that go through a recursion together: one vector register each step.
WIDTH = 8


class Spacing(NamedTuple):
    """What the read times make of the noise: shares of photons and reads in the covariance of the differences."""

    step_s: np.ndarray  # (n_diffs,): between the mean times of consecutive groups
    alpha_photons: np.ndarray  # (n_diffs,): variances, per DN/s over gain
    alpha_reads: np.ndarray  # (n_diffs,): variances, per squared noise of one read
    beta_photons: np.ndarray  # (n_diffs - 1,): covariances of neighbours
    beta_reads: np.ndarray
    pairs: np.ndarray  # (n_diffs - 1,), uint8: a jump between these two differences falls within averaged reads


class Work(NamedTuple):
    """Ramps in the columns of a tile, and what the recursions make of them."""

    rate: np.ndarray  # (WIDTH,): expected rate over gain, which makes the photon noise
    read: np.ndarray  # squared noise of one read
    scale: np.ndarray  # the covariance matrix is divided by this, so that its determinant is 1
    diff: np.ndarray  # (n_diffs, WIDTH): DN/s
    used: np.ndarray  # 1 or 0
    kept: np.ndarray  # diff * used
    alpha: np.ndarray  # diagonal of the covariance matrix
    beta: np.ndarray  # beside the diagonal; 0 where one of the two differences is not used
    theta: np.ndarray  # (n_diffs + 1, WIDTH): determinants of the leading blocks
    phi: np.ndarray  # of the trailing blocks
    big_phi: np.ndarray  # (n_diffs, WIDTH): sums over later elements of a row of the inverse
    big_phi_data: np.ndarray  # the same, of the data
    inverse_ones: np.ndarray  # inverse times a vector of ones, on the used differences
    inverse_data: np.ndarray  # inverse times data
    sums: np.ndarray  # (3, WIDTH): of data inverse data, ones inverse data, ones inverse ones


@njit(**OPTIONS)
def new_work(n_diffs):
    """Return room for the fit of WIDTH pixels with n_diffs differences."""

    def plane(n):
        return np.zeros((n, WIDTH))

    return Work(
        np.zeros(WIDTH),
        np.ones(WIDTH),
        np.ones(WIDTH),
        plane(n_diffs),
        plane(n_diffs),
        plane(n_diffs),
        plane(n_diffs),
        plane(n_diffs),
        plane(n_diffs + 1),
        plane(n_diffs + 1),
        plane(n_diffs),
        plane(n_diffs),
        plane(n_diffs),
        plane(n_diffs),
        plane(3),
    )


@njit(**OPTIONS)
def advance_determinant(spacing, rate, read, scale, last, before, first, stop):
    """Advance the determinant of the covariance matrix of every ramp over differences [first, stop), in place.

    last, before : determinants of the leading blocks of `first` and `first - 1` differences, of the matrix divided by
    `scale`.
    """
    for i in range(first, stop):
        for p in range(rate.size):
            alpha = rate[p] * spacing.alpha_photons[i] + read[p] * spacing.alpha_reads[i]
            beta = rate[p] * spacing.beta_photons[i - 1] + read[p] * spacing.beta_reads[i - 1]
            value = alpha / scale[p] * last[p] - beta * beta / (scale[p] * scale[p]) * before[p]
            before[p] = last[p]
            last[p] = value


@njit(**OPTIONS)
def set_covariance(work, spacing):
    """Fill the covariance of the differences, scaled; a difference that is not used has no covariance with others."""
    n = work.diff.shape[0]
    for i in range(n):
        for c in range(WIDTH):
            alpha = work.rate[c] * spacing.alpha_photons[i] + work.read[c] * spacing.alpha_reads[i]
            work.alpha[i, c] = alpha / work.scale[c]
            work.kept[i, c] = work.diff[i, c] * work.used[i, c]
    for i in range(n - 1):
        for c in range(WIDTH):
            beta = work.rate[c] * spacing.beta_photons[i] + work.read[c] * spacing.beta_reads[i]
            work.beta[i, c] = beta / work.scale[c] * work.used[i + 1, c] * work.used[i, c]


@njit(**OPTIONS)
def solve(work):
    """Fill `inverse_ones`, `inverse_data` and `sums` (equations 38 to 48, 61 to 63, 71 and 75)."""
    _recur_forwards(work)
    _recur_backwards(work)
    _multiply_inverse(work)


@njit(**OPTIONS)
def _recur_forwards(work):
    n = work.diff.shape[0]
    theta, alpha, beta = work.theta, work.alpha, work.beta
    for c in range(WIDTH):
        theta[0, c] = 1.0
        theta[1, c] = alpha[0, c]
    for i in range(2, n + 1):
        for c in range(WIDTH):
            b = beta[i - 2, c]
            theta[i, c] = alpha[i - 1, c] * theta[i - 1, c] - b * b * theta[i - 2, c]


@njit(**OPTIONS)
def _recur_backwards(work):
    n = work.diff.shape[0]
    phi, alpha, beta, kept = work.phi, work.alpha, work.beta, work.kept
    ones, data = work.big_phi, work.big_phi_data
    for c in range(WIDTH):
        phi[n, c] = 1.0
        phi[n - 1, c] = alpha[n - 1, c]
        ones[n - 1, c] = 0.0
        data[n - 1, c] = 0.0
    for i in range(n - 2, -1, -1):
        sign = 1.0 if i % 2 == 0 else -1.0  # of the next difference
        for c in range(WIDTH):
            b = beta[i, c]
            phi[i, c] = alpha[i, c] * phi[i + 1, c] - b * b * phi[i + 2, c]
            ones[i, c] = ones[i + 1, c] * b + sign * b * phi[i + 2, c]
            data[i, c] = (data[i + 1, c] + sign * kept[i + 1, c] * phi[i + 2, c]) * b


@njit(**OPTIONS)
def _multiply_inverse(work):
    n = work.diff.shape[0]
    theta, phi, kept = work.theta, work.phi, work.kept
    ones, data, squares = np.zeros(WIDTH), np.zeros(WIDTH), np.zeros(WIDTH)
    work.sums[:] = 0.0
    for i in range(n):
        sign = -1.0 if i % 2 == 0 else 1.0
        for c in range(WIDTH):
            b = work.beta[i - 1, c] if i > 0 else 1.0
            factor = sign / theta[n, c]
            work.sums[0, c] += kept[i, c] * sign / theta[n, c] * b * phi[i + 1, c] * data[c]
            squares[c] += kept[i, c] * kept[i, c] * theta[i, c] * phi[i + 1, c] / theta[n, c]
            ones[c] = (ones[c] * b if i > 0 else 0.0) + sign * theta[i, c]
            data[c] = (b * data[c] if i > 0 else 0.0) + sign * kept[i, c] * theta[i, c]
            of_ones = factor * (phi[i + 1, c] * ones[c] + theta[i, c] * work.big_phi[i, c]) * work.used[i, c]
            of_data = factor * (phi[i + 1, c] * data[c] + theta[i, c] * work.big_phi_data[i, c])
            work.inverse_ones[i, c] = of_ones
            work.inverse_data[i, c] = of_data
            work.sums[1, c] += kept[i, c] * of_ones
            work.sums[2, c] += of_ones
    for c in range(WIDTH):
        work.sums[0, c] = 2.0 * work.sums[0, c] + squares[c]


@njit(**OPTIONS)
def load_ramps(work, diff, used, reference, columns, width):
    """Put `width` ramps of diff and used (n_diffs, n_pix) into the tile: those with the numbers in `columns`.

    reference : tuple of rate (expected, over gain), squared read noise and scale, each (n_pix,).
    """
    rate, read, scale = reference
    for c in range(width):
        work.rate[c] = rate[columns[c]]
        work.read[c] = read[columns[c]]
        work.scale[c] = scale[columns[c]]
    for k in range(diff.shape[0]):
        for c in range(width):
            work.diff[k, c] = diff[k, columns[c]]
            work.used[k, c] = used[k, columns[c]]


@njit(**OPTIONS)
def take_differences(data, groupdq, step_s, start, diff, used):
    """Fill diff (DN/s) and used from the pixels after `start` of one integration; data are (n_groups, n_pix).

    A difference of which either group has any flag is not used.
    """
    for k in range(diff.shape[0]):
        for p in range(diff.shape[1]):
            q = start + p
            diff[k, p] = np.float64(data[k + 1, q] - data[k, q]) / step_s[k]
            used[k, p] = groupdq[k, q] == 0 and groupdq[k + 1, q] == 0


@njit(**OPTIONS)
def take_medians(diff, network, medians):
    """Fill the median of the differences of every ramp, used or not; NaN where one is NaN."""
    n, n_pix = diff.shape
    tile, column = np.empty((n, TILE)), np.empty(n)
    for start in range(0, n_pix, TILE):
        width = min(TILE, n_pix - start)
        bad = np.zeros(TILE, np.uint8)
        for k in range(n):
            for c in range(width):
                tile[k, c] = diff[k, start + c]
                bad[c] |= np.uint8(tile[k, c] != tile[k, c])
        if network.shape[0]:
            sort_tile(tile, network)
        for c in range(width):
            if network.shape[0]:
                median = (tile[(n - 1) // 2, c] + tile[n // 2, c]) / 2.0 if n % 2 == 0 else tile[n // 2, c]
            else:
                column[:] = tile[:, c]
                median = np.nan if bad[c] else median_of(column, n)
            medians[start + c] = np.nan if bad[c] else median


@njit(**OPTIONS)
def fit_differences(diff, used, spacing, reference, out):
    """Fit all ramps of a block. out : float32 (5, n_pix): slope, variances of photons and reads, error, chi squared."""
    n, n_pix = diff.shape
    work = new_work(n)
    for p in range(0, n_pix, WIDTH):
        width = min(WIDTH, n_pix - p)
        load_ramps(work, diff, used, reference, np.arange(p, p + WIDTH), width)
        set_covariance(work, spacing)
        solve(work)
        _write_fit(work, spacing, p, width, out)


@njit(**OPTIONS)
def _write_fit(work, spacing, p, width, out):
    n = work.diff.shape[0]
    photons, reads, before = np.zeros(WIDTH), np.zeros(WIDTH), np.zeros(WIDTH)
    photons_beside, reads_beside = np.zeros(WIDTH), np.zeros(WIDTH)
    for k in range(n):
        for c in range(WIDTH):
            weight = work.inverse_ones[k, c] / work.sums[2, c]
            photons[c] += weight * weight * (work.rate[c] * spacing.alpha_photons[k])
            reads[c] += weight * weight * (work.read[c] * spacing.alpha_reads[k])
            if k > 0:
                photons_beside[c] += weight * before[c] * (work.rate[c] * spacing.beta_photons[k - 1])
                reads_beside[c] += weight * before[c] * (work.read[c] * spacing.beta_reads[k - 1])
            before[c] = weight
    for c in range(width):
        square, cross, ones = work.sums[0, c], work.sums[1, c], work.sums[2, c]
        out[0, p + c] = cross * (1.0 / ones)
        out[1, p + c] = photons[c] + 2.0 * photons_beside[c]
        out[2, p + c] = reads[c] + 2.0 * reads_beside[c]
        out[3, p + c] = np.sqrt(work.scale[c] / ones)
        out[4, p + c] = (square - cross * cross / ones) / work.scale[c]
