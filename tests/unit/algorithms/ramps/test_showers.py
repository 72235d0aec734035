"""Showers are found in the group in which they arrive; ordinary cosmic rays, trends and electronic noise are none."""

import numpy as np
import pytest

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.showers import find_showers

NY, NX, GAIN, READ_DN = 416, 72, 3.9, 6.0
ROWS, COLUMNS = np.mgrid[:NY, :NX]


def patch(y, x, sigma, height):
    return height * np.exp(-0.5 * ((ROWS - y) ** 2 + (COLUMNS - x) ** 2) / sigma**2)


def make_ramps(rng, n_ints=2, n_groups=12, showers=(), hits=12, bend=0.0, first=1.0):
    """Return ramps (DN) of a star on a sky; showers: (integration, group, y, x, sigma, height in DN).

    first : factor of the star's light in the first difference.
    """
    star = 15000 * np.exp(-0.5 * ((COLUMNS - 37.4) / 1.6) ** 2) * np.exp((ROWS - NY) / 110)
    light = np.broadcast_to((star + 100) * 0.16, (n_ints, n_groups, NY, NX)).copy()
    light[:, 1] += (first - 1) * star * 0.16
    for k, g, *shape in showers:
        light[k, g] += patch(*shape)
    ramps = (rng.poisson(light * GAIN) / GAIN).cumsum(axis=1)
    for k in range(n_ints):
        for g in range(n_groups):
            # Footprints of 5 x 5 pixels and tracks along a row.
            for y, x in zip(rng.integers(4, NY - 4, hits), rng.integers(8, NX - 8, hits), strict=True):
                track = np.s_[y, x : x + 1 + int(rng.exponential(5))]
                reach = np.s_[y - 2 : y + 3, x - 2 : x + 3] if y % 4 == 0 else track
                ramps[k, g:, *reach] += rng.exponential(200)
    ramps *= 1 - bend * ramps / 40000
    ramps[:, :, :, 4:] -= 5 * np.exp(-np.arange(n_groups) / 1.4)[:, None, None]
    # Electronic noise: all pixels of a group, and the rows of a group slowly.
    ramps += 3 * rng.normal(size=(n_ints, n_groups, 1, 1))
    ramps += (
        1.5 * np.sin(ROWS / 60 + 6 * rng.random((n_ints, n_groups, 1, 1))) * rng.normal(size=(n_ints, n_groups, 1, 1))
    )
    ramps += READ_DN * rng.normal(size=ramps.shape) + 9000
    usable = (COLUMNS >= 4) & (rng.random((NY, NX)) > 0.004)
    return ramps.astype(np.float32), np.zeros(ramps.shape, np.uint8), usable


@pytest.mark.parametrize("bend", [0.0, 0.08])
@pytest.mark.parametrize("n_groups", [5, 12, 40])
def test_no_shower_is_found_among_cosmic_rays_and_electronic_noise(rng, n_groups, bend):
    found = find_showers(*make_ramps(rng, n_ints=3, n_groups=n_groups, bend=bend))
    assert not found.hit.any()
    assert not found.refused.any()


@pytest.mark.parametrize("n_groups", [6, 12, 40])
@pytest.mark.parametrize(
    ("column", "sigma", "height"), [(60, 4, 50), (37.4, 5, 80), (20, 10, 20), (36, 20, 20), (66, 15, 200)]
)
def test_showers_are_found_in_their_group_wherever_they_lie(rng, n_groups, column, sigma, height):
    where = (1, 3, 250, column, sigma, height)
    found = find_showers(*make_ramps(rng, n_groups=n_groups, showers=[where]))
    assert np.argwhere(found.hit).tolist() == [[1, 3]]


@pytest.mark.parametrize("n_groups", [6, 12])
@pytest.mark.parametrize("first", [1.02, 0.98])
def test_a_first_difference_that_departs_along_the_trace_is_no_shower(rng, n_groups, first):
    """A decay after the reset bends the ramps of bright pixels, which nothing common to all pixels corrects."""
    found = find_showers(*make_ramps(rng, n_ints=4, n_groups=n_groups, first=first))
    assert not found.hit.any()


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize(("sigma", "height"), [(8, 100), (15, 100)])
def test_showers_on_the_brightest_light_are_found_though_ramps_bend(rng, group, sigma, height):
    where = (1, group, 380, 37.4, sigma, height)
    found = find_showers(*make_ramps(rng, showers=[where], first=1.02))
    assert np.argwhere(found.hit).tolist() == [[1, group]]


def test_what_is_not_found_is_small_beside_the_noise(rng):
    """Light left of a shower just under the threshold, spread over a ramp: less than the noise of the white light."""
    heights = np.geomspace(2, 60, 12)
    showers = [(k, 5, 250, 45, 6.0, height) for k, height in enumerate(heights)]
    found = find_showers(*make_ramps(rng, n_ints=12, showers=showers))
    missed = heights[~found.hit[:, 5]]
    light_dn = missed.max(initial=0) * 2 * np.pi * 6.0**2 / (1.5 * 12 * 0.16)
    star = 15000 * 1.6 * np.sqrt(2 * np.pi) * 110
    noise = np.sqrt(star / (GAIN * 12 * 0.16))
    assert light_dn < noise


def test_a_second_shower_and_its_afterglow_are_found_too(rng):
    showers = [(0, 4, 200, 50, 8, 60), (0, 5, 200, 50, 8, 30), (0, 9, 330, 15, 12, 40)]
    found = find_showers(*make_ramps(rng, n_groups=20, showers=showers))
    assert np.flatnonzero(found.hit[0]).tolist() == [4, 5, 9]
    assert not found.hit[1].any()


def test_flagged_samples_do_not_count(rng):
    ramps, flags, usable = make_ramps(rng, n_groups=12)
    ramps[:, 0] -= 500
    ramps[:, 7, 100:300, 10:60] += 1000
    flags[:, 0] |= dq.DO_NOT_USE
    flags[:, 7, 100:300, 10:60] |= dq.SATURATED
    before = ramps.copy()
    assert not find_showers(ramps, flags, usable).hit.any()
    np.testing.assert_array_equal(ramps, before)


def test_a_ramp_in_which_every_other_group_looks_like_a_shower_is_left_alone(rng):
    found = find_showers(*make_ramps(rng, showers=[(0, g, 250, 50, 10, 80) for g in (2, 4, 6, 8, 10)]))
    assert not found.hit[0].any()


def test_nothing_is_found_in_short_ramps_or_without_a_usable_pixel(rng):
    ramps, flags, usable = make_ramps(rng, n_groups=3)
    assert not find_showers(ramps, flags, usable).hit.any()
    assert not find_showers(*make_ramps(rng, n_groups=5)[:2], np.zeros_like(usable)).hit.any()


@pytest.mark.filterwarnings("error")
def test_nothing_is_found_in_an_integration_without_a_usable_sample(rng):
    data, flags, usable = make_ramps(rng)[:3]
    data[0] = np.nan
    flags[0] |= dq.DO_NOT_USE
    found = find_showers(data, flags, usable)
    assert not found.hit[0].any()


def test_integrations_are_judged_one_by_one(rng):
    ramps, flags, usable = make_ramps(rng, n_ints=3, showers=[(1, 6, 250, 50, 10, 80)])
    together = find_showers(ramps, flags, usable)
    alone = [find_showers(ramps[k : k + 1], flags[k : k + 1], usable).sigma[0] for k in range(3)]
    np.testing.assert_array_equal(together.sigma, alone)


@pytest.mark.parametrize(("n_groups", "bend"), [(7, 0.3), (8, 0.25), (9, 0.2)])
def test_short_ramps_that_nothing_makes_linear_have_no_shower(rng, n_groups, bend):
    """The share of the light by which a difference departs grows with the light, and few groups show it."""
    ramps, flags, usable = make_ramps(rng, n_ints=8, n_groups=n_groups, bend=bend)
    flags[:, [0, -1]] = dq.DO_NOT_USE
    found = find_showers(ramps, flags, usable)
    assert found.sigma.max() < 7
