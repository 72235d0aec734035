"""Small hits in ramps of a time series: found where all integrations tell the rate, and no star that changes is one."""

import numpy as np
import pytest

from detectorist.algorithms._sorting_nb import sorting_network
from detectorist.algorithms.ramps._small_hits_nb import Rule, _subtract_usual, search_pixel
from detectorist.algorithms.ramps.small_hits import FEWEST_INTEGRATIONS, flag_small_hits

GAIN, READ_DN, JUMP = 4.0, 6.0, 4
NY, NX, PEAK, SKY = 20, 48, 2500.0, 15.0
NOISE = (np.full((NY, NX), GAIN), np.full((NY, NX), np.sqrt(2) * READ_DN))


def rates_of(n_ints, *, shift=0.0, moved=(), widening=0.0, dip=0.0):
    """Return DN a group, (n_ints, NY, NX), of a star as faint as the sky in the first row; `moved` integrations shift
    and widen."""
    star_moved = np.isin(np.arange(n_ints), moved)[:, None, None]
    width = 1.3 * (1 + widening * star_moved)
    light = PEAK * np.exp(-0.5 * ((np.arange(NX) - 23.4 - shift * star_moved) / width) ** 2)
    transit = (np.abs(np.linspace(-1, 1, n_ints)) < 0.4)[:, None, None]
    return light * np.logspace(-2.2, 0, NY)[:, None] * (1 - dip * transit) + SKY


def ramps_of(rng, rates, n_groups, read_dn=READ_DN):
    rise = np.broadcast_to(rates[:, None], (len(rates), n_groups, NY, NX))
    data = np.cumsum(rng.poisson(rise * GAIN) / GAIN, axis=1) + read_dn * rng.normal(size=rise.shape)
    return data.astype(np.float32)


def flagged(data, flags=None, **settings):
    flags = np.zeros(data.shape, np.uint8) if flags is None else flags
    return flag_small_hits(data, flags, *NOISE, n_frames=1, **settings)


def struck(rng, data, sigma, n=300):
    """Return ramps with hits of `sigma` standard deviations of a difference in the sky, and where: (n, 4)."""
    places = np.stack([rng.integers(0, size, n) for size in (len(data), data.shape[1] - 1, NY, 10)], axis=1)
    places[:, 1] += 1
    places = places[np.unique(places[:, [0, 2, 3]], axis=0, return_index=True)[1]]
    data = data.copy()
    for i, g, y, x in places:
        data[i, g:, y, x] += sigma * np.sqrt(SKY / GAIN + 2 * READ_DN**2)
    return data, places


@pytest.mark.parametrize(("n_ints", "n_groups"), [(30, 8), (12, 26)])
def test_hits_of_six_sigma_are_found(rng, n_ints, n_groups):
    """The search within a ramp of eight groups finds 85 % of them."""
    data, places = struck(rng, ramps_of(rng, rates_of(n_ints), n_groups), sigma=6.0)
    found = flagged(data).groupdq & JUMP
    assert (found[tuple(places.T)] > 0).mean() > 0.98


CHANGES = {
    "nothing": {},
    "pointing jump": {"shift": 0.2, "moved": range(15, 30)},
    "late pointing jump": {"shift": 0.2, "moved": range(26, 30)},
    "one bad integration": {"shift": 0.4, "moved": [9]},
    "width step": {"widening": 0.04, "moved": range(15, 30)},
    "transit": {"dip": 0.02},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_star_that_changes_has_no_hits(rng, change):
    """3e-6 of normal values lie above 4.5 sigma, and photons have a longer tail; all integrations count, and each."""
    rates = rates_of(30, **CHANGES[change])
    found = (flagged(ramps_of(rng, rates, 8)).groupdq & JUMP) > 0
    assert found.mean() < 2e-5
    assert found.mean(axis=(1, 2, 3)).max() < 4e-4
    on_star = np.median(rates, axis=0) > 3 * SKY
    assert found[:, :, on_star].mean() < 1e-4


@pytest.mark.parametrize("read_dn", [READ_DN, 1.5 * READ_DN])
@pytest.mark.parametrize("n_groups", [8, 60])
def test_chance_flags_are_few_where_the_noise_is_not_what_the_reference_says(rng, read_dn, n_groups):
    data = ramps_of(rng, rates_of(12), n_groups, read_dn)
    assert flagged(data).number < 2e-5 * data.size


def test_significance_is_what_it_says(rng):
    """As many differences exceed 2.5 sigma as of normal values, or fewer, since one hit often explains several."""
    data = ramps_of(rng, np.full((40, NY, NX), SKY), 8)
    share = flagged(data, threshold_sigma=2.5).number / (data.size * 7 / 8)
    assert 0.3 * 0.0062 < share < 0.0062


def test_what_is_flagged_already_is_left_out_and_kept(rng):
    """A large hit that is known neither hides a small one in the same ramp nor is flagged again; nor is a bad group."""
    data, places = struck(rng, ramps_of(rng, rates_of(20), 10), sigma=9.0)
    flags = np.zeros(data.shape, np.uint8)
    large = places.copy()
    large[:, 1] = np.where(places[:, 1] < 5, 8, 2)
    for i, g, y, x in large:
        data[i, g:, y, x] += 3000
        flags[i, g, y, x] = JUMP
    flags[:, -1] = 1
    before = flags.copy()
    found = flagged(data, flags)
    inner = places[(places[:, 1] < 9)]
    assert (found.groupdq[tuple(inner.T)] & JUMP > 0).mean() > 0.98
    np.testing.assert_array_equal(flags, before)
    np.testing.assert_array_equal(found.groupdq & before, before)
    assert not (found.groupdq[:, -1] & JUMP).any()
    assert found.number == ((found.groupdq & JUMP) > 0).sum() - len(large)


def test_rows_do_not_depend_on_each_other(rng):
    """As in runs of a few rows at a time; 20 rows of 48 pixels are no multiple of a tile."""
    data, _ = struck(rng, ramps_of(rng, rates_of(20), 9), sigma=7.0)
    whole = flagged(data).groupdq
    planes = [plane[:7] for plane in NOISE]
    part = flag_small_hits(data[:, :, :7], np.zeros(data[:, :, :7].shape, np.uint8), *planes, n_frames=1).groupdq
    np.testing.assert_array_equal(part, whole[:, :, :7])


def test_a_tile_and_a_single_pixel_decide_alike(rng):
    """What the tile's quick test lets pass has no hit by the slow routine either."""
    data, _ = struck(rng, ramps_of(rng, rates_of(20), 9), sigma=5.0)
    quick = flagged(data).groupdq
    rule, slow = Rule(4.5, 2 * np.log(100.0), FEWEST_INTEGRATIONS, 1.0), np.zeros_like(quick)
    differences = np.diff(data, axis=1).transpose(2, 3, 1, 0).reshape(NY * NX, 8, 20)
    flat = slow.reshape(20, 9, -1)
    for p in range(NY * NX):
        noise = (GAIN, np.float64(np.float32(NOISE[1][0, 0])) ** 2)
        own, picked = np.ascontiguousarray(differences[p]), np.arange(20)
        search_pixel(own, np.arange(8), flat[:, :, p], noise, picked, sorting_network(20), rule)
    np.testing.assert_array_equal(quick, slow)


def test_differences_that_many_lack_have_no_usual_value():
    x = np.array([[5.0, 1.0], [3.0, np.nan], [np.nan, np.nan], [1.0, 4.0], [2.0, np.nan], [9.0, np.nan]])
    known, usual = x.copy(), np.empty(2)
    _subtract_usual(known, usual, np.arange(6), sorting_network(6), 5)
    assert usual[0] == np.mean([2, 3, 5])  # of five, without the smallest and the largest
    assert usual[1] == np.inf
    np.testing.assert_array_equal(known[:, 0], x[:, 0] - usual[0])
    np.testing.assert_array_equal(known[:, 1], 0)


def test_few_integrations_are_not_searched(rng):
    data, _ = struck(rng, ramps_of(rng, rates_of(FEWEST_INTEGRATIONS - 1), 8), sigma=20.0, n=20)
    assert flagged(data).number == 0


def test_pixels_without_gain_or_noise_are_not_searched(rng):
    data, places = struck(rng, ramps_of(rng, rates_of(20), 8), sigma=20.0)
    gain, read_noise = (plane.copy() for plane in NOISE)
    gain[:10], read_noise[10:] = np.nan, 0.0
    assert flag_small_hits(data, np.zeros(data.shape, np.uint8), gain, read_noise, n_frames=1).number == 0
    assert len(places) > 200


def test_flags_may_go_into_the_given_ones(rng):
    data, _ = struck(rng, ramps_of(rng, rates_of(12), 8), sigma=6.0)
    flags = np.zeros(data.shape, np.uint8)
    apart = flagged(data, flags)
    assert not flags.any()
    into = np.ones_like(flags)
    np.testing.assert_array_equal(flagged(data, flags, out=into).groupdq, apart.groupdq)
    assert flagged(data, flags, out=flags).groupdq is flags
    np.testing.assert_array_equal(flags, apart.groupdq)
    np.testing.assert_array_equal(into, apart.groupdq)
