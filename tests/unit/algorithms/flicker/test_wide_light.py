"""Wide light and the noise of rows: told apart, with neither taken for the other."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.flicker import wide_light
from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise

SIZE, WHITE = 512, 0.015
READOUT = alternating_readout(SIZE, 4)
ROW_PIX = READOUT.width + READOUT.overhead_pix


def levels_of_rows(rng, rms, rows):
    """A drift of `rms` that is forgotten after so many rows."""
    levels = np.zeros(SIZE)
    keep = np.exp(-1 / rows)
    for row in range(1, SIZE):
        levels[row] = keep * levels[row - 1] + rms * np.sqrt(1 - keep**2) * rng.normal()
    return levels


def galaxy(peak, scale):
    y, x = np.mgrid[:SIZE, :SIZE]
    return peak * np.exp(-np.hypot((y - 250) * 0.7, x - 200) / scale)


@pytest.fixture
def scene(rng):
    light = galaxy(0.3, 60)
    common = levels_of_rows(rng, 0.004, 4)
    own = np.repeat([levels_of_rows(rng, 0.002, 30) for _ in range(4)], SIZE // 4, axis=0).T
    image = 0.25 + light + common[:, None] + own + WHITE * rng.normal(size=(SIZE, SIZE))
    noise = FlickerNoise(WHITE**2, np.array([4.0, 30.0]) * ROW_PIX, np.array([1.6e-5, 0.0]), np.array([0.0, 4e-6]))
    return image.astype(np.float32), light, light < 2 * WHITE, noise


def test_wings_are_found_beside_noise_of_rows(scene):
    image, light, usable, noise = scene
    expected = wide_light.map_wide_light(image, usable)
    for _ in range(2):
        found, *_ = wide_light.solve_wide_light(image, usable, expected, noise=noise, white=WHITE, readout=READOUT)
        expected = np.maximum(found[::16, ::16] - 0.25, 0)
    wrong = np.where(usable, found - 0.25 - light, np.nan)
    assert np.nanstd(wrong) < 0.0015
    # Not a row's worth of the noise has become light: drifts of .0045 are there.
    assert np.nanstd(np.nanmean(wrong, axis=1)) < 0.0009


def test_light_that_was_subtracted_too_strongly_is_no_noise_of_rows(rng):
    """A hole, as a wisp leaves that was fainter here than elsewhere: rows that cross it must not follow it."""
    y, x = np.mgrid[:SIZE, :SIZE]
    hole = -0.012 * np.exp(-0.5 * (((y - 300) / 60) ** 2 + ((x - 440) / 30) ** 2))
    drift = np.repeat([levels_of_rows(rng, 0.001, 30) for _ in range(4)], SIZE // 4, axis=0).T
    image = (0.25 + drift + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32)
    noise = FlickerNoise(WHITE**2, np.array([30.0]) * ROW_PIX, np.array([0.0]), np.array([1e-6]))
    usable, found = np.ones(image.shape, bool), []
    for one in (image, image + hole.astype(np.float32)):
        expected = wide_light.map_wide_light(one, usable)
        for _ in range(2):
            light, *_ = wide_light.solve_wide_light(one, usable, expected, noise=noise, white=WHITE, readout=READOUT)
            expected = wide_light.light_over_darkest(light)
        found.append(light)
    followed = found[1] - found[0]
    region = np.s_[270:330, 410:470]
    followed = followed[region].mean() - followed[:150, 410:470].mean()
    assert abs(followed / hole[region].mean() - 1) < 0.25


def test_without_light_there_is_none(rng):
    drift = np.repeat([levels_of_rows(rng, 0.003, 10) for _ in range(4)], SIZE // 4, axis=0).T
    image = (0.25 + drift + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32)
    noise = FlickerNoise(WHITE**2, np.array([10.0]) * ROW_PIX, np.array([0.0]), np.array([9e-6]))
    usable = np.ones(image.shape, bool)
    found, *_ = wide_light.solve_wide_light(
        image, usable, np.zeros((32, 32)), noise=noise, white=WHITE, readout=READOUT
    )
    assert found.std() < 0.0004
    assert abs(found.mean() - image.mean()) < 0.001


@pytest.mark.parametrize("own", [0.0, 0.25, 1.0])
def test_slow_noise_of_single_outputs_is_found_where_the_spectrum_has_none(own, rng):
    """Variograms may miss it: the likeliest part of the common noise is found, and light does not take it up."""
    common = levels_of_rows(rng, 0.003, 20)
    drift = np.repeat([levels_of_rows(rng, 0.003 * np.sqrt(own), 20) for _ in range(4)], SIZE // 4, axis=0).T
    image = (0.25 + common[:, None] + drift + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32)
    noise = FlickerNoise(WHITE**2, np.array([20.0]) * ROW_PIX, np.array([9e-6]), np.array([0.0]))
    expected, usable = np.zeros((32, 32)), np.ones(image.shape, bool)
    light, part, _ = wide_light.solve_wide_light(image, usable, expected, noise=noise, white=WHITE, readout=READOUT)
    assert part == pytest.approx(own, rel=1.05, abs=0.04)
    assert light.std() < 0.0004


def test_covariance_of_offsets_and_its_determinant_are_those_of_the_whole():
    noise = FlickerNoise(WHITE**2, np.array([20.0, 60.0]) * ROW_PIX, np.array([9e-6, 2e-6]), np.array([1e-6, 3e-6]))
    rows = np.arange(0, 161, wide_light.BIN[0])
    inverse, log_determinant = wide_light._inverse_covariance(rows, READOUT, noise, WHITE)
    whole = np.linalg.inv(inverse)
    assert_allclose(log_determinant, np.linalg.slogdet(whole)[1], rtol=1e-6)
    n = len(rows) - 1
    assert_allclose(whole[:n, n : 2 * n], whole[:n, 3 * n :], atol=1e-12)
    assert whole[0, 0] == pytest.approx(whole[0, n] + (wide_light.LEVEL * WHITE) ** 2 + 4e-6, rel=0.1)


def test_masked_pixels_have_no_influence(scene):
    image, _, usable, noise = scene
    expected = np.zeros((32, 32))
    settings = {"noise": noise, "white": WHITE, "readout": READOUT}
    clean, *_ = wide_light.solve_wide_light(image, usable, expected, **settings)
    hurt = np.where(usable, image, 1e6).astype(np.float32)
    assert_array_equal(wide_light.solve_wide_light(hurt, usable, expected, **settings)[0], clean)


def test_wings_of_a_masked_star_are_masked_and_the_sky_is_not(rng):
    y, x = np.mgrid[:SIZE, :SIZE]
    star = 40 / (1 + np.hypot(y - 200, x - 300) / 4) ** 3
    image = (star + WHITE * rng.normal(size=star.shape)).astype(np.float32)
    mask = star > 0.05
    wings = wide_light.mask_wings(image, ~mask, mask)
    assert not (wings & mask).any()
    assert wings[(star > 0.006) & ~mask].mean() > 0.9
    assert wings[star < 0.0005].mean() < 0.1


def test_holes_are_masked_and_noise_is_not(rng):
    """The core of a snowball whose rate came out too low: no source, yet it would lower its rows."""
    y, x = np.mgrid[:SIZE, :SIZE]
    core = np.hypot(y - 300, x - 150) < 22
    image = (WHITE * rng.normal(size=(SIZE, SIZE)) - 0.018 * core).astype(np.float32)
    everything, nothing = np.ones(image.shape, bool), np.zeros(image.shape, bool)
    found = wide_light.mask_wings(image, everything, nothing)
    assert found[core].mean() > 0.95
    assert found[np.hypot(y - 300, x - 150) > 50].mean() < 0.01


def test_a_galaxy_that_fills_a_subarray_keeps_its_light():
    """Read through one output, where no other tells the noise: all that was not masked of it was taken for noise."""
    size, white, after, before = 320, 0.06, [], []
    y, x = np.mgrid[:size, :size]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        light = 0.3 + 1.5 * np.exp(-np.hypot((y - 150) * 0.8 + (x - 140) * 0.4, x - 140) / 60)
        rows = np.convolve(rng.normal(size=size + 9), np.full(10, 0.02 / np.sqrt(10)), mode="valid")
        image = (light + rows[:, None] + white * rng.normal(size=light.shape))[None]
        readout = alternating_readout(size, 1)
        found = destripe(image, np.zeros(image.shape, bool), readout=readout, flat=np.ones(light.shape))
        left = rows[:, None] - found.horizontal[0] - found.vertical[0]
        after.append(np.std(left - left.mean()))
        before.append(rows.std())
    assert np.mean(after) < 0.9 * np.mean(before)
