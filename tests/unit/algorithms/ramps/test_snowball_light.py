"""What ramps say around a round saturated region: a star shines in every group, a snowball in one."""

import numpy as np
import pytest

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.snowball_light import RampLight

N_GROUPS, SHAPE, CENTRE, RADIUS = 8, (101, 101), (50.0, 50.0), 10.0


def distance():
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(yy - CENTRE[0], xx - CENTRE[1])


def ramps(rng, rate):
    """Return ramps of a rate (DN per group) with noise of 5 DN in every sample."""
    groups = np.arange(1, N_GROUPS + 1)[:, None, None]
    return 10_000 + groups * rate + 5 * rng.normal(size=(N_GROUPS, *SHAPE))


def light(data, saturated_from=None):
    flags = np.zeros(data.shape, np.uint8)
    if saturated_from is not None:
        flags[saturated_from:, distance() < RADIUS] = dq.SATURATED
    return RampLight(data.astype(np.float32), flags)


@pytest.mark.parametrize("wings", [400.0, 1500.0])
def test_a_star_has_wings(rng, wings):
    rate = 20 + wings * (RADIUS / np.maximum(distance(), RADIUS)) ** 3
    assert light(ramps(rng, rate), 0).is_star(*CENTRE, RADIUS)


def test_a_snowball_on_plain_sky_is_no_star(rng):
    data = ramps(rng, np.full(SHAPE, 20.0))
    data[4:, distance() < RADIUS] = 60_000
    assert not light(data, 4).is_star(*CENTRE, RADIUS)


def test_neither_is_one_on_the_gradient_of_a_galaxy(rng):
    yy, _ = np.mgrid[: SHAPE[0], : SHAPE[1]]
    data = ramps(rng, 20 + 0.5 * yy)
    data[4:, distance() < RADIUS] = 60_000
    assert not light(data, 4).is_star(*CENTRE, RADIUS)


def test_where_nothing_can_be_seen_a_region_is_left_alone(rng):
    data = ramps(rng, np.full(SHAPE, 20.0))
    hidden = RampLight(data.astype(np.float32), np.full(data.shape, dq.SATURATED, np.uint8))
    assert hidden.is_star(*CENTRE, RADIUS)


def test_a_region_beyond_the_edge_tells_nothing(rng):
    data = ramps(rng, np.full(SHAPE, 20.0))
    assert light(data).is_star(-30.0, -30.0, 2.0)
