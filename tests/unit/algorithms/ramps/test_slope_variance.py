"""Variances of slopes against ramps made frame by frame."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from detectorist.algorithms.ramps.slope_variance import (
    class_shares,
    deconvolved_share,
    photon_share,
    photon_variance,
)


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize(("n_frames", "group_gap", "n_groups"), [(4, 1, 4), (8, 2, 5), (8, 12, 3), (1, 0, 6)])
def test_photons_of_averaged_frames(rng, n_frames, group_gap, n_groups, reads):
    period = n_frames + group_gap
    charge = np.cumsum(rng.poisson(40, (20_000, n_groups * period)), axis=1, dtype=float)
    groups = charge.reshape(len(charge), n_groups, period)[..., :n_frames].mean(axis=-1)
    times = np.arange(n_groups) - (n_groups - 1) / 2
    slope = groups @ times / (times**2).sum() if reads else (groups[:, -1] - groups[:, 0]) / (n_groups - 1)
    plain = 40 * period / (n_groups - 1)
    share = photon_share(np.array([n_groups]), np.array([reads]), n_frames=n_frames, group_gap=group_gap)
    assert slope.var() / plain == pytest.approx(share[0], rel=4 * np.sqrt(2 / len(charge)))


def test_ramps_without_a_slope_keep_their_variance():
    shares = photon_share(np.array([0, 1, 2, 2.5]), np.array([np.nan, 0, 0.5, 0.5]), n_frames=4, group_gap=1)
    assert shares[:2].tolist() == [1, 1]
    assert 0.7 < shares[2] < shares[3] < 1.1


def test_read_noise_after_the_correction_of_ipc(rng):
    kernel = np.array([[0, -0.006, 0], [-0.006, 1.024, -0.006], [0, -0.006, 0]])
    noise = convolve2d(rng.normal(size=(400, 400)), kernel, mode="valid")
    assert noise.var() == pytest.approx(deconvolved_share(kernel), abs=4 * np.sqrt(2 / noise.size))
    assert deconvolved_share(np.ones((1, 1, 5, 5))) == 1
    single = np.broadcast_to(kernel[..., None, None], (3, 3, 4, 5))
    assert deconvolved_share(single) == pytest.approx(deconvolved_share(kernel))


def test_whole_numbers_of_groups_have_the_same_share_beside_a_mean_of_such_numbers(rng):
    numbers, reads = rng.integers(0, 9, (4, 50)).astype(float), rng.random((4, 50))
    shares = photon_share(numbers, reads, n_frames=8, group_gap=2)
    numbers[0, 0] += 0.5
    beside = photon_share(numbers, reads, n_frames=8, group_gap=2)
    np.testing.assert_array_equal(beside.ravel()[1:], shares.ravel()[1:])


@pytest.mark.parametrize("power", [0.0, 0.4, 3.0])
def test_noise_of_slopes_with_the_weights_of_a_class(rng, power):
    n_groups, n_frames, group_gap = 6, 2, 1
    away = np.arange(n_groups) - (n_groups - 1) / 2
    weight = np.abs(away) ** power * away
    weight /= weight @ away
    charge = np.cumsum(rng.poisson(40, (20_000, n_groups * 3)), axis=1, dtype=float)
    slope = charge.reshape(len(charge), n_groups, 3)[..., :n_frames].mean(axis=-1) @ weight
    of_reads = rng.normal(size=(20_000, n_groups)) @ weight
    (photons,), (reads,) = class_shares(weight[None], n_frames=n_frames, group_gap=group_gap)
    assert slope.var() / (40 * 3 / (n_groups - 1)) == pytest.approx(photons, rel=0.04)
    assert of_reads.var() * (n_groups**3 - n_groups) / 12 == pytest.approx(reads, rel=0.04)
    assert (photons > 1) == (power < 1)  # a line has more than a single difference


def test_photons_of_ramps_in_pieces():
    good = np.ones((3, 5, 1, 2), bool)
    jumps = ~good
    jumps[1, 2], good[2, 1:] = True, False
    found = photon_variance(np.array([[6.0, 0.0]]), good, jumps, np.full((1, 2), 2.0))
    assert found[:, 0].tolist() == [[3, 0], [4, 0], [0, 0]]
