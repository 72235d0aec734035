"""Snowballs: every event found, as far as it reaches, and nothing else."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms import dq
from detectorist.algorithms.ramps import snowballs
from detectorist.errors import ParameterError

JUMP, SAT = dq.JUMP_DET, dq.SATURATED
N_GROUPS, SIZE = 6, 256


def distance(y, x):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    return np.hypot(yy - y, xx - x)


def empty(n_ints=1):
    return np.zeros((n_ints, N_GROUPS, SIZE, SIZE), np.uint8)


def add_event(flags, rng, group, y, x, radius, *, core=0.4, integration=0):
    """A ragged disk of jumps around a core that stays saturated."""
    inside = distance(y, x) < radius + 0.6 * rng.normal(size=(SIZE, SIZE))
    saturated = distance(y, x) < core * radius
    ramp = flags[integration]
    ramp[group][inside & ~saturated] |= JUMP
    ramp[group:, saturated] = SAT


def add_rays(flags, rng, n=60):
    for plane in flags.reshape(-1, SIZE, SIZE):
        y, x = rng.integers(2, SIZE - 2, (2, n))
        plane[y, x] |= JUMP
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            plane[y[::2] + dy, x[::2] + dx] |= JUMP


def test_events_of_all_sizes_are_found_where_they_are(rng):
    flags = empty()
    add_rays(flags, rng)
    truth = [(1, 40.0, 50.0, 4.0), (2, 180.0, 60.0, 7.0), (3, 90.0, 150.0, 14.0), (4, 190.0, 190.0, 30.0)]
    for event in truth:
        add_event(flags, rng, *event)
    got = snowballs.flag_snowballs(flags, min_radius_pix=4.0)
    assert len(got.events) == len(truth)
    for event, (group, y, x, radius) in zip(got.events, truth, strict=True):
        assert event.group == group
        assert np.hypot(event.y - y, event.x - x) < 0.7
        assert abs(event.radius_pix - radius) < 0.8
        disk = distance(y, x) < radius
        assert ((got.groupdq[0, group] & (JUMP | SAT)) > 0)[disk].all()
        reach = distance(y, x) > 1.7 * (radius + 1)
        ring = (distance(y, x) > 0.4 * radius + 0.5) & (distance(y, x) < 0.4 * radius + 2)
        assert ((got.groupdq[0, group + 1 :] & (JUMP | SAT)) > 0)[:, ring].all()
        near = distance(y, x) < 3 * radius
        assert not ((got.groupdq[0, group] != flags[0, group]) & reach & near).any()


def test_flags_that_were_set_stay_and_the_input_too(rng):
    flags = empty()
    add_rays(flags, rng)
    add_event(flags, rng, 2, 100, 100, 12)
    flags[0, 0, 5, 5] |= dq.DO_NOT_USE
    before = flags.copy()
    got = snowballs.flag_snowballs(flags)
    assert_array_equal(flags, before)
    assert_array_equal(got.groupdq & flags, flags)
    assert ((got.groupdq ^ flags) & ~np.uint8(JUMP)).sum() == 0
    assert got.n_flagged == int((got.groupdq != flags).sum())


def test_no_saturation_is_needed(rng):
    flags = empty()
    add_event(flags, rng, 3, 120, 120, 8, core=0.0)
    got = snowballs.flag_snowballs(flags)
    assert len(got.events) == 1
    assert got.events[0].core_radius_pix == 0
    assert_array_equal(got.groupdq[0, 4], flags[0, 4])


def test_stars_tracks_and_rays_are_no_events(rng):
    flags = empty()
    add_rays(flags, rng, 200)
    flags[0, :, distance(60, 60) < 8] = SAT  # saturated from the start
    flags[0, 3:, distance(60, 180) < 8] = SAT  # a star that saturates in group 3
    flags[0, 3:, (distance(180, 60) < 9) & (distance(180, 60) >= 8)] |= JUMP  # noise on the edge of a saturated star
    flags[0, :, distance(180, 60) < 8] = SAT
    flags[0, 2, 150:154, 100:200] |= JUMP  # the track of a particle along the detector
    got = snowballs.flag_snowballs(flags)
    assert got.events == ()
    assert_array_equal(got.groupdq, flags)


def test_the_spill_of_a_core_is_no_new_event(rng):
    flags = empty()
    add_event(flags, rng, 1, 100, 100, 15)
    for group in (2, 3, 4):
        spill = (distance(100, 100) >= 6) & (distance(100, 100) < 8.5)
        flags[0, group][spill] |= JUMP
    got = snowballs.flag_snowballs(flags)
    assert [event.group for event in got.events] == [1]


def test_averaged_groups_are_flagged_twice(rng):
    flags = empty()
    add_event(flags, rng, 2, 100, 100, 12)
    got = snowballs.flag_snowballs(flags, averaged=True)
    disk = distance(100, 100) < 1.6 * 12
    flagged = (got.groupdq[0] & (JUMP | SAT)) > 0
    assert flagged[2][disk].all()
    assert flagged[3][disk].all()
    assert not flagged[4][disk].all()


def test_an_event_in_group_0_shows_in_group_1_around_its_core(rng):
    flags = empty()
    flags[0, :, distance(100, 100) < 5] = SAT
    flags[0, 1][(distance(100, 100) < 12) & (distance(100, 100) >= 5)] |= JUMP
    got = snowballs.flag_snowballs(flags, averaged=True)
    assert [event.group for event in got.events] == [1]
    assert abs(got.events[0].core_radius_pix - 5) < 0.5


def test_cores_glow_in_the_next_integration_for_a_time(rng):
    flags = empty(3)
    add_event(flags, rng, 4, 100, 100, 15)
    core = distance(100, 100) < 6
    got = snowballs.flag_snowballs(flags, group_time_s=100.0, core_glow_s=900.0)
    flagged = (got.groupdq[1:] & JUMP).astype(bool)[:, :, core].all(axis=2)
    # Group g of integration 1 begins 3 + g groups after the event in group 4 of 6.
    assert_array_equal(flagged[0], [True] * 6)
    assert_array_equal(flagged[1], [False] * 6)
    longer = snowballs.flag_snowballs(flags, group_time_s=100.0, core_glow_s=1200.0)
    assert (longer.groupdq[2] & JUMP).astype(bool)[:, core].all(axis=1).sum() == 2
    none = snowballs.flag_snowballs(flags)
    assert_array_equal(none.groupdq[1:], flags[1:])


def test_an_event_at_the_edge_stays_on_the_detector(rng):
    flags = empty()
    add_event(flags, rng, 2, 3, 250, 14)
    got = snowballs.flag_snowballs(flags)
    assert len(got.events) == 1
    assert ((got.groupdq[0, 2] & (JUMP | SAT)) > 0)[distance(3, 250) < 12].all()


@pytest.mark.parametrize("radius", [6, 12, 20])
def test_ceers_flags_large_events_and_their_cores_by_and(rng, radius):
    flags = empty()
    add_rays(flags, rng)
    add_event(flags, rng, 2, 128, 128, radius)
    flags[0, 2] |= dq.DO_NOT_USE  # other bits beside JUMP_DET: a test by equality finds nothing
    got = snowballs.flag_snowballs_ceers(flags)
    flagged = (got.groupdq[0, 2] & JUMP) > 0
    assert flagged[distance(128, 128) < radius].all()
    assert_array_equal(got.groupdq & flags, flags)
    assert_array_equal(got.groupdq[0, 3], flags[0, 3])


def test_disk_majority_is_the_median_under_a_disk(rng):
    from scipy import ndimage

    mask = ndimage.gaussian_filter(rng.normal(size=(60, 70)), 4) > 0.02
    yy, xx = np.mgrid[-7:8, -7:8]
    disk = np.hypot(yy, xx) <= 7
    expected = ndimage.median_filter(mask.astype(np.uint8), footprint=disk, mode="reflect") > 0
    assert_array_equal(snowballs._disk_majority(mask, 7), expected)


@pytest.mark.thirdparty
@pytest.mark.parametrize("name", ["stcal_snowball1_v1.fits", "stcal_snowball1_v2.fits"])
def test_snowballs_on_the_sky_are_found(thirdparty, name):
    from astropy.io import fits

    cutout = fits.getdata(thirdparty / name)
    flags = np.zeros((1, 3, 60, 60), np.uint8)
    flags[0, 1, 10 : 10 + cutout.shape[0], 10 : 10 + cutout.shape[1]] = cutout
    got = snowballs.flag_snowballs(flags)
    assert len(got.events) == 1
    assert ((got.groupdq[0, 1] & (JUMP | SAT)) > 0).sum() > (flags[0, 1] > 0).sum()


def test_kernels_agree_with_their_python(rng):
    from detectorist.algorithms.ramps import _snowballs_nb as kernels

    plane = (rng.random((30, 40)) < 0.35).astype(np.uint8) * JUMP
    plane[rng.random(plane.shape) < 0.1] |= SAT
    runs = kernels.find_runs(plane, JUMP | SAT)
    assert_array_equal(runs, kernels.find_runs.py_func(plane, JUMP | SAT))
    numbers, n = kernels.join_runs(runs)
    assert_array_equal(numbers, kernels.join_runs.py_func(runs)[0])
    from scipy import ndimage

    labels, n_expected = ndimage.label(plane > 0, structure=np.ones((3, 3)))
    assert n == n_expected
    table = kernels.measure_regions(plane, plane, runs, numbers, n, JUMP, SAT)
    np.testing.assert_allclose(table, kernels.measure_regions.py_func(plane, plane, runs, numbers, n, JUMP, SAT))
    assert_array_equal(np.sort(table[:, 0]), np.sort(np.bincount(labels.ravel())[1:]))
    assert_array_equal(
        kernels.core_pixels(plane, 12.0, 20.0, 8.0, SAT), kernels.core_pixels.py_func(plane, 12.0, 20.0, 8.0, SAT)
    )
    one, two = plane.copy(), plane.copy()
    assert kernels.set_disk(one, 2.0, 3.0, 6.5, JUMP, SAT) == kernels.set_disk.py_func(two, 2.0, 3.0, 6.5, JUMP, SAT)
    assert_array_equal(one, two)


@pytest.mark.parametrize("nx", [5, 8, 21, 128])
def test_runs_are_all_pixels_with_a_flag_whatever_the_width(rng, nx):
    from detectorist.algorithms.ramps import _snowballs_nb as kernels

    plane = np.where(rng.random((40, nx)) < 0.2, rng.choice(np.array([JUMP, SAT, 1], np.uint8), (40, nx)), np.uint8(0))
    plane[7], plane[9] = 0, JUMP
    drawn = np.zeros(plane.shape, int)
    for row, first, stop in kernels.find_runs(plane, JUMP | SAT):
        drawn[row, first:stop] += 1
    assert_array_equal(drawn, (plane & (JUMP | SAT)) > 0)


def test_disks_around_pixels_are_set_one_after_the_other(rng):
    from detectorist.algorithms.ramps import _snowballs_nb as kernels

    pixels = rng.integers(0, 30, (12, 2))
    plane = np.where(rng.random((30, 30)) < 0.1, np.uint8(SAT), np.uint8(0))
    one, other = plane.copy(), plane.copy()
    changed = kernels.set_disks(one, pixels, 3.0, JUMP, SAT)
    assert changed == sum(kernels.set_disk(other, y, x, 3.0, JUMP, SAT) for y, x in pixels)
    assert_array_equal(one, other)
    assert kernels.set_disks(one, pixels[:0], 3.0, JUMP, SAT) == 0


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match="uint8"):
        snowballs.flag_snowballs(np.zeros((2, 10, 10), np.uint8))
    with pytest.raises(ParameterError, match="min_radius_pix"):
        snowballs.flag_snowballs(empty(), min_radius_pix=0)
    with pytest.raises(ParameterError, match="positive pairs"):
        snowballs.flag_snowballs_ceers(empty(), detection_radii=(7,))


def ramps_with_core(rng, *, star):
    """Return ramps and flags of a region saturated from group 0 on: a snowball's core that widens, or a star."""
    y, x = np.mgrid[:200, :200]
    distance = np.hypot(y - 90, x - 110)
    rate = 20 + (2e5 / (1 + (distance / 3) ** 2) ** 1.3 if star else 0.2 * x)  # beside a galaxy's gradient
    data = np.cumsum(np.broadcast_to(rate, (6, 200, 200)), axis=0) + rng.normal(0, 8, (6, 200, 200))
    saturated = data > 4e4 if star else np.broadcast_to(distance < 6, data.shape)
    data[saturated] = 4e4
    return data[None], np.where(saturated, np.uint8(SAT), np.uint8(0))[None]


def test_a_core_before_the_first_read_is_found_and_a_saturated_star_left_alone(rng):
    data, flags = ramps_with_core(rng, star=False)
    got = snowballs.flag_snowballs(flags, data=data, averaged=True)
    assert [(event.group, round(event.y), round(event.x)) for event in got.events] == [(0, 90, 110)]
    y, x = np.mgrid[:200, :200]
    ring = (np.hypot(y - 90, x - 110) > 6) & (np.hypot(y - 90, x - 110) < 8.5)
    assert (got.groupdq[0, 1:, ring] & JUMP).all()
    assert snowballs.flag_snowballs(flags, averaged=True).events == ()
    data, flags = ramps_with_core(rng, star=True)
    got = snowballs.flag_snowballs(flags, data=data, averaged=True)
    assert got.events == ()
    assert_array_equal(got.groupdq, flags)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_charge_in_the_group_before_is_flagged_where_it_arrived(rng, share):
    y, x = np.mgrid[:200, :200]
    distance = np.hypot(y - 100, x - 100)
    halo = 4e5 / (1 + distance) ** 2.2
    data = 50.0 * np.arange(6)[:, None, None] + rng.normal(0, 8, (6, 200, 200))
    data[2] += share * halo
    data[3:] += halo
    flags = np.zeros((1, 6, 200, 200), np.uint8)
    flags[0, 3][distance < 20] = JUMP
    got = snowballs.flag_snowballs(flags, data=data[None], averaged=True)
    assert len(got.events) == 1
    before = (got.groupdq[0, 2] & JUMP) > 0
    assert before[distance < 33].all() if share else not before.any()
