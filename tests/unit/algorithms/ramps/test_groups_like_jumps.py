"""Which spoiled groups are kept: their bias against the noise of losing them, and never one that looks like a jump."""

import numpy as np
import pytest

from detectorist.algorithms.ramps.group_choice import slope_weights, weigh_groups
from detectorist.algorithms.ramps.groups import stack_differences

GAIN, FULL_DN = 3.9, 35000.0


def make_ramps(rng, n_groups, *, pull_dn=0.0, pull_share=0.0, decay_dn=0.0, decay_share=0.0):
    """Return ramps of a trace: the last group pulled down, the first ones decaying, in DN and as shares of the light.

    pull_share : of the signal at the end. decay_share : of one group's light.
    """
    ny, nx = 200, 40
    light = np.exp((np.arange(ny) - ny) / 70)[:, None] * np.exp(-0.5 * ((np.arange(nx) - 20) / 1.7) ** 2) + 0.005
    rate = FULL_DN / n_groups * light
    ramps = (rng.poisson(np.broadcast_to(rate * GAIN, (8, n_groups, ny, nx))) / GAIN).cumsum(axis=1)
    ramps -= (decay_dn + decay_share * rate) * np.exp(-np.arange(1, n_groups + 1) / 1.4)[:, None, None]
    ramps[:, -1] -= pull_dn + pull_share * FULL_DN * light
    return (ramps + 9000 + 6 * rng.normal(size=ramps.shape)).astype(np.float32)


@pytest.mark.parametrize("n_groups", [12, 30, 60, 100])
def test_a_last_group_that_would_be_flagged_as_a_jump_in_bright_pixels_goes(rng, n_groups):
    choice = weigh_groups(stack_differences(make_ramps(rng, n_groups, pull_dn=10.0, pull_share=0.003)))
    departure = 0.003 * FULL_DN / np.sqrt(FULL_DN / n_groups / GAIN + 72)
    assert departure > 3  # sigma of the difference: neither hidden in the noise nor always above a threshold
    assert n_groups - 1 in choice.groups


def test_what_all_pixels_share_is_kept(rng):
    choice = weigh_groups(stack_differences(make_ramps(rng, 30, pull_dn=10.0, decay_dn=160.0)))
    assert 29 in choice.spoiled.groups
    assert choice.groups == ()


def test_a_first_group_whose_departure_is_hidden_in_its_noise_is_kept(rng):
    choice = weigh_groups(stack_differences(make_ramps(rng, 30, decay_share=0.05)))
    decay = -0.05 * np.diff(np.exp(-np.arange(1, 31) / 1.4))
    assert decay[0] * np.sqrt(FULL_DN / 30 * GAIN) < 1
    assert choice.groups == ()
    # The bias that is stated is the true one: that of the differences, by their weights in a slope.
    assert choice.bias == pytest.approx(decay @ slope_weights(30), abs=3e-4)


def test_a_strong_decay_goes_until_it_does_not_matter(rng):
    choice = weigh_groups(stack_differences(make_ramps(rng, 12, decay_share=1.0)))
    assert choice.groups == tuple(range(len(choice.groups)))
    departure = -np.diff(np.exp(-np.arange(1, 13) / 1.4)) * np.sqrt(FULL_DN / 12 * GAIN)
    # Departures are told against the later half of the ramp, where the decay goes on: to a sigma or two.
    assert np.abs(departure[len(choice.groups) :]).max() < 4
    assert 0 < len(choice.groups) < 6


def test_noise_and_bias_are_stated(rng):
    ramps = make_ramps(rng, 30)
    choice = weigh_groups(stack_differences(ramps))
    light = np.exp((np.arange(200) - 200) / 70)[:, None] * np.exp(-0.5 * ((np.arange(40) - 20) / 1.7) ** 2) + 0.005
    bright = light[light > 0.08 * np.quantile(light, 0.999)]
    photons = bright.sum() * FULL_DN * 29 / 30 * 4.0
    assert choice.groups == ()
    assert choice.noise == pytest.approx(1 / np.sqrt(photons), rel=0.15)
