"""The rate of an exposure from those of its integrations, in float32 and in the order of stcal's sums."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS

_ONE, _TWO, _ZERO = np.float32(1), np.float32(2), np.float32(0)


@njit(**OPTIONS)
def combine_integrations(ints, rate, start, stop):
    """Fill rate (5, n_pix) from ints (5, n_ints, n_pix): slope, variances of photons and reads, error, chi squared.

    The mean is weighted by the variances that the integrations would have if all had the same rate: weights from
    the scattered rates themselves would favour the faint ones.
    """
    n_ints = ints.shape[1]
    values, photons, weights = np.empty(n_ints, np.float32), np.empty(n_ints, np.float32), np.empty(n_ints, np.float32)
    for p in range(start, stop):
        slope = _median(ints[0, :, p], values)
        for _ in range(2):
            slope = _weighted_mean(ints, p, slope, photons, weights)
        rate[0, p] = slope
        rate[1, p] = _weighted_variance(photons, weights)
        rate[2, p] = _weighted_variance(ints[2, :, p], weights)
        rate[3, p] = np.sqrt(rate[1, p] + rate[2, p])
        chisq = _ZERO
        for i in range(n_ints):
            chisq += ints[4, i, p]
        rate[4, p] = chisq


@njit(**OPTIONS)
def _median(slopes, values):
    """Return the median of what is no NaN, NaN when nothing is."""
    n = 0
    for value in slopes:
        if not np.isnan(value):
            values[n] = value
            n += 1
    if n == 0:
        return np.float32(np.nan)
    values[:n].sort()
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / _TWO


@njit(**OPTIONS)
def _weighted_mean(ints, p, slope, photons, weights):
    """Return the mean slope; fill the photon variances of integrations at rate `slope`, and their weights."""
    total = _ZERO
    for i in range(weights.size):
        share = slope / ints[0, i, p]
        if not np.isfinite(share) or share < _ZERO:
            share = _ZERO
        photons[i] = ints[1, i, p] * share
        weights[i] = _ONE / (photons[i] + ints[2, i, p])
        total += _ZERO if np.isnan(weights[i]) else weights[i]
    mean = _ZERO
    n = 0
    for i in range(weights.size):
        weights[i] = weights[i] / total
        term = ints[0, i, p] * weights[i]
        if not np.isnan(term):
            mean += term
            n += 1
    return mean if n else np.float32(np.nan)


@njit(**OPTIONS)
def _weighted_variance(variances, weights):
    total = _ZERO
    n = 0
    for i in range(weights.size):
        term = variances[i] * (weights[i] * weights[i])
        if not np.isnan(term):
            total += term
            n += 1
    return total if n else np.float32(np.nan)
