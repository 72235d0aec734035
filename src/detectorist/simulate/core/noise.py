"""The noise of a fitted ramp expected from counting statistics and read noise."""

from __future__ import annotations

import numpy as np

#: Variance that rounding to whole DN adds to a read, DN ** 2.
QUANTISATION_VARIANCE_DN2 = 1 / 12


def expected_slope_noise(
    rate_dn_s: np.ndarray,
    *,
    gain: float,
    read_noise_dn: float,
    group_time_s: float,
    n_groups: int,
    n_frames: int = 1,
    frame_time_s: float = 0.0,
) -> np.ndarray:
    """Return the noise (1 sigma) of the best linear unbiased slope of a ramp, DN/s, shape of `rate_dn_s`.

    rate_dn_s : ndarray
        Expected rate of everything that is collected, DN/s, not negative.
    gain : float
        e-/DN.
    read_noise_dn : float
        Noise of one read, DN rms; 0 is allowed.
    n_groups : int
        Consecutive groups used, at least 2.
    n_frames, frame_time_s : int, float
        Frames averaged into a group, and the time between them, s.

    Notes
    -----
    Differences of consecutive reads have the covariance p I + r^2 T, with p the Poisson variance per group, r the read
    noise and T the second-difference matrix, whose eigenvectors are sines (Brandt 2024, PASP 136, 045004 solves the
    same matrix pixel by pixel). The weighted mean of the differences then has a variance that is a sum over
    eigenvalues. Averaging n frames that are t apart divides r^2 by n and lets neighbouring differences share photons:
    the covariance keeps its form, with r^2 / n - rate t (n^2 - 1) / (6 n) instead of r^2. For p = 0 it is the
    textbook 12 r^2 / (n (n^2 - 1)), for r = 0 and single frames it is p / (n - 1). Any other fit is
    noisier. Cost: n_groups / 2 passes over the array.
    """
    n = n_groups - 1
    poisson = np.asarray(rate_dn_s, float) * group_time_s / gain
    shared = np.asarray(rate_dn_s, float) * frame_time_s * (n_frames**2 - 1) / (6 * n_frames) / gain
    read = read_noise_dn**2 / n_frames + QUANTISATION_VARIANCE_DN2 - shared
    information = np.zeros(np.shape(rate_dn_s))
    for k in range(1, n + 1, 2):
        angle = np.pi * k / (2 * (n + 1))
        weight = 2 / (n + 1) / np.tan(angle) ** 2
        information += weight / (poisson + read * 4 * np.sin(angle) ** 2)
    return 1 / np.sqrt(information) / group_time_s
