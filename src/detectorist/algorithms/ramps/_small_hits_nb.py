"""Steps in the ramps of one pixel, judged by what all integrations say about its rate: the kernel of `small_hits`.

Differences of a ramp, less what is usual for each, are x, with covariance C (photons on the diagonal, the read noise
of a group in the two differences that share it), to which the unknown rate of the integration adds tau^2 everywhere.
C is tridiagonal and the rest of rank one (Sherman & Morrison), so that everything is linear in the number of groups. A
difference of infinite variance is left out of all sums, and ties its neighbours no longer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import kth_smallest
from detectorist.algorithms._sorting_nb import OPTIONS, sort_tile

JUMP, UNUSABLE = 4, 3
#: |deviations| of normal values lie below one sigma in this share of the cases.
_ONE_SIGMA = 0.6827


class Rule(NamedTuple):
    """What decides about a hit, as plain numbers."""

    threshold_sigma: float
    rate_change_cost: float  # what chi squared must fall by before an unusual rate is believed, rather than a hit
    fewest_ints: int
    n_frames: float


class Inverse(NamedTuple):
    """The inverse of C, in parts, (n_differences,) each."""

    factors: np.ndarray  # by which the row before is subtracted
    pivots: np.ndarray  # of C, each 1 / what elimination leaves on the diagonal
    diagonal: np.ndarray  # of C^-1
    ones: np.ndarray  # C^-1 1


@njit(**OPTIONS)
def search_pixel(differences, used, gdq, noise, picked, network, rule):
    """Set JUMP in `gdq`, (n_ints, n_groups), where the ramps of a pixel have hits; return how many.

    differences : (n_used, n_ints), NaN where unknown; used : the earlier group of each. noise : gain, and variance of
    a difference by read noise. network : comparators that sort as many values as are `picked`.
    """
    n_ints, n = gdq.shape[0], gdq.shape[1] - 1
    x = np.full((n_ints, n), np.nan)
    for m in range(used.size):
        for i in range(n_ints):
            x[i, used[m]] = differences[m, i]
    variance = np.empty(n)
    _subtract_usual(x, variance, picked, network, rule.fewest_ints)
    gain, read_variance = noise
    for j in range(n):
        variance[j] = max(variance[j], 0.0) / gain + read_variance
    return _search(x, gdq, variance, -0.5 * read_variance, picked, rule)


@njit(**OPTIONS)
def trim(n):
    """Return how many of n sorted values are left out at either end of a trimmed mean: a tenth, at least one.

    A mean keeps how the noise of neighbouring differences cancels in their sum; medians of them would walk away.
    """
    return int(np.ceil(0.1 * n))


@njit(**OPTIONS)
def _subtract_usual(x, usual, picked, network, fewest):
    """Subtract from every difference its trimmed mean over the integrations, kept in `usual`.

    Where few integrations know a difference, it is left out: infinite in `usual` and 0 in x. All differences are sorted
    side by side.
    """
    ordered = np.empty((picked.size, x.shape[1]))
    known = np.zeros(x.shape[1], np.int64)
    for k in range(picked.size):
        for j in range(x.shape[1]):
            value = x[picked[k], j]
            ordered[k, j] = np.inf if np.isnan(value) else value  # behind all that are known
            known[j] += not np.isnan(value)
    sort_tile(ordered, network)
    for j in range(x.shape[1]):
        m = known[j]
        usual[j] = np.inf
        if m >= fewest and 2 * m > picked.size:
            total = 0.0
            for k in range(trim(m), m - trim(m)):
                total += ordered[k, j]
            usual[j] = total / (m - 2 * trim(m))
        for i in range(x.shape[0]):
            x[i, j] = x[i, j] - usual[j] if np.isfinite(usual[j]) else 0.0


@njit(**OPTIONS)
def _search(x, gdq, variance, coupling, picked, rule):
    """Flag the hits of one pixel; x (n_ints, n_differences) is what differs from the usual, NaN where unknown."""
    n_ints, n = x.shape
    inverse, solved = _room(n), np.empty((n_ints, n))
    total = _invert(variance, coupling, inverse)
    cross, chisq = np.empty(n_ints), np.empty(n_ints)
    for i in range(n_ints):  # NaN for ramps that lack a difference
        cross[i], chisq[i] = _solve(x[i], coupling, inverse, solved[i])
    whole = picked[~np.isnan(cross[picked])]
    if whole.size < rule.fewest_ints or total == 0.0:
        return 0
    tau2 = _spread_of_rates(cross[whole], total)
    chisq -= tau2 / (1 + tau2 * total) * cross**2
    excess = _noise_excess(chisq[whole], np.isfinite(variance).sum())
    excess *= 1 + 1.05 / (whole.size - 1)  # what is usual is uncertain itself; trimmed means are a little more
    found = 0
    for i in range(n_ints):
        if np.isnan(cross[i]) or _best_hit(solved[i], inverse, total, cross[i], tau2, excess, rule) >= 0:
            found += _search_ramp(x[i], gdq[i], variance, coupling, tau2, excess, rule, solved[i])
    return found


@njit(**OPTIONS)
def _room(n):
    return Inverse(np.empty(n), np.empty(n), np.empty(n), np.empty(n))


@njit(**OPTIONS)
def _invert(variance, coupling, inverse):
    """Fill the parts of C^-1; return 1 C^-1 1."""
    factors, pivots, diagonal, ones = inverse
    n = variance.size
    pivot, before = 0.0, 0.0
    for j in range(n):
        factors[j] = coupling * pivot
        pivot = 1.0 / (variance[j] - coupling * factors[j])
        before = 1.0 - factors[j] * before
        pivots[j], ones[j] = pivot, before
    backward, after, total = 0.0, 0.0, 0.0
    for j in range(n - 1, -1, -1):
        ties = coupling * coupling * backward
        backward = 1.0 / (variance[j] - ties)
        diagonal[j] = pivots[j] / (1.0 - ties * pivots[j])
        after = (ones[j] - coupling * after) * pivots[j]
        ones[j] = after
        total += after
    return total


@njit(**OPTIONS)
def _solve(x, coupling, inverse, solved):
    """Fill C^-1 x; return 1 C^-1 x and x C^-1 x."""
    factors, pivots, _, ones = inverse
    n = x.size
    before, after = 0.0, 0.0
    cross, chisq = 0.0, 0.0
    for j in range(n):
        before = x[j] - factors[j] * before
        solved[j] = before
        cross += ones[j] * x[j]
    for j in range(n - 1, -1, -1):
        after = (solved[j] - coupling * after) * pivots[j]
        solved[j] = after
        chisq += x[j] * after
    return cross, chisq


@njit(**OPTIONS)
def place_of_sigma(n):
    """Return which of n sorted absolute deviations is one sigma."""
    return min(int(np.ceil(_ONE_SIGMA * n)), n - 1)


@njit(**OPTIONS)
def _spread_of_rates(cross, total):
    """Return the variance of rates between integrations beyond their noise, from where 68 % of them lie."""
    one_sigma = kth_smallest(np.abs(cross), cross.size, place_of_sigma(cross.size)) / total
    return max(one_sigma * one_sigma - 1.0 / total, 0.0)


@njit(**OPTIONS)
def _noise_excess(chisq, degrees):
    """Return by how much the noise of the typical integration exceeds what was expected, as a variance; at least 1.

    The expected median of chi squared is that of Wilson & Hilferty (1931).
    """
    usual = degrees * (1 - 2 / (9 * degrees)) ** 3
    return max(kth_smallest(chisq, chisq.size, chisq.size // 2) / usual, 1.0)


@njit(**OPTIONS)
def _search_ramp(x, gdq, variance, coupling, tau2, excess, rule, solved):
    """Flag the hit that explains most, leave its difference out, and look again, until none is beyond the limit."""
    own = np.where(np.isnan(x), np.inf, variance)
    known = np.where(np.isnan(x), 0.0, x)
    inverse, found = _room(x.size), 0
    while np.isfinite(own).sum() > 1:
        total = _invert(own, coupling, inverse)
        cross, _ = _solve(known, coupling, inverse, solved)
        best = _best_hit(solved, inverse, total, cross, tau2, excess, rule)
        if best < 0:
            break
        gdq[best + 1] |= JUMP
        own[best], known[best] = np.inf, 0.0
        found += 1
    return found


@njit(**OPTIONS)
def _best_hit(solved, inverse, total, cross, tau2, excess, rule):
    """Return which difference explains most of chi squared by a hit, -1 if none explains enough.

    solved : C^-1 x. total, cross : 1 C^-1 1 and 1 C^-1 x.
    """
    # An unusual rate may explain as much; it is believed for its cost.
    by_rate = cross * cross / (total * (1 + tau2 * total))
    most = rule.threshold_sigma**2 * excess + max(by_rate - rule.rate_change_cost * excess, 0.0)
    best, share = -1, tau2 / (1 + tau2 * total)
    for j in range(solved.size):
        if inverse.diagonal[j] > 0:
            weight = share * inverse.ones[j]
            size = solved[j] - weight * cross
            fall = size * size / (inverse.diagonal[j] - weight * inverse.ones[j])
            if size > 0 and fall > most:
                best, most = j, fall
    return best
