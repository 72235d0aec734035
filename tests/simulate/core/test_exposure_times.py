"""Times of integrations, and how segments share them."""

import numpy as np

from detectorist.simulate.core import exposure_times


def test_barycentric_times_against_light_travel_time():
    """Earth's own light travel time differs by the way to L2 only: 1.5 million km, five seconds."""
    from astropy.coordinates import SkyCoord, get_body_barycentric
    from astropy.time import Time

    mjd = 61_222.0 + np.array([0.0, 90.0, 180.0, 270.0])
    target = SkyCoord(80.0, 10.0, unit="deg")
    time = Time(mjd, format="mjd", scale="utc")
    earth = get_body_barycentric("earth", time, ephemeris="builtin")
    light_s = earth.dot(target.cartesian).to_value("km") / 299_792.458
    tdb_minus_utc_s = 69.184
    got = (exposure_times.barycentric_mjd(mjd, 80.0, 10.0) - mjd) * 86_400
    assert np.abs(got - tdb_minus_utc_s - light_s).max() < 5.2
    assert np.ptp(light_s) > 600


def test_segments_share_the_integrations():
    assert exposure_times.segment_bounds(10, 3) == [(0, 4), (4, 7), (7, 10)]
    assert exposure_times.segment_bounds(2, 2) == [(0, 1), (1, 2)]
