"""How far the charge of an event reaches in every group."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.snowball_reach import measure_reach
from detectorist.algorithms.ramps.snowballs import flag_snowballs

SIZE, CENTRE, NOISE = 220, (104.3, 110.8), 8.0


def distance():
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.hypot(y - CENTRE[0], x - CENTRE[1])


def halo(end=60.0):
    return np.where(distance() < end, 9000 * (np.maximum(distance(), 5) / 5) ** -2.6, 0)


def ramps(rng, n_groups, shares, light=50.0, end=60.0):
    """Return ramps of a rate in DN per group, with parts of a halo that arrive in some groups, and no flags."""
    data = np.arange(1, n_groups + 1)[:, None, None] * np.broadcast_to(light, (SIZE, SIZE))
    data = data + NOISE / np.sqrt(2) * rng.standard_normal((n_groups, SIZE, SIZE))
    for group, share in shares.items():
        data[group:] += share * halo(end)
    return data.astype(np.float32), np.zeros(data.shape, np.uint8)


@pytest.mark.parametrize("shares", [{1: 0.5, 2: 0.5}, {2: 0.125, 3: 0.875}, {1: 0.5}, {3: 1.0}])
def test_charge_is_followed_in_the_groups_of_its_arrival(rng, shares):
    reach, known = measure_reach(*ramps(rng, 4, shares), *CENTRE, 20.0)
    assert_array_equal(known, [False, True, True, True])
    assert_array_equal(np.flatnonzero(reach), list(shares))
    for group, share in shares.items():
        expected = halo()[np.abs(distance() - reach[group] - 2) < 1].mean() * share
        # What is left out is less than a third of a pixel's noise.
        assert expected < 0.33 * NOISE
        assert reach[group] <= 64


def test_halos_end_where_they_end(rng):
    for end in (30.0, 70.0):
        reach, _ = measure_reach(*ramps(rng, 5, {2: 0.6, 3: 0.4}, end=end), *CENTRE, 15.0)
        assert_array_equal(np.flatnonzero(reach), [2, 3])
        assert np.abs(reach[2] - end) < 4


def test_steady_light_is_no_charge(rng):
    star = 50 + 4000 * (1 + (distance() / 3) ** 2) ** -1.2
    data, flags = ramps(rng, 6, {}, light=star)
    flags[2:, distance() < 6] = dq.SATURATED
    reach, known = measure_reach(data, flags, *CENTRE, 20.0)
    assert known[1:].all()
    assert not reach.any()


def test_in_pure_noise_nothing_is_found(rng):
    found = [measure_reach(*ramps(rng, n, {}), *CENTRE, 12.0)[0].any() for n in (3, 4, 4, 7, 7, 10)]
    assert not any(found)


def test_what_is_not_seen_is_not_known(rng):
    data, flags = ramps(rng, 4, {})
    flags[1:, distance() < 30] = dq.SATURATED
    reach, known = measure_reach(data, flags, *CENTRE, 20.0)
    assert not known.any()
    assert not reach.any()
    assert not measure_reach(data[:1], flags[:1], *CENTRE, 20.0)[1].any()


def test_an_event_split_over_two_of_three_differences_is_flagged_where_it_is(rng):
    data, flags = ramps(rng, 4, {1: 0.5, 2: 0.5})
    hit = distance() < 45
    ray = (60, 100)
    # As the jump detection leaves it: the group without charge is what deviates.
    flags[3, hit & (rng.random(hit.shape) < 0.9)] = dq.JUMP_DET
    data[3, *ray] += 20_000
    flags[3, *ray] = dq.JUMP_DET
    found = flag_snowballs(flags[None], data=data[None], averaged=True)
    jumps = dq.has(found.groupdq[0], dq.JUMP_DET)
    assert jumps[1:3, distance() < 58].all()
    assert jumps[3, hit].mean() < 0.05  # where the halo is faint the noise may make it the larger one
    assert not jumps[3, distance() < 25].any()
    assert jumps[3, *ray]  # a hit of the pixel's own stays
    assert found.n_released == int((dq.has(flags[3], dq.JUMP_DET) & ~jumps[3]).sum())


def test_the_core_of_such_an_event_is_flagged_in_the_group_that_has_jumps_without_charge(rng):
    data, flags = ramps(rng, 4, {1: 0.5, 2: 0.5})
    flags[3, (distance() < 45) & (distance() >= 8)] = dq.JUMP_DET
    flags[2:, distance() < 8] = dq.SATURATED
    # It widens: charge that is no event, and smaller than what came before.
    data[3, (distance() >= 8) & (distance() < 10)] += 100
    found = flag_snowballs(flags[None], data=data[None], averaged=False, core_grow_pix=3.0)
    jumps = dq.has(found.groupdq[0], dq.JUMP_DET)
    assert jumps[3, (distance() >= 8) & (distance() < 10)].all()
    assert not jumps[3, (distance() > 13) & (distance() < 25)].any()


@pytest.mark.parametrize("shares", [{1: 0.75, 2: 0.25}, {1: 0.2, 2: 0.8}, {1: 1.0}, {2: 1.0}])
def test_of_three_groups_both_differences_may_have_charge(rng, shares):
    data, flags = ramps(rng, 3, shares)
    reach, _ = measure_reach(data, flags, *CENTRE, 20.0)
    assert_array_equal(np.flatnonzero(reach), list(shares))
    for group, share in shares.items():
        assert halo()[np.abs(distance() - reach[group] - 2) < 1].mean() * share < 0.75 * NOISE
        assert reach[group] <= 64


def test_of_three_groups_a_star_is_lost_only_as_far_as_a_halo_reaches(rng):
    star = 50 + 4000 * (1 + (distance() / 3) ** 2) ** -1.2
    data, flags = ramps(rng, 3, {2: 0.1}, light=star, end=24.0)
    reach, _ = measure_reach(data, flags, *CENTRE, 15.0)
    assert 10 <= reach[1] <= reach[2] <= 28
    assert not measure_reach(*ramps(rng, 3, {}, light=star), *CENTRE, 15.0)[0].any()


def test_a_group_that_no_charge_reached_is_not_given_up(rng):
    data, flags = ramps(rng, 6, {3: 1.0})
    flags[3, distance() < 30] = dq.JUMP_DET
    found = flag_snowballs(flags[None], data=data[None], averaged=True)
    assert_array_equal(np.flatnonzero(dq.has(found.groupdq[0], dq.JUMP_DET).any(axis=(1, 2))), [3])


def test_a_small_event_without_a_halo_is_flagged_as_far_as_expected(rng):
    data, flags = ramps(rng, 5, {})
    data[2:, distance() < 5] += 500
    # Its core widens afterwards, which alone shows in rings.
    data[4, (distance() > 2) & (distance() < 9)] += 60
    flags[2, distance() < 5] = dq.JUMP_DET
    found = flag_snowballs(flags[None], data=data[None], averaged=True)
    assert dq.has(found.groupdq[0, 2], dq.JUMP_DET)[distance() < 8].all()
    assert found.n_released == 0


def test_rings_have_the_medians_of_numpy(rng):
    from detectorist.algorithms.ramps import _snowball_reach_nb as kernels

    values = rng.normal(size=(20, 30))
    values[rng.random(values.shape) < 0.1] = np.nan
    numbers = kernels.ring_numbers(20, 30, 5, 7, 15.3, 20.1, 2.0)
    yy, xx = np.ogrid[5:25, 7:37]
    assert_array_equal(numbers, (np.hypot(yy - 15.3, xx - 20.1) / 2.0).astype(int).ravel())
    order, borders = kernels.rings_in_order(numbers, 6)
    medians, seen = np.empty((2, 6))
    kernels.ring_medians(values.ravel(), order, borders, 20, medians, seen)
    rings = [values.ravel()[numbers == k] for k in range(6)]
    assert_array_equal(seen, [np.isfinite(one).sum() for one in rings])
    expected = [np.nanmedian(one) if np.isfinite(one).sum() >= 20 else np.nan for one in rings]
    assert_array_equal(medians, expected)
    steps = np.abs(np.diff(values, axis=1))
    assert kernels.median_step(values) == np.nanmedian(steps)
    assert kernels.median_step(values[:, :1]) == 0
