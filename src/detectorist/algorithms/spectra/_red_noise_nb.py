"""Compiled loop of `detectorist.algorithms.spectra.red_noise`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def whiten(columns, variance, step, amplitude2, time_scale):
    """Return what is new in each sample, in its standard deviation, and the log-determinant of the noise.

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
