"""Cosmic-ray jumps of one pixel, in stock's own order of operations (two-point differences).

Differences are electrons per group: float32 products and float32 differences, then held in float64, as numpy
does it in stock. A group that is DO_NOT_USE or SATURATED makes both its differences NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.algorithms._selection_nb import kth_smallest
from detectorist.algorithms._sorting_nb import median_of
from detectorist.engine._compiled import OPTIONS
from detectorist.engine.flags import JUMP, MARK, UNUSABLE

#: Rounds of stock's sigma clipping (the default of astropy.stats.sigma_clip).
_CLIP_ROUNDS = 5


class JumpRule(NamedTuple):
    """What decides about a jump, as plain numbers for the kernels."""

    threshold_sigma: float  # four and more usable differences
    three_threshold_sigma: float
    two_threshold_sigma: float
    n_frames: float
    iterate: bool  # one jump at a time, with the median taken anew; otherwise all in one pass
    neighbors: bool
    neighbor_min_sigma: float
    neighbor_max_sigma: float


@njit(**OPTIONS)
def electrons(data, gdq, i, g, p, gain):
    """Return the signal of one group, NaN where it is flagged as unusable."""
    return np.float32(np.nan) if gdq[i, g, p] & UNUSABLE else data[i, g, p] * gain


@njit(**OPTIONS)
def differences(data, gdq, p, gain, out):
    """Fill out[i * (n_groups - 1) + g] with the difference of groups g + 1 and g of integration i."""
    n_ints, n_groups, _ = data.shape
    k = 0
    for i in range(n_ints):
        last = electrons(data, gdq, i, 0, p, gain)
        for g in range(1, n_groups):
            this = electrons(data, gdq, i, g, p, gain)
            out[k] = np.float64(this - last)
            last = this
            k += 1


@njit(**OPTIONS)
def difference_variance(gain, read_noise, p, n_frames):
    """Return the read-noise variance of a difference, e-^2: squared in float32, divided in float64, as in stock."""
    noise = read_noise[p] * gain[p]
    return np.float64(noise * noise) / n_frames


@njit(**OPTIONS)
def median_difference(diffs, n, scratch):
    """Return the median of the differences that are not NaN."""
    m = 0
    for j in range(n):
        if not np.isnan(diffs[j]):
            scratch[m] = diffs[j]
            m += 1
    return median_of(scratch, m)


@njit(**OPTIONS)
def noise_sigma(median, variance):
    """Return the expected scatter of a difference; NaN instead of 0, so that a pixel without noise is never flagged."""
    sigma = np.sqrt(abs(median) + variance)
    return np.nan if sigma == 0.0 else sigma


@njit(**OPTIONS)
def _clipped_median(sizes, n, scratch):
    """Return the centre and the number of usable |differences|: largest of four left out, the smaller of two."""
    usable = 0
    largest = -1.0
    smallest = np.inf
    for j in range(n):
        if not np.isnan(sizes[j]):
            usable += 1
            largest = max(largest, sizes[j])
            smallest = min(smallest, sizes[j])
    if usable < 2:
        return np.nan, usable
    if usable == 2:
        return smallest, usable
    m = 0
    for j in range(n):
        if not np.isnan(sizes[j]) and not (usable >= 4 and sizes[j] == largest):
            scratch[m] = sizes[j]
            m += 1
    return median_of(scratch, m), usable


@njit(**OPTIONS)
def _excess_sigma(size, median, sigma):
    """Return how far a |difference| lies from the centre; stock keeps the distance, not the ratio, in float32."""
    return np.float64(abs(np.float32(size - median))) / sigma


@njit(**OPTIONS)
def flag_iteratively(diffs, n, variance, rule, found, sizes, scratch):
    """Flag the largest excess, take it out, and look again with a new median, until nothing exceeds its
    threshold.

    All differences that share the largest ratio go at once. From the second round on stock keeps the median
    in float32.
    """
    for j in range(n):
        sizes[j] = abs(diffs[j])
    for turn in range(n):
        median, usable = _clipped_median(sizes, n, scratch)
        if turn > 0:
            median = np.float64(np.float32(median))
        sigma = noise_sigma(median, variance)
        if usable < 2 or np.isnan(sigma):
            return
        limit = rule.threshold_sigma
        if usable < 4:
            limit = rule.three_threshold_sigma if usable == 3 else rule.two_threshold_sigma
        worst = -1.0
        for j in range(n):
            excess = _excess_sigma(sizes[j], median, sigma)
            if excess > worst:  # noqa: PLR1730 - max() need not let a NaN lose
                worst = excess
        if not worst > limit:
            return
        for j in range(n):
            if _excess_sigma(sizes[j], median, sigma) == worst:
                found[j] = 1
                sizes[j] = np.nan


@njit(**OPTIONS)
def flag_in_one_pass(diffs, n, variance, rule, found, scratch):
    """Flag every difference beyond the threshold around the median of all; used when there are many differences."""
    median = median_difference(diffs, n, scratch)
    sigma = noise_sigma(median, variance)
    for j in range(n):
        if np.isfinite(diffs[j]) and abs(diffs[j] - median) / sigma > rule.threshold_sigma:
            found[j] = 1


@njit(**OPTIONS)
def clip_bounds(values, n, nsigma, scratch):
    """Return the interval outside of which astropy's sigma_clip masks: median and population deviation, five
    rounds.

    The compiled routine behind sigma_clip finds the median by partitioning its buffer and then sums the
    buffer in the order it was left in; so does this one, since the sum's last bit depends on the order.
    """
    m = 0
    for i in range(n):
        if np.isfinite(values[i]):
            scratch[m] = values[i]
            m += 1
    low = np.nan
    high = np.nan
    for _ in range(_CLIP_ROUNDS):
        if m == 0:
            break
        if m % 2:
            median = kth_smallest(scratch, m, (m - 1) // 2)
        else:
            upper = kth_smallest(scratch, m, m // 2)
            median = 0.5 * (upper + kth_smallest(scratch, m, m // 2 - 1))
        deviation = _population_deviation(scratch, m)
        low = median - nsigma * deviation
        high = median + nsigma * deviation
        kept = 0
        for i in range(m):
            if low <= scratch[i] <= high:
                scratch[kept] = scratch[i]
                kept += 1
        if kept in (m, 0):
            break
        m = kept
    return low, high


@njit(**OPTIONS)
def _population_deviation(values, n):
    mean = 0.0
    for i in range(n):
        mean += values[i]
    mean /= n
    total = 0.0
    for i in range(n):
        total += (values[i] - mean) * (values[i] - mean)
    return np.sqrt(total / n)


@njit(**OPTIONS)
def set_jumps(gdq, p, found):
    """Set JUMP where `found` says so; return whether any group of the pixel has the flag, from now or from before."""
    n_ints, n_groups, _ = gdq.shape
    any_jump = False
    for i in range(n_ints):
        for g in range(1, n_groups):
            if found[i * (n_groups - 1) + g - 1]:
                gdq[i, g, p] |= JUMP
            if gdq[i, g, p] & JUMP:
                any_jump = True
    return any_jump


@njit(**OPTIONS)
def mark_for_neighbors(gdq, p, diffs, variance, rule, scratch):
    """MARK the jumps whose size, around the median of all differences, asks for flags on the four neighbours."""
    n_ints, n_groups, _ = gdq.shape
    n = n_ints * (n_groups - 1)
    median = median_difference(diffs, n, scratch)
    sigma = noise_sigma(median, variance)
    for i in range(n_ints):
        for g in range(1, n_groups):
            if gdq[i, g, p] & JUMP:
                size = abs(diffs[i * (n_groups - 1) + g - 1] - median) / sigma
                if rule.neighbor_min_sigma < size < rule.neighbor_max_sigma:
                    gdq[i, g, p] |= MARK
