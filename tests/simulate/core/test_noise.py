"""Expected noise of slopes, against generalised least squares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.simulate.core.noise import QUANTISATION_VARIANCE_DN2, expected_slope_noise


class TestExpectedNoise:
    def covariance(self, n_groups, poisson, read_variance):
        n = n_groups - 1
        second_difference = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        return poisson * np.eye(n) + read_variance * second_difference

    @pytest.mark.parametrize("n_groups", [2, 3, 8, 21])
    @pytest.mark.parametrize("rate", [0.0, 5.0, 3_000.0])
    def test_equals_the_generalised_least_squares(self, n_groups, rate):
        poisson = rate * 0.2 / 3.1
        matrix = self.covariance(n_groups, poisson, 36 + QUANTISATION_VARIANCE_DN2)
        expected = 1 / np.sqrt(np.linalg.inv(matrix).sum()) / 0.2
        got = expected_slope_noise(np.array(rate), gain=3.1, read_noise_dn=6.0, group_time_s=0.2, n_groups=n_groups)
        assert_allclose(got, expected)

    def test_limit_of_read_noise_is_the_textbook_formula(self):
        got = expected_slope_noise(np.zeros(1), gain=3.0, read_noise_dn=6.0, group_time_s=0.5, n_groups=10)
        assert_allclose(got, np.sqrt(12 * (36 + QUANTISATION_VARIANCE_DN2) / (10 * 99)) / 0.5)


def test_noise_of_the_best_slope_of_averaged_groups():
    n_groups, n_frames, n_skipped, frame_s, rate, read, gain = 5, 4, 1, 2.0, 3.0, 6.0, 2.0
    rng = np.random.default_rng(2)
    frames = np.arange(n_groups * (n_frames + n_skipped))
    averaged = frames.reshape(n_groups, -1)[:, :n_frames]
    charge = rng.poisson(rate * gain * frame_s, (20_000, frames.size)).cumsum(axis=1) / gain
    reads = charge + read * rng.normal(size=charge.shape)
    steps = np.diff(reads[:, averaged].mean(axis=2), axis=1) / (frame_s * (n_frames + n_skipped))
    weights = np.linalg.solve(np.cov(steps.T), np.ones(n_groups - 1))
    best = steps @ (weights / weights.sum())
    expected = expected_slope_noise(
        np.array(rate), gain=gain, read_noise_dn=read, group_time_s=frame_s * (n_frames + n_skipped),
        n_groups=n_groups, n_frames=n_frames, frame_time_s=frame_s,
    )  # fmt: skip
    assert best.std() == pytest.approx(float(expected), rel=0.015)
