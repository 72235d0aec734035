"""Stripes of every group of ramps: slopes, parts of ramps, and what must stay."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.flicker.destripe_groups import destripe_ramps
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.errors import ParameterError, TooFewPixels

SIZE, READ, STRIPES = 128, 6.0, 6.0
TIMES = 50.0 * np.arange(1, 6)


def pink(rng):
    n = SIZE * (SIZE + 12)
    frequency = np.fft.rfftfreq(n)
    frequency[0] = np.inf
    waves = (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)) / np.sqrt(frequency)
    line = np.fft.irfft(waves, n)
    return STRIPES * (line / line.std()).reshape(SIZE, -1)[:, :SIZE]


@pytest.fixture
def scene(rng):
    """(ramps, stripes, light): two integrations with kTC noise, a field of stars, 1/f noise in each group."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    light = 0.3 + np.zeros((SIZE, SIZE))
    for _ in range(10):
        y, x = rng.uniform(5, SIZE - 5, 2)
        light += rng.uniform(0.5, 4) * np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 1.6**2)
    stripes = np.array([[pink(rng) for _ in TIMES] for _ in range(2)])
    ktc = 30 * rng.normal(size=(2, 1, SIZE, SIZE))
    ramps = light * TIMES[:, None, None] + ktc + stripes + READ * rng.normal(size=stripes.shape)
    return ramps.astype(np.float32), stripes, light


def destriped(ramps, flags=None, **changes):
    flags = np.zeros(ramps.shape, np.uint8) if flags is None else flags
    settings = {"readout": alternating_readout(SIZE, 1), **changes}
    bad = settings.pop("bad", np.zeros(ramps.shape[2:], bool))
    return destripe_ramps(ramps, flags, TIMES, bad, **settings)


def slopes(ramps, groups=slice(None)):
    times = TIMES[groups] - TIMES[groups].mean()
    return np.einsum("igyx,g->iyx", ramps[:, groups], times / (times**2).sum())


def rows(images, sky):
    return np.array([np.mean(one, axis=1, where=sky) for one in images]).std()


@pytest.mark.parametrize("method", ["flicker", "median"])
@pytest.mark.parametrize("groups", [slice(None), slice(0, 3)], ids=["all groups", "the first three"])
def test_slopes_lose_their_stripes(scene, method, groups):
    ramps, _, light = scene
    before = ramps.copy()
    found = destriped(ramps, method=method)
    assert_array_equal(ramps, before)
    sky = light < 0.305
    left = slopes(ramps - found.stripes, groups) - light
    assert rows(left, sky) < 0.45 * rows(slopes(ramps, groups) - light, sky)
    error = left[:, sky].std() / np.sqrt(sky.sum())
    assert abs(np.median(left[:, sky])) < 5 * error + 2e-3
    # The stars are left: their own slopes do not change by more than noise does.
    assert abs((left[:, light > 1]).mean()) < 0.1


def test_the_variance_is_that_of_the_slopes(scene):
    ramps, _, light = scene
    found = destriped(ramps)
    sky = light < 0.305
    left = (slopes(ramps - found.stripes) - light)[:, sky]
    white = READ**2 / ((TIMES - TIMES.mean()) ** 2).sum()
    pull = left / np.sqrt(white + found.slopes.variance_change[:, sky])
    assert_allclose(1.4826 * np.median(np.abs(pull - np.median(pull))), 1, atol=0.06)


def test_flagged_ramps_tell_nothing_and_lose_their_stripes(scene, rng):
    ramps, _, light = scene
    flags = np.zeros(ramps.shape, np.uint8)
    hit = rng.random((SIZE, SIZE)) < 0.1
    flags[0, 3][hit] = 4
    hurt = ramps.copy()
    hurt[0, 3:, hit] += 1e4
    got, clean = destriped(hurt, flags), destriped(ramps, flags)
    assert_array_equal(got.stripes, clean.stripes)
    before, after = (slopes(one, slice(0, 3))[0] - light for one in (ramps, ramps - got.stripes))
    assert after[hit].std() < 0.95 * before[hit].std()


def test_offsets_of_ramps_stay(scene):
    ramps, _, _ = scene
    found = destriped(ramps)
    assert_allclose(found.stripes.mean(axis=1), 0, atol=1e-3)


def test_bad_input_is_named(scene):
    ramps, _, _ = scene
    with pytest.raises(ParameterError, match="one group"):
        destripe_ramps(
            ramps[:, :1],
            np.zeros((2, 1, SIZE, SIZE), np.uint8),
            TIMES[:1],
            np.zeros((SIZE, SIZE), bool),
            readout=alternating_readout(SIZE, 1),
        )
    with pytest.raises(ParameterError, match="groupdq"):
        destriped(ramps, np.zeros(ramps.shape[1:], np.uint8))
    with pytest.raises(TooFewPixels, match="whole ramp"):
        destriped(ramps, np.full(ramps.shape, 4, np.uint8))
