"""The pointing has the scatter asked for."""

import numpy as np
from numpy.testing import assert_allclose

from detectorist.simulate.core.components import Jitter
from detectorist.simulate.core.pointing import draw_pointing


def test_pointing_has_the_rms_asked_for():
    jitter = Jitter(x_flicker_pix=0.02, x_white_pix=0.005, y_flicker_pix=0.0, y_white_pix=0.03)
    pointing = draw_pointing(jitter, 4_000, 5)
    assert_allclose(pointing.x_pix.std(), np.hypot(0.02, 0.005), rtol=0.02)
    assert_allclose(pointing.y_pix.std(), 0.03, rtol=0.05)
    assert np.all(draw_pointing(None, 3, 5).x_pix == 0)
