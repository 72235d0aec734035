"""Compiled loop of `detectorist.algorithms.spectra.red_noise`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def whiten(columns, variance, step, amplitude2, time_scale):
    """Return the innovation of each sample, in its standard deviation, and the log-determinant of the noise.

    columns (n, k); variance (n,) of white noise; step (n,) time since the sample before (step[0] unused); the red
    noise has the covariance amplitude2 exp(-|dt| / time_scale).
    """
    n, k = columns.shape
    out = np.empty((n, k))
    state = np.zeros(k)
    spread = amplitude2
    log_determinant = 0.0
    for i in range(n):
        if i > 0:
            keep = np.exp(-step[i] / time_scale)
            spread = spread * keep * keep + amplitude2 * (1 - keep * keep)
            for j in range(k):
                state[j] *= keep
        total = spread + variance[i]
        gain = spread / total
        norm = 1 / np.sqrt(total)
        for j in range(k):
            new = columns[i, j] - state[j]
            out[i, j] = new * norm
            state[j] += gain * new
        spread *= 1 - gain
        log_determinant += np.log(total)
    return out, log_determinant


@njit(cache=True, nogil=True)
def whiten_transposed(weights, variance, step, amplitude2, time_scale):
    """Return the weights (n,) of the data in a sum that has `weights` (n,) on whitened data: `whiten`, transposed."""
    n = weights.size
    keep, gain, norm = np.ones(n), np.empty(n), np.empty(n)
    spread = amplitude2
    for i in range(n):
        if i > 0:
            keep[i] = np.exp(-step[i] / time_scale)
            spread = spread * keep[i] ** 2 + amplitude2 * (1 - keep[i] ** 2)
        total = spread + variance[i]
        gain[i] = spread / total
        norm[i] = 1 / np.sqrt(total)
        spread *= 1 - gain[i]
    out = np.empty(n)
    state = 0.0
    for i in range(n - 1, -1, -1):
        out[i] = weights[i] * norm[i] + gain[i] * state
        state = keep[i] * (state - out[i])
    return out


@njit(cache=True, nogil=True)
def exponential_product(columns, step, time_scale):
    """Return sum_j exp(-|t_i - t_j| / time_scale) columns_j for every i and column (n, k)."""
    n, k = columns.shape
    out = columns.copy()
    before, after = np.zeros(k), np.zeros(k)
    for i in range(1, n):
        keep = np.exp(-step[i] / time_scale)
        for j in range(k):
            before[j] = (before[j] + columns[i - 1, j]) * keep
            out[i, j] += before[j]
    for i in range(n - 2, -1, -1):
        keep = np.exp(-step[i + 1] / time_scale)
        for j in range(k):
            after[j] = (after[j] + columns[i + 1, j]) * keep
            out[i, j] += after[j]
    return out
