"""Which spoiled groups are left out: their bias against the noise of having fewer."""

import numpy as np
import pytest

from detectorist.algorithms.ramps.group_choice import LEAST_KEPT, slope_weights, weigh_groups
from detectorist.algorithms.ramps.groups import GroupStack

SLOPES = np.geomspace(20, 2000, 12)


def stack(n_groups, departures, offset=0.0, total_slope=1e7, error=2e-4):
    """Return a stack whose differences depart by shares of the light: {difference: share}; `offset` DN on all alike."""
    shape = (2, SLOPES.size, n_groups - 1)
    ratio = np.ones(shape)
    for k, share in departures.items():
        ratio[:, :, k] += share + offset / SLOPES
    signal = np.broadcast_to(SLOPES[:, None] * (np.arange(n_groups - 1) + 0.5), shape)
    n_differences = n_groups - 1
    middle = slice(max(1, int(0.4 * n_differences)), n_differences - 1)  # as `stack_groups` takes them
    slope = np.broadcast_to(SLOPES, shape[:2])
    return GroupStack(ratio, np.full(shape, error), signal, middle, 10_000, slope, total_slope)


@pytest.mark.parametrize("n_groups", [2, 3, 10, 50])
def test_weights_are_those_of_a_straight_line(n_groups, rng):
    ramp = rng.normal(size=n_groups).cumsum()
    line = np.polyfit(np.arange(n_groups), ramp, 1)[0]
    assert np.diff(ramp) @ slope_weights(n_groups) == pytest.approx(line)
    assert slope_weights(n_groups).sum() == pytest.approx(1)


def test_sound_ramps_lose_nothing():
    found = weigh_groups(stack(20, {}))
    assert found.groups == ()
    assert found.bias == 0


def test_a_strong_decay_costs_the_first_groups_of_a_long_ramp():
    found = weigh_groups(stack(60, {0: 0.5, 1: 0.2, 2: 0.08}))
    assert found.groups[:1] == (0,)
    assert found.groups == tuple(range(len(found.groups)))
    assert found.bias < 0.003


def test_a_weak_decay_is_put_up_with_where_groups_are_few_and_photons_too():
    weak = {0: 0.012, 1: 0.006}
    bright, faint = (weigh_groups(stack(12, weak, total_slope=slope)) for slope in (1e12, 1e3))
    assert len(faint.groups) < len(bright.groups)
    # The noise of the faint one is the larger, and is what decides.
    assert faint.noise > 100 * bright.noise


def test_the_last_group_goes_alone():
    found = weigh_groups(stack(30, {28: -0.3}))
    assert found.groups == (29,)


@pytest.mark.parametrize("n_groups", [4, 5, 6])
def test_enough_groups_for_a_slope_stay(n_groups):
    found = weigh_groups(stack(n_groups, dict.fromkeys(range(n_groups - 1), 0.5)))
    assert n_groups - len(found.groups) >= LEAST_KEPT
