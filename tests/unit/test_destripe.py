"""Destriping as a whole: light and noise are treated apart, image by image."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms import destripe as whole
from detectorist.algorithms.flicker import alternating_readout
from detectorist.errors import ParameterError

NY, NX = 192, 256
WHITE = 0.02
READOUT = alternating_readout(NX, 4)


def make(rng, n=1, *, sky=0.3, rows=0.015):
    light = sky + np.zeros((NY, NX))
    yy, xx = np.mgrid[:NY, :NX]
    for y, x in rng.uniform(5, 185, (15, 2)):
        light += np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 1.8**2)
    stripes = np.repeat(rows * rng.normal(size=(n, NY, 4)), NX // 4, axis=2)
    stripes -= stripes.mean(axis=(1, 2), keepdims=True)
    return light, stripes, light + stripes + WHITE * rng.normal(size=(n, NY, NX))


@pytest.mark.parametrize("method", ["flicker", "median"])
@pytest.mark.parametrize("n", [1, 3])
def test_rows_are_levelled_and_the_sky_stays(rng, method, n):
    _, stripes, images = make(rng, n)
    before = images.copy()
    got = whole.destripe(images, np.zeros(images.shape, bool), readout=READOUT, method=method)
    left = stripes - got.horizontal - got.vertical
    # A row tells its level to 0.02 / 16, its median to a quarter more; steps are not what flicker models.
    assert left.mean(axis=2).std() < 2 * WHITE / np.sqrt(NX)
    assert np.abs(left.mean(axis=(1, 2))).max() < 1e-3
    assert_array_equal(images, before)
    assert got.tier.dtype == np.uint8
    assert_array_equal(got.mask, got.tier > 0)


def test_the_sky_of_a_flat_field_is_no_noise(rng):
    flat = 1 + 0.15 * np.cos(np.arange(NX) / 15.0) * np.ones((NY, 1))
    flat[3, 4] = np.nan
    light, stripes, images = make(rng, sky=5.0)
    images += light * (np.nan_to_num(flat, nan=1) - 1)
    for method in ("flicker", "median"):
        got = whole.destripe(images, np.zeros(images.shape, bool), readout=READOUT, method=method, flat=flat)
        left = stripes - got.horizontal - got.vertical
        assert left.mean(axis=1).std() < 0.004


def test_a_given_mask_is_used(rng):
    _, _, images = make(rng)
    mask = rng.random((NY, NX)) < 0.3
    got = whole.destripe(images, np.zeros(images.shape, bool), readout=READOUT, mask=mask)
    assert_array_equal(got.mask, mask)
    hurt = images.copy()
    hurt[:, mask] = 1e6
    assert_allclose(
        whole.destripe(hurt, np.zeros(images.shape, bool), readout=READOUT, mask=mask).horizontal, got.horizontal
    )


def test_bad_input_is_named(rng):
    _, _, images = make(rng)
    bad = np.zeros(images.shape, bool)
    with pytest.raises(ParameterError, match="method"):
        whole.destripe(images, bad, readout=READOUT, method="mean")
    with pytest.raises(ParameterError, match="shape"):
        whole.destripe(images[0], bad[0], readout=READOUT)
    with pytest.raises(ParameterError, match="mask of shape"):
        whole.destripe(images, bad, readout=READOUT, mask=np.zeros((3, 3), bool))
