"""Light of outskirts: what is smooth and faint is modelled, all else stays masked."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.images import diffuse_light

NY, NX = 240, 320
WHITE = 0.02
YY, XX = np.mgrid[:NY, :NX]


def make_galaxy(*, peak=1.0, scale=20.0, y=110, x=150):
    return peak * np.exp(-np.hypot(XX - x, (YY - y) / 0.8) / scale)


def model(image, mask, bad=None):
    bad = np.zeros(image.shape, bool) if bad is None else bad
    return diffuse_light.model_diffuse_light(image.astype(np.float32), bad, mask, white=WHITE)


def test_outskirts_are_recovered_to_the_noise_of_the_planes(rng):
    light = make_galaxy()
    mask = light > 0.001
    got = model(light + WHITE * rng.normal(size=light.shape), mask)
    assert got.light.dtype == np.float32
    assert not got.known[~mask].any()
    assert_array_equal(got.light[~got.known], 0)
    # Noise alone adds to the light where the threshold finds it, and bins are as wide as a fifth of the scale.
    assert got.known[mask & (light < 0.4 * WHITE)].mean() > 0.9
    assert got.known[light > 2 * WHITE].mean() < 0.02
    # A plane's level about its own place has the noise of 4 pi sigma^2 pixels; two fits have up to twice that.
    error = (got.light - light)[got.known]
    assert abs(error.mean()) < 2 * WHITE / np.sqrt(4 * np.pi * diffuse_light.KERNEL_PIX**2)
    assert error.std() < 4 * WHITE / np.sqrt(4 * np.pi * diffuse_light.KERNEL_PIX**2)


def test_a_plane_without_noise_is_exact_but_for_the_bins():
    slope = 2e-5
    light = slope * (XX + 2 * YY)
    mask = np.zeros(light.shape, bool)
    mask[60:180, 80:240] = True
    got = model(light, mask)
    assert got.known[mask].all()
    # Half a bin of either axis; the hundredth that keeps planes from swinging leaves nothing of it inside.
    assert_allclose(got.light[mask], light[mask], atol=1.5 * slope * (1 + 2) + 1e-6)


def test_compact_bright_and_narrow_sources_stay_masked(rng):
    light = make_galaxy(scale=25.0)
    star = 0.3 * np.exp(-0.5 * ((XX - 150) ** 2 + (YY - 195) ** 2) / 2.0**2)
    alone = np.hypot(XX - 290, YY - 20) < 14
    mask = (light > 0.003) | alone
    got = model(light + star + WHITE * rng.normal(size=light.shape), mask)
    assert not got.known[star > 0.01].any()
    assert not got.known[alone].any()
    # The star does not raise the light around it.
    near = got.known & (np.hypot(XX - 150, YY - 195) < 30)
    error = (got.light - light)[near]
    assert near.sum() > 500
    assert np.abs(error).mean() < 4 * WHITE / np.sqrt(4 * np.pi * diffuse_light.KERNEL_PIX**2)


def test_bad_pixels_have_no_influence_and_input_stays(rng):
    light = make_galaxy()
    image = (light + WHITE * rng.normal(size=light.shape)).astype(np.float32)
    mask, bad = light > 0.001, rng.random(light.shape) < 0.02
    hurt = np.where(bad, rng.choice([np.nan, 1e6, -1e6], light.shape), image).astype(np.float32)
    before = hurt.copy()
    got = model(hurt, mask, bad)
    assert_array_equal(hurt, before)
    assert_array_equal(got.light, model(np.where(bad, 0, image), mask, bad).light)


@pytest.mark.parametrize("shape", [(37, 50), (4, 4), (64, 61)])
def test_any_shape_is_taken(rng, shape):
    image = WHITE * rng.normal(size=shape)
    everywhere = np.ones(shape, bool)
    got = model(image, everywhere)
    assert got.light.shape == got.known.shape == shape
    nothing = model(image, ~everywhere)
    assert not nothing.known.any()
    assert not model(image, everywhere, bad=everywhere).known.any()


@pytest.mark.parametrize("n", [1, 2])
def test_rows_under_outskirts_are_known_from_their_own_pixels(rng, n):
    readout = alternating_readout(NX, 2)
    light = make_galaxy(peak=2.0, scale=22.0, x=80)
    rows = np.repeat(0.006 * rng.normal(size=(n, NY, 2)), NX // 2, axis=2)
    images = 0.3 + light + rows + WHITE * rng.normal(size=(n, NY, NX))
    bad = np.zeros(images.shape, bool)
    got = destripe(images, bad, readout=readout)
    assert (got.outskirts <= got.mask).all()
    masked = destripe(images, bad, readout=readout, mask=got.mask)
    assert not masked.outskirts.any()
    crossed = got.outskirts[:, : NX // 2].sum(axis=1) > 60
    assert crossed.sum() > 30
    left, unknown = (
        (rows - one.horizontal - one.vertical)[:, crossed, : NX // 2].mean(axis=2) for one in (got, masked)
    )
    # The mask fills these rows, and nothing tells their level; 60 pixels tell it to 0.02 / 8.
    assert unknown.std() > 0.005
    assert left.std() < 1.3 * WHITE / np.sqrt(60)
    bright = light > 0.3
    lost = (rows - got.horizontal - got.vertical)[:, bright].sum(axis=1) / light[bright].sum()
    assert_allclose(lost, 0, atol=0.005)
