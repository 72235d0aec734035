"""Wisps and dithers."""

import numpy as np

from detectorist.simulate.imaging.scene import ImagingScene

NOISE = ("photon_noise", "read_noise", "flicker", "drift", "columns", "reset_noise")
EVENTS = ("cosmic_rays", "snowballs", "bad_pixels")
QUIET = ImagingScene().with_detector(size=64, outputs=1, pattern="RAPID").without(*NOISE, *EVENTS)


def test_wisps_only_where_the_instrument_has_them():
    assert QUIET.observe().wisp().max() > 0.05
    assert QUIET.with_detector(name="NRCB1").observe().wisp_templates is None
    assert QUIET.with_detector(filter="F277W").observe().wisp_templates is None
    templates = QUIET.observe().wisp_templates
    np.testing.assert_allclose(QUIET.with_("wisps", strengths=(1, 0)).observe().wisp(), templates[0], rtol=1e-6)


def test_dithers_move_the_field_but_not_the_wisps():
    observation = QUIET.with_detector(size=256).observe(exposures=2, seed=3)
    x, y = observation.dither(1)
    first, second = observation.sources(0), observation.sources(1)
    assert (x, y) != (0.0, 0.0)
    assert np.abs(first - second).max() > 0.1
