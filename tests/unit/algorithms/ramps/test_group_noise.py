"""The noise of groups is measured beside photon noise, and jumps found with it do not darken the sky."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.ramps.group_noise import (
    measure_group_noise,
    measure_shared_noise,
    noise_of_slopes,
    raise_read_noise,
)
from detectorist.engine.jump import flag_jumps
from detectorist.engine.ramp_fit import fit_ramps

N_GROUPS, SIZE, GAIN, READ, SKY = 7, 256, 2.0, 1.35, 27.0  # DN, SKY in DN a group
NO_PIXEL = np.zeros((SIZE, SIZE), bool)
GAIN_2D = np.full((SIZE, SIZE), GAIN, np.float32)


def ramp_of(rng, stripes):
    """Return ramps of a flat sky with noise of rows, a different one in every group, and one bright source."""
    steps = rng.poisson(SKY * GAIN, (N_GROUPS, SIZE, SIZE)) / GAIN
    steps[:, 40:60, 40:60] *= 30
    rows = stripes * rng.normal(size=(N_GROUPS, SIZE, 1))
    return (np.cumsum(steps, axis=0) + rows + READ * rng.normal(size=steps.shape))[None].astype(np.float32)


@pytest.mark.parametrize("stripes", [0.0, 1.0, 3.0])
def test_noise_of_groups_is_measured_without_that_of_photons(rng, stripes):
    ramp, flags = ramp_of(rng, stripes), np.zeros((1, N_GROUPS, SIZE, SIZE), np.uint8)
    ramp[0, 3:, ::7, ::5] += 900.0
    found = measure_group_noise(ramp, flags, NO_PIXEL, GAIN_2D)
    assert found == pytest.approx(READ**2 + stripes**2, rel=0.25)
    ramp[0, 2, :, ::2] = np.nan
    assert measure_group_noise(np.tile(ramp, (9, 1, 1, 1)), np.tile(flags, (9, 1, 1, 1)), NO_PIXEL, GAIN_2D) == 0
    flags[0, 3, ::4] = 4
    assert measure_group_noise(ramp, flags, NO_PIXEL, GAIN_2D) == 0
    assert measure_group_noise(ramp[:, :2], 0 * flags[:, :2], NO_PIXEL, GAIN_2D) == 0


def test_read_noise_is_raised_by_what_it_lacks():
    read_noise = np.array([[4.0, 5.0, 6.0, np.nan]], np.float32)
    assert raise_read_noise(read_noise, 25 / 16, 8) is read_noise
    raised = raise_read_noise(read_noise, 25 / 16 + 3, 8)
    assert_allclose(raised, np.sqrt(read_noise**2 + 48), rtol=1e-6)
    assert raised.dtype == np.float32
    unknown = np.full((2, 2), np.nan, np.float32)
    assert raise_read_noise(unknown, 5.0, 8) is unknown


def test_jumps_found_with_it_do_not_darken_the_sky(rng):
    ramp, flags = ramp_of(rng, 2.2), np.zeros((1, N_GROUPS, SIZE, SIZE), np.uint8)
    pixels, n_frames = flags[0, 0].astype(np.uint32), 8
    read_noise = np.full((SIZE, SIZE), READ * np.sqrt(2 * n_frames), np.float32)
    sky = NO_PIXEL.copy()
    sky[80:] = True

    def level_and_flagged(noise, flagged):
        settings = {"group_time_s": 1.0, "frame_time_s": 0.1, "n_frames": n_frames}
        rate = fit_ramps(ramp, flagged, pixels, GAIN_2D, noise, **settings).rate.slope
        return rate[sky].mean(dtype=float) / SKY - 1, (flagged > 0).any(axis=1)[0][sky].mean()

    def jumps(noise):
        return flag_jumps(ramp, flags.copy(), pixels, GAIN_2D, noise, n_frames=n_frames, threshold_sigma=4.0).groupdq

    whole, _ = level_and_flagged(read_noise, flags)
    stated, n_stated = level_and_flagged(read_noise, jumps(read_noise))
    raised = raise_read_noise(read_noise, measure_group_noise(ramp, flags, NO_PIXEL, GAIN_2D), n_frames)
    counted, n_counted = level_and_flagged(read_noise, jumps(raised))
    assert n_stated > 4 * n_counted
    assert abs(counted - whole) < 0.001
    assert abs(counted - whole) < 0.3 * abs(stated - whole)


@pytest.mark.parametrize("stripes", [0.3, 1.0, 3.0])
def test_noise_that_neighbours_share_is_told_from_that_of_pixels(rng, stripes):
    """Light that changes from row to row, as of a galaxy along the rows, is none of it."""
    ramp, flags = ramp_of(rng, stripes), np.zeros((1, N_GROUPS, SIZE, SIZE), np.uint8)
    ramp += np.arange(N_GROUPS)[:, None, None] * 20 * np.sin(np.arange(SIZE) / 9)[:, None]
    ramp[0, 3:, ::7, ::5] += 900.0
    # A row is a sample of its noise: there are 5 x 256 of them; white noise makes 0.03.
    assert measure_shared_noise(ramp, flags, NO_PIXEL) == pytest.approx(stripes**2, rel=0.2, abs=0.1)


def test_shared_noise_is_unknown_where_nothing_tells(rng):
    ramp, flags = ramp_of(rng, 1.0), np.zeros((1, N_GROUPS, SIZE, SIZE), np.uint8)
    assert measure_shared_noise(ramp, flags, ~NO_PIXEL) is None
    assert measure_shared_noise(ramp[:, :2], flags[:, :2], NO_PIXEL) is None
    assert measure_shared_noise(np.full_like(ramp, np.nan), flags, NO_PIXEL) is None


def test_noise_of_slopes_is_that_of_straight_lines(rng):
    times = 3.0 * np.arange(N_GROUPS)
    slopes = np.polyfit(times, 2.0 * rng.normal(size=(N_GROUPS, 40_000)), 1)[0]
    assert noise_of_slopes(4.0, N_GROUPS, 3.0) == pytest.approx(slopes.std(), rel=0.03)
    assert noise_of_slopes(4.0, N_GROUPS, 3.0, 4) == pytest.approx(slopes.reshape(4, -1).mean(axis=0).std(), rel=0.04)
