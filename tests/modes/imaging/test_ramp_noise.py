"""Noise of groups in the imaging pipeline's jump step and ramp fit."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stdatamodels.jwst.datamodels import ImageModel, RampModel, dqflags

from detectorist.modes.imaging.pipeline import jump_data_with_group_noise, lower_reference_rates, mend_jumps

SIZE, N_GROUPS, GAIN, READ, N_FRAMES = 64, 7, 2.0, 1.3, 8
REFERENCE = np.ones((SIZE, SIZE), bool)
REFERENCE[4:-4, 4:-4] = False


@pytest.mark.parametrize("stripes", [0.0, 3.0])
def test_jumps_are_sought_with_the_noise_between_groups(rng, stripes):
    light = np.cumsum(rng.poisson(60, (1, N_GROUPS, SIZE, SIZE)) / GAIN, axis=1)
    noise = READ * rng.normal(size=light.shape) + stripes * rng.normal(size=(1, N_GROUPS, SIZE, 1))
    ramp = RampModel((light * ~REFERENCE + noise).astype(np.float32))
    ramp.pixeldq = np.where(REFERENCE, np.uint32(dqflags.pixel["REFERENCE_PIXEL"]), np.uint32(0))
    ramp.meta.exposure.nframes = N_FRAMES
    gain = np.full((SIZE, SIZE), GAIN, np.float32)
    stated = np.full((SIZE, SIZE), READ * np.sqrt(2 * N_FRAMES), np.float32)
    found = jump_data_with_group_noise(ramp, gain, stated, dqflags.pixel).rnoise_2d / np.sqrt(2 * N_FRAMES)
    assert found.mean() == pytest.approx(np.hypot(READ, stripes), rel=0.2)
    assert_array_equal(np.asarray(ramp.data), (light * ~REFERENCE + noise).astype(np.float32))


def test_reference_pixels_lose_the_rate_that_they_were_lifted_by():
    rate = ImageModel((SIZE, SIZE))
    rate.data, rate.err = np.full((SIZE, SIZE), 1.5, np.float32), np.full((SIZE, SIZE), 0.5, np.float32)
    rate.var_poisson, rate.var_rnoise = np.full((2, SIZE, SIZE), np.float32([[[0.16]], [[0.09]]]))
    lower_reference_rates(rate, REFERENCE, 1.25)
    for array, inside, beside in (
        (rate.data, 1.5, 0.25),
        (rate.err, 0.5, 0.3),
        (rate.var_poisson, 0.16, 0),
        (rate.var_rnoise, 0.09, 0.09),
    ):
        assert np.asarray(array)[~REFERENCE] == pytest.approx(inside)
        assert np.asarray(array)[REFERENCE] == pytest.approx(beside)


@pytest.mark.parametrize("n_frames", [1, 8])
def test_hits_are_split_only_where_frames_are_averaged(n_frames):
    ramp = RampModel(np.full((1, 4, 9, 9), np.float32(30)) * np.arange(4, dtype=np.float32)[:, None, None])
    ramp.data[0, 1:, 4, 4] += np.float32([200, 600, 600])
    ramp.groupdq = np.zeros((1, 4, 9, 9), np.uint8)
    ramp.groupdq[0, 2:, 4, 4] = dqflags.pixel["JUMP_DET"]
    ramp.pixeldq = np.zeros((9, 9), np.uint32)
    ramp.meta.exposure.nframes = n_frames
    gain, noise = np.full((2, 9, 9), np.float32([[[2.0]], [[5.0]]]))
    assert mend_jumps(ramp, gain, noise) == ({"split_hits": 1} if n_frames > 1 else {})
    jumps = np.asarray(ramp.groupdq)[0, :, 4, 4] > 0
    assert_array_equal(jumps, [False, True, True, False] if n_frames > 1 else [False, False, True, True])
