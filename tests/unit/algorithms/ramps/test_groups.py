"""Spoiled groups at the start and end of ramps: effects of the group's number are found, non-linearity is not."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms import dq
from detectorist.algorithms.ramps import groups

GAIN = 3.1


def make_ramps(
    rng, n_ints=5, n_groups=30, decay_dn=0.0, tau=3.0, rscd=0.0, pull_even=0.0, pull_odd=0.0, loss=0.08, full=40000.0
):
    """Return ramps of a trace that fades along the rows: photon and read noise, bend of `loss` at `full` DN.

    decay_dn: exponential in the first groups, DN; rscd: the same as a share of the pixel's slope; pull: last group.
    """
    ny, nx = 200, 40
    spectrum = 0.03 + np.exp((np.arange(ny) - ny) / (0.35 * ny))
    rate = full / n_groups * (spectrum[:, None] * np.exp(-0.5 * ((np.arange(nx) - 20) / 1.7) ** 2) + 0.01)
    electrons = rng.poisson(np.broadcast_to(rate * GAIN, (n_ints, n_groups, ny, nx)))
    linear = electrons.cumsum(axis=1) / GAIN
    measured = linear - loss / full * linear**2
    fading = np.exp(-np.arange(n_groups) / tau)[:, None, None]
    measured += (decay_dn + rscd * rate) * fading
    measured[:, -1, 0::2] -= pull_even
    measured[:, -1, 1::2] -= pull_odd
    # Drift of the four outputs, common to all their pixels.
    measured += rng.normal(size=(n_ints, n_groups, 1, 4)).cumsum(axis=1)[..., np.arange(nx) % 4]
    measured += 9000 + 50 * rng.normal(size=(ny, nx)) + 6 * rng.normal(size=measured.shape)
    return measured.astype(np.float32)


@pytest.mark.parametrize("n_groups", [3, 4, 5, 6, 10, 30, 100])
@pytest.mark.parametrize("loss", [0.05, 0.10])
def test_nonlinearity_alone_drops_nothing(rng, n_groups, loss):
    ramps = make_ramps(rng, n_ints=3 if n_groups > 50 else 6, n_groups=n_groups, loss=loss)
    assert groups.choose_groups(ramps) == []


@pytest.mark.parametrize("n_groups", [3, 4, 5, 7, 10, 40])
@pytest.mark.parametrize(("pull_even", "pull_odd"), [(80, 80), (100, 30), (0, 100)])
def test_pulled_down_last_group_is_dropped(rng, n_groups, pull_even, pull_odd):
    ramps = make_ramps(rng, n_groups=n_groups, pull_even=pull_even, pull_odd=pull_odd)
    assert groups.choose_groups(ramps) == [n_groups - 1]


@pytest.mark.parametrize("decay", [{"decay_dn": 300}, {"decay_dn": -300}, {"rscd": 2.0}])
@pytest.mark.parametrize(("n_groups", "tau"), [(12, 0.7), (40, 2.0), (100, 4.0)])
def test_reset_decay_is_dropped_until_it_does_not_matter(rng, decay, n_groups, tau):
    ramps = make_ramps(rng, n_ints=4, n_groups=n_groups, tau=tau, pull_even=60, pull_odd=20, **decay)
    chosen = groups.choose_groups(ramps)
    assert chosen[-1] == n_groups - 1
    first = chosen[:-1]
    assert_array_equal(first, np.arange(len(first)))
    # What is left of the decay in the first difference that is kept, as a share of the brightest pixels' slope.
    amplitude = decay.get("rscd", abs(decay.get("decay_dn", 0)) / (40000 / n_groups))
    left = amplitude * np.exp(-len(first) / tau) * (1 - np.exp(-1 / tau))
    assert left < 0.03
    # ... and not a group more than 0.1 % would ask for.
    assert len(first) <= np.ceil(tau * np.log(max(amplitude, 1) / 1e-3)) + 1


def test_departures_are_recovered_within_their_errors(rng):
    ramps = make_ramps(rng, n_ints=8, n_groups=30, rscd=1.0, tau=2.0, loss=0.05)
    found = groups.find_spoiled_groups(groups.stack_differences(ramps))
    g = np.arange(29)
    true = -np.exp(-g / 2.0) * (1 - np.exp(-0.5))
    early = slice(0, 10)
    # The bend changes the measured slope by up to 10 %: departures are shares of the measured one.
    assert np.abs((found.deviation - true)[early] / np.hypot(found.error[early], 0.1 * true[early])).max() < 4


def test_differences_of_a_good_ramp_scatter_as_their_errors(rng):
    pulls = []
    for seed in range(6):
        ramps = make_ramps(np.random.default_rng(seed), n_ints=6, n_groups=20)
        found = groups.find_spoiled_groups(groups.stack_differences(ramps))
        outside = found.deviation != 0
        pulls.extend((found.deviation / found.error)[outside])
    # The worse of two row parities: wider than 1, and never far out.
    assert np.sqrt(np.mean(np.square(pulls))) < 2.0
    assert np.abs(pulls).max() < 4


def test_one_integration_and_cosmic_rays(rng):
    ramps = make_ramps(rng, n_ints=1, n_groups=40, decay_dn=400, pull_even=150, pull_odd=150)
    hit = rng.random(ramps.shape[-2:]) < 0.1
    ramps[0, 17:, hit] += 3000
    chosen = groups.choose_groups(ramps)
    assert chosen[0] == 0
    assert chosen[-1] == 39
    assert 3 <= len(chosen) < 15


def test_a_segment_decides_for_all(rng):
    """Two segments of the same exposure give nearly the same answer: one list for both is no loss."""
    lists = [
        groups.choose_groups(
            make_ramps(np.random.default_rng(seed), n_groups=40, decay_dn=200, pull_even=80, pull_odd=80)
        )
        for seed in (1, 2, 3)
    ]
    assert np.ptp([len(each) for each in lists]) <= 3
    assert (
        groups.choose_groups(make_ramps(np.random.default_rng(1), n_groups=40, decay_dn=200, pull_even=80, pull_odd=80))
        == lists[0]
    )


def test_flagged_pixels_and_dropped_groups(rng):
    ramps = make_ramps(rng, n_groups=20, pull_even=80, pull_odd=80)
    flags = np.zeros(ramps.shape, np.uint8)
    flags[:, :, :, 19] = dq.SATURATED
    spoiled = ramps.copy()
    spoiled[..., 19] *= -1
    flags[:, 3, 10, 21] = dq.DO_NOT_USE
    expected = groups.choose_groups(ramps, flags)
    assert groups.choose_groups(spoiled, flags) == expected == [19]
    # A group dropped before is flagged everywhere: it must not disqualify all pixels.
    flags[:, 0] |= dq.DO_NOT_USE
    assert groups.choose_groups(spoiled, flags) == [19]


def test_saturated_pixels_are_left_out(rng):
    ramps = make_ramps(rng, n_groups=30, full=90000.0, loss=0.05, pull_even=100, pull_odd=100)
    ramps = np.minimum(ramps, 60000)
    assert groups.choose_groups(ramps) == [29]


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 2, 8, 8), (2, 5, 8, 8)])
def test_nothing_to_decide_on(shape):
    assert groups.choose_groups(np.zeros(shape, np.float32)) == []
    assert groups.choose_groups(np.full(shape, np.nan, np.float32)) == []


@pytest.mark.parametrize("n_groups", [4, 6, 20, 60])
def test_a_frame_without_light_decides_nothing(rng, n_groups):
    ramps = make_ramps(rng, n_groups=n_groups, full=1e-3, loss=0.0)
    assert groups.choose_groups(ramps) == []


def test_a_faint_star_is_enough(rng):
    ramps = make_ramps(rng, n_ints=8, n_groups=40, full=800.0, loss=0.0, decay_dn=-200, pull_even=80, pull_odd=80)
    chosen = groups.choose_groups(ramps)
    assert chosen[0] == 0
    assert chosen[-1] == 39


def test_input_is_untouched(rng):
    ramps = make_ramps(rng, n_groups=10)
    before = ramps.copy()
    groups.choose_groups(ramps, np.zeros(ramps.shape, np.uint8))
    assert_array_equal(ramps, before)


def test_thresholds_have_one_value():
    one, two = (inspect.signature(f).parameters for f in (groups.choose_groups, groups.find_spoiled_groups))
    for name in ("n_sigma", "min_deviation"):
        assert one[name].default == two[name].default
