"""Jumps in ramps by what the likelihood gains when a difference is left out (Brandt 2024, PASP 136, 045005).

Chi squared, slope and jump of a ramp without one difference, or without two neighbours, follow from the sums of the
whole ramp: no further fit is needed. What gains most is left out, if it gains more than a threshold, and the ramp is
searched again, until nothing does or three differences are left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS
from detectorist.engine._likelihood_nb import WIDTH, load_ramps, new_work, set_covariance, solve

#: A ramp with so few differences left is not searched again: nothing could tell the good from the bad.
_TOO_FEW = 3


class Omissions(NamedTuple):
    """What becomes of the ramps of a tile when a difference (n_diffs, WIDTH) or a pair (n_diffs - 1, WIDTH) is left
    out: gain of chi squared, and slope."""

    gain_one: np.ndarray
    slope_one: np.ndarray
    gain_two: np.ndarray
    slope_two: np.ndarray
    chisq: np.ndarray  # (WIDTH,), of all used differences
    slope: np.ndarray
    n_used: np.ndarray
    best_one: np.ndarray
    singular: np.ndarray  # some pair has no gain that is a number


@njit(**OPTIONS)
def new_omissions(n_diffs):
    """Return room for what chi squared becomes without one or two of n_diffs differences."""
    return Omissions(
        np.zeros((n_diffs, WIDTH)),
        np.zeros((n_diffs, WIDTH)),
        np.zeros((n_diffs - 1, WIDTH)),
        np.zeros((n_diffs - 1, WIDTH)),
        np.zeros(WIDTH),
        np.zeros(WIDTH),
        np.zeros(WIDTH),
        np.zeros(WIDTH),
        np.zeros(WIDTH),
    )


@njit(**OPTIONS)
def find_jumps(diff, used, spacing, reference, thresholds, slope):
    """Search all ramps of a block: differences with a jump are taken from `used`, in place.

    reference : see `load_ramps`.
    thresholds : gains of chi squared by which one difference, or a pair, is left out.
    slope : float64 (n_pix,), filled: DN/s of the differences that are left.
    """
    n, n_pix = diff.shape
    work, found = new_work(n), new_omissions(n)
    columns = np.empty(WIDTH, np.int64)
    for p in range(0, n_pix, WIDTH):
        width = min(WIDTH, n_pix - p)
        columns[:] = np.arange(p, p + WIDTH)
        load_ramps(work, diff, used, reference, columns, width)
        _search(work, spacing, found)
        for c in range(width):
            slope[p + c] = found.slope[c]
        width = _drop(work, found, spacing, thresholds, width, columns, used, slope)
        while width:
            load_ramps(work, diff, used, reference, columns, width)
            _search(work, spacing, found)
            width = _drop(work, found, spacing, thresholds, width, columns, used, slope)


@njit(**OPTIONS)
def _search(work, spacing, found):
    """Fit the ramps of a tile, and fill what leaving out each difference would gain."""
    set_covariance(work, spacing)
    solve(work)
    n = work.diff.shape[0]
    sums = work.sums
    for c in range(WIDTH):
        found.slope[c] = sums[1, c] * (1.0 / sums[2, c])
        found.chisq[c] = (sums[0, c] - sums[1, c] * sums[1, c] / sums[2, c]) / work.scale[c]
        found.n_used[c] = 0.0
        found.best_one[c] = -np.inf
    for k in range(n):
        for c in range(WIDTH):
            found.n_used[c] += work.used[k, c]
    _omit_one(work, found)
    _find_singular_pairs(work, found)


@njit(**OPTIONS)
def _omit_one(work, found):
    """Fill slope and gain without each difference; for one that is not used those of the whole ramp."""
    n = work.diff.shape[0]
    theta, phi, sums = work.theta, work.phi, work.sums
    for k in range(n):
        for c in range(WIDTH):
            square, cross, ones = sums[0, c], sums[1, c], sums[2, c]
            inverse = theta[k, c] * phi[k + 1, c] / theta[n, c] * work.used[k, c]
            of_ones, of_data = work.inverse_ones[k, c], work.inverse_data[k, c]
            a = (inverse * cross - of_data * of_ones) / (ones * inverse - of_ones * of_ones)
            b = (of_data - a * of_ones) / inverse
            chisq = (
                square + a * a * ones - 2.0 * a * cross + b * b * inverse - 2.0 * b * of_data + 2.0 * a * b * of_ones
            )
            masked = work.used[k, c] == 0.0
            gain = found.chisq[c] - (found.chisq[c] if masked else chisq / work.scale[c])
            found.gain_one[k, c] = gain
            found.slope_one[k, c] = found.slope[c] if masked else a
            found.best_one[c] = gain if gain > found.best_one[c] or np.isnan(gain) else found.best_one[c]


@njit(**OPTIONS)
def _find_singular_pairs(work, found):
    """Fill whether the equations of some pair divide by zero: of two differences, or of four without photon noise."""
    n = work.diff.shape[0]
    theta, phi, of_ones = work.theta, work.phi, work.inverse_ones
    found.singular[:] = 0.0
    for k in range(n - 1):
        for c in range(WIDTH):
            ones = work.sums[2, c]
            inverse = theta[k, c] * phi[k + 1, c] / theta[n, c]
            between = -work.beta[k, c] * theta[k, c] * phi[k + 2, c] / theta[n, c]
            first = of_ones[k, c] * of_ones[k, c] - ones * inverse
            both = of_ones[k, c] * of_ones[k + 1, c] - ones * between
            zero = (first == 0.0 or both == 0.0) and work.used[k, c] * work.used[k + 1, c] != 0.0
            found.singular[c] = 1.0 if zero else found.singular[c]


@njit(**OPTIONS)
def _omit_two(work, found, c):
    """Fill slope and gain of one ramp without each pair; without one of the two where the other is not used."""
    n = work.diff.shape[0]
    theta, phi, scale = work.theta, work.phi, work.scale[c]
    square, cross, ones = work.sums[0, c], work.sums[1, c], work.sums[2, c]
    for k in range(n - 1):
        if work.used[k, c] == 0.0 or work.used[k + 1, c] == 0.0:
            other = k + 1 if work.used[k, c] == 0.0 else k
            found.gain_two[k, c] = found.gain_one[other, c]
            found.slope_two[k, c] = found.slope_one[other, c]
            continue
        c0, c1 = work.inverse_ones[k, c], work.inverse_ones[k + 1, c]
        d0, d1 = work.inverse_data[k, c], work.inverse_data[k + 1, c]
        i0 = theta[k, c] * phi[k + 1, c] / theta[n, c]
        i1 = theta[k + 1, c] * phi[k + 2, c] / theta[n, c]
        between = -work.beta[k, c] * theta[k, c] * phi[k + 2, c] / theta[n, c]
        first = c0 * c0 - ones * i0
        both = c0 * c1 - ones * between
        data = cross * c0 - d0 * ones
        jump1 = data / first - (cross * c1 - d1 * ones) / both
        jump1 /= both / first - (c1 * c1 - ones * i1) / both
        jump0 = (data - jump1 * both) / first
        a = (cross - jump0 * c0 - jump1 * c1) / ones
        chisq = square + a * a * ones + jump0 * jump0 * i0 + jump1 * jump1 * i1
        chisq -= 2.0 * a * cross + 2.0 * jump0 * d0 + 2.0 * jump1 * d1
        chisq += 2.0 * a * jump0 * c0 + 2.0 * a * jump1 * c1 + 2.0 * jump0 * jump1 * between
        found.gain_two[k, c] = found.chisq[c] - chisq / scale
        found.slope_two[k, c] = a


@njit(**OPTIONS)
def _drop(work, found, spacing, thresholds, width, columns, used, slope):
    """Leave out what gains most in each ramp, if it gains enough; move the ramps to be searched again to the front.

    Returns their number. Pairs count only where a jump can fall within the reads of a group; elsewhere stock decides
    nothing when the equations of a pair divide by zero, and with two differences that is a matter of rounding.
    """
    any_pair = spacing.pairs.max() != 0
    again = 0
    for c in range(width):
        exact = any_pair or found.n_used[c] <= 2.0 or found.singular[c] != 0.0
        if not exact and not found.best_one[c] > thresholds[0]:
            continue
        if exact:
            _omit_two(work, found, c)
        if _drop_best(work, found, spacing, thresholds, c, columns[c], used, slope, exact):
            left = 0
            for k in range(used.shape[0]):
                left += used[k, columns[c]]
            if left > _TOO_FEW:
                columns[again] = columns[c]
                again += 1
    return again


@njit(**OPTIONS)
def _drop_best(work, found, spacing, thresholds, c, p, used, slope, exact):
    """Leave out the best single difference, or the best pair, of the ramp in column c; return whether there was one.

    Of several that gain exactly the same all are left out, and a gain that is not a number forbids a decision.
    """
    n = used.shape[0]
    best_one, best_two = found.best_one[c], 0.0
    if exact:
        best_two = -np.inf
        for k in range(n - 1):
            gain = found.gain_two[k, c] * spacing.pairs[k]
            best_two = gain if gain > best_two or np.isnan(gain) else best_two
    if np.isnan(best_one) or np.isnan(best_two):
        return False
    one = best_one - thresholds[0] > best_two - thresholds[1]
    best = best_one if one else best_two
    if not best > thresholds[0 if one else 1]:
        return False
    gains, slopes = (found.gain_one, found.slope_one) if one else (found.gain_two, found.slope_two)
    total = 0.0
    for k in range(gains.shape[0]):
        chosen = gains[k, c] == best
        if chosen:
            used[k, p] = 0
            if not one:
                used[k + 1, p] = 0
        if exact or chosen:
            total += slopes[k, c] * (1.0 if chosen else 0.0)
    slope[p] = total
    return True
