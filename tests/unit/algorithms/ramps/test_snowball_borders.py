"""Snowballs that the border of a frame cuts are flagged about their own centre, as far as they reach."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.ramps.snowball_borders import circle_at_border, regions_at_border
from detectorist.algorithms.ramps.snowballs import find_events, flag_snowballs

NY, NX, N_GROUPS = 180, 200, 5


def disk(y, x, radius):
    yy, xx = np.mgrid[:NY, :NX]
    return np.hypot(yy - y, xx - x) < radius


@pytest.mark.parametrize(("y", "x"), [(90, 3), (90, 196), (2, 100), (177, 100), (90, -6), (185, 100), (4, 5)])
@pytest.mark.parametrize("reference", [0, 4])
def test_centre_and_radius_of_a_cut_disk(y, x, reference):
    plane = np.where(disk(y, x, 22), np.uint8(4), np.uint8(0))
    if reference:
        plane[:reference] = plane[-reference:] = 0
        plane[:, :reference] = plane[:, -reference:] = 0
    ((*centre, radius),) = find_events(plane, np.zeros_like(plane), min_radius_pix=4.0)
    # In a corner a quarter of the circle is left.
    off = 3.5 if (y, x) == (4, 5) else 1.0
    assert_allclose(centre, (y, x), atol=off)
    assert radius == pytest.approx(22, abs=off)


def test_a_halo_along_the_border_is_flagged():
    """Of a ramp of five groups that no data tell of: flags reach 1.7 radii of the jumps."""
    flags = np.zeros((1, N_GROUPS, NY, NX), np.uint8)
    flags[0, 2][disk(90, 3, 20)] = 4
    got = flag_snowballs(flags).groupdq[0, 2]
    assert (got[disk(90, 3, 33)] == 4).all()
    assert not got[~disk(90, 3, 36)].any()


def test_jumps_along_a_border_that_are_no_arc_stay_as_they_are():
    runs = np.array([[row, 0, 30] for row in range(40)], np.int32)
    assert circle_at_border(runs, (NY, NX), (20.0, 15.0, 19.5)) == (20.0, 15.0, 19.5)
    assert circle_at_border(runs[:3], (NY, NX), (1.0, 15.0, 5.0)) == (1.0, 15.0, 5.0)


def test_regions_within_the_frame_reach_no_border():
    runs = np.array([[50, 60, 70], [51, 60, 70], [80, 0, 4], [90, 190, 199]], np.int32)
    assert regions_at_border(runs, np.array([0, 0, 1, 2]), 3, (NY, NX)).tolist() == [False, True, True]
