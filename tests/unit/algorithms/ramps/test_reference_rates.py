"""Reference pixels are fitted with the weights of the sky, and have the rate of their noise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.ramps.reference_rates import lift, sky_step
from detectorist.engine.ramp_fit import fit_ramps

N_GROUPS, SIZE, SKY = 7, 64, 30.0  # SKY in DN a group
BORDER = np.ones((SIZE, SIZE), bool)
BORDER[4:-4, 4:-4] = False


@pytest.fixture
def ramp(rng):
    """Return sky with photon noise, noise of groups that all pixels share, and reference pixels without light."""
    photons = np.cumsum(rng.poisson(2 * SKY, (N_GROUPS, SIZE, SIZE)) / 2, axis=0) * ~BORDER
    return (photons + 3 * rng.normal(size=(N_GROUPS, 1, 1)))[None].astype(np.float32)


def rates_of(ramp):
    flags, gain = np.zeros(ramp.shape, np.uint8), np.full((SIZE, SIZE), 2, np.float32)
    settings = {"group_time_s": 1.0, "frame_time_s": 0.1, "n_frames": 8}
    return fit_ramps(ramp, flags, flags[0, 0], gain, 3 * gain, **settings).rate.slope.astype(float)


def test_the_sky_is_that_of_good_ramps(ramp, rng):
    flags = np.zeros(ramp.shape, np.uint8)
    flags[0, 3, 8:16] = 4
    ramp[0, :, 8:16] *= 50
    ramp[0, :, 24] = np.nan
    assert sky_step(ramp, flags, BORDER) == pytest.approx(SKY, rel=0.1)
    assert sky_step(ramp, flags, np.ones_like(BORDER)) == 0
    assert sky_step(ramp[:, :1], flags[:, :1], BORDER) == 0
    assert sky_step(-ramp, flags, BORDER) == 0


def test_reference_pixels_alone_are_lifted_and_can_be_put_back(ramp):
    before = ramp.copy()
    held = lift(ramp, BORDER, SKY)
    assert_array_equal(ramp[:, :, ~BORDER], before[:, :, ~BORDER])
    assert_allclose(ramp[0, :, 0, 0] - before[0, :, 0, 0], SKY * np.arange(N_GROUPS), rtol=1e-5)
    ramp[:, :, BORDER] = held
    assert_array_equal(ramp, before)


def test_reference_pixels_tell_the_noise_of_the_sky(ramp):
    """Noise of groups reaches the rates of both alike; unlifted, reference pixels weight groups otherwise."""
    noise = ramp[0, :, 0, 0] - ramp[0, 0, 0, 0]
    without = ramp - noise[:, None, None]
    of_sky = (rates_of(ramp) - rates_of(without))[~BORDER].mean()
    unlifted = rates_of(ramp)[0, 0]
    lift(ramp, BORDER, SKY)
    lifted = rates_of(ramp)[0, 0] - SKY
    assert lifted == pytest.approx(of_sky, abs=0.02)
    assert abs(unlifted - of_sky) > 5 * abs(lifted - of_sky)
