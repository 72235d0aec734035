"""Noise of rows beside filaments and faint stars: light as smooth from row to row as along them is not noise."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.fine_light import estimate_beside_light, map_fine_light
from detectorist.algorithms.flicker.group_spectrum import noise_of_groups
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.flicker.reference_rows import reference_rows
from detectorist.algorithms.flicker.smoother import estimate_flicker

SIZE, WHITE = 512, 0.02
READOUT = alternating_readout(SIZE, 4)


def filaments(rng, strength, *, size=SIZE):
    """Light over the right half of a frame, textured on scales of 8 to 60 pixels."""
    texture = sum(
        k**0.6 * one / one.std()
        for k in (8, 20, 60)
        for one in [ndimage.gaussian_filter(rng.normal(size=(size,) * 2), k)]
    )
    edge = 1 / (1 + np.exp(-(np.arange(size) - size / 2) / 30.0))
    return strength * edge * np.exp(0.55 * texture / texture.std())


def rows_of_outputs(rng, fast=0.002, slow=2e-4, *, size=SIZE):
    """Noise of rows, (size, 4): one value for each row of each output, fast and slow."""
    common = np.cumsum(slow * rng.normal(size=size))[:, None] + fast * rng.normal(size=(size, 1))
    return common + 0.5 * fast * rng.normal(size=(size, 4))


def on_pixels(rows):
    return np.repeat(rows, len(rows) // 4, axis=1)


@pytest.fixture
def border():
    reference = np.ones((SIZE, SIZE), bool)
    reference[4:-4, 4:-4] = False
    return reference


def test_without_unmasked_light_it_is_the_same_estimate(rng):
    image = (on_pixels(rows_of_outputs(rng)) + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    one, other = (f(image, mask, readout=READOUT) for f in (estimate_flicker, estimate_beside_light))
    np.testing.assert_array_equal(one.pattern, other.pattern)


def test_fast_noise_of_rows_is_found_beside_light_that_is_not_known(rng, border):
    """Trusting rows little, a first estimate leaves most of it; the second hardly any, and less of it in the light."""
    noise = on_pixels(rows_of_outputs(rng, 0.004, 0.0))
    light = filaments(rng, 0.05)
    light -= ndimage.gaussian_filter(light, 48)
    light[border] = 0
    pixels = np.where(border, 0.003, WHITE) * rng.normal(size=light.shape)
    settings = {"readout": READOUT, "references": None}

    def left(estimate, image, **more):
        found = estimate(image.astype(np.float32), border, **(settings | more))
        rest = (found.total - noise).reshape(SIZE, 4, -1).mean(axis=2)
        return (rest - ndimage.gaussian_filter1d(rest, 30, axis=0)).std(axis=0)

    lit = noise + light + pixels
    beside = {"unmasked_light": 150 * WHITE**2, "references": reference_rows(lit[None], border)}
    first, second = (left(f, lit, **beside) for f in (estimate_flicker, estimate_beside_light))
    empty = left(estimate_flicker, noise + pixels)
    assert (first[:2] > 1.4 * empty[:2]).all()
    assert (second[:2] < 1.1 * empty[:2]).all()
    assert (second[2:] < 1.05 * first[2:]).all()


def test_white_noise_has_no_fine_light(rng):
    usable = rng.random((SIZE, SIZE)) > 0.3
    found = map_fine_light((WHITE * rng.normal(size=usable.shape)).astype(np.float32), usable, white=WHITE)
    assert (found == 0).mean() > 0.99


@pytest.mark.parametrize("n_rows", [512, 509])
def test_fine_light_is_mapped_where_it_is(rng, n_rows):
    light = filaments(rng, 0.02)[:n_rows]
    light -= ndimage.gaussian_filter(light, 48)
    image = light + WHITE * rng.normal(size=light.shape)
    usable = rng.random(light.shape) > 0.3
    found = map_fine_light(np.where(usable, image, 1e3).astype(np.float32), usable, white=WHITE)
    assert found.shape == light.shape
    bright, dark = np.s_[:, 320:], np.s_[:, :128]
    assert (found - light)[bright].std() < 0.45 * light[bright].std()
    assert np.abs(found[dark]).max() < 0.25 * WHITE


def exposure(rng, light, reference, n_groups=6):
    """Return a rate, the noise of rows in it, and the noise that its groups tell; light (ny, nx) in DN/s."""
    times = 10.0 * np.arange(1, n_groups + 1)
    noise = np.stack([on_pixels(rows_of_outputs(rng, 0.06, 0.006)) for _ in times])
    noise -= noise[:, reference].mean(axis=1)[:, None, None]
    ramp = np.cumsum(rng.poisson(np.broadcast_to(20.0 * light, noise.shape)), axis=0) / 2.0
    ramp = (ramp + noise + 0.5 * rng.normal(size=ramp.shape))[None].astype(np.float32)
    weight = (times - times.mean()) / ((times - times.mean()) ** 2).sum()
    told = noise_of_groups(ramp, np.zeros(ramp.shape, np.uint8), reference, readout=READOUT, times_s=times)
    return np.tensordot(weight.astype(np.float32), ramp[0], 1), np.tensordot(weight, noise, 1), told


def test_a_nebula_keeps_its_light_and_outputs_the_levels_of_their_reference_pixels(border):
    """First estimates take a bright one for noise, level by level of the outputs, and rounds did not undo it."""
    nebula = np.where(border, 0, filaments(np.random.default_rng(102), 0.5))
    image, noise, told = exposure(np.random.default_rng(2), np.where(border, 0, 0.25 + nebula), border)
    got = destripe(image[None], border[None], readout=READOUT, reference=border, group_noise=told)
    left = np.where(border, 0, got.horizontal[0] + got.vertical[0] - noise)
    assert abs(left.sum()) < 0.005 * nebula.sum()
    levels = left[4:-4].reshape(SIZE - 8, 4, -1).mean(axis=(0, 2))
    assert np.abs(levels[[0, 3]]).max() < 5e-4
