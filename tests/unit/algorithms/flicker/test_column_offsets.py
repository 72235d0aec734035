"""Offsets of columns: how certain they are where light is not masked."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.flicker import column_offsets as column_module
from detectorist.algorithms.flicker.column_offsets import COLUMN_PARTS, column_offsets, scatter_of_parts
from detectorist.algorithms.flicker.readout import alternating_readout

WHITE, NX, PIXELS = 0.02, 400, 16


@pytest.fixture
def counts(rng):
    """Usable pixels of each part of each column: some parts have none."""
    return rng.integers(0, PIXELS, (COLUMN_PARTS, NX)).astype(float)


def test_parts_with_the_noise_of_their_pixels_scatter_as_expected(rng, counts):
    totals = WHITE * np.sqrt(counts) * rng.normal(size=counts.shape)
    assert 1 <= scatter_of_parts(totals, counts, WHITE**2) < 1.1


def test_light_in_parts_makes_means_of_columns_as_uncertain_as_they_are(rng, counts):
    """The factor is that of the true errors of the means, to a fifth: a median over columns of skewed values."""
    light = 3 * WHITE / np.sqrt(PIXELS) * rng.normal(size=counts.shape)
    totals = WHITE * np.sqrt(counts) * rng.normal(size=counts.shape) + counts * light
    means = totals.sum(axis=0) / counts.sum(axis=0)
    true = float((means**2 * counts.sum(axis=0)).mean()) / WHITE**2
    assert true > 4
    assert scatter_of_parts(totals, counts, WHITE**2) == pytest.approx(true, rel=0.2)


def test_few_parts_or_no_pixels_tell_nothing():
    assert scatter_of_parts(np.ones((4, 5)), np.ones((4, 5)), 1e-9) == 1
    assert scatter_of_parts(np.zeros((COLUMN_PARTS, 5)), np.zeros((COLUMN_PARTS, 5)), WHITE**2) == 1


def test_columns_are_not_made_of_light_in_clumps(rng):
    """Clumps of 8 x 8 pixels scatter the means of columns, which have no offsets: next to nothing is subtracted."""
    ny = nx = 256
    clumps = np.kron(0.02 * rng.normal(size=(ny // 8, nx // 8)), np.ones((8, 8)))
    image = (clumps + WHITE * rng.normal(size=(ny, nx))).astype(np.float32)
    settings = {"level": 0.0, "white": WHITE, "clip": 1.0, "readout": alternating_readout(nx)}
    nothing = np.zeros((ny, nx), np.float32)
    found, variance = column_offsets(image, np.ones((ny, nx), bool), np.zeros(nx), nothing, **settings)
    assert found.std() < 0.3 * image.mean(axis=0).std()
    assert (variance >= 0).all()


def long_tailed(rng, wide_part, n=2048, core=0.004, wide=0.018, error=0.0045):
    offsets = rng.normal(size=n) * np.where(rng.random(n) < wide_part, wide, core)
    return offsets, offsets + error * rng.normal(size=n), np.full(n, error**2)


def test_large_offsets_of_a_few_columns_are_kept_and_usual_ones_shrunk(rng):
    """As of frames in flight: shrunk as one distribution, they leave a fifth more."""
    offsets, raw, error = long_tailed(rng, 0.18)
    shrunk, variance = column_module._shrunk(raw, error, 0.006**2)
    at_once = raw * 0.006**2 / (0.006**2 + error)
    left = shrunk - offsets
    assert left.std() < 0.87 * (at_once - offsets).std()
    assert_allclose((left / np.sqrt(variance)).std(), 1, atol=0.06)
    large = np.abs(offsets) > 0.03
    assert_allclose((shrunk[large] / offsets[large]).mean(), 1, atol=0.1)
    usual = np.abs(raw) < 0.004
    assert np.abs(shrunk[usual]).mean() < 0.6 * np.abs(raw[usual]).mean()


def test_offsets_of_one_distribution_are_shrunk_as_one(rng):
    _, raw, error = long_tailed(rng, 0.0)
    error[7] = np.inf
    raw[7] = 0.0
    shrunk, variance = column_module._shrunk(raw, error, 0.004**2)
    share = 0.004**2 / (0.004**2 + error)
    assert_allclose(shrunk, share * raw, rtol=1e-9)
    assert_allclose(variance, 0.004**2 * (1 - share), rtol=1e-9)
    nothing, none = column_module._shrunk(raw, error, 0.0)
    assert not nothing.any()
    assert not none.any()


def test_what_neighbouring_columns_share_is_light(rng):
    """The cusp of a galaxy is no polynomial; offsets beside it are told as well as without it."""
    nx = 320
    offsets, error = 0.01 * rng.normal(size=nx), 0.004
    cusp = 0.3 * np.exp(-np.abs(np.arange(nx) - 150) / 25.0)
    image = np.broadcast_to(offsets + cusp, (64, nx)) + 8 * error * rng.normal(size=(64, nx))
    found, _ = column_module.column_offsets(
        image.astype(np.float32),
        np.ones(image.shape, bool),
        np.zeros(nx),
        np.zeros(image.shape, np.float32),
        level=0.0,
        white=8 * error,
        clip=1e3,
        readout=alternating_readout(nx),
    )
    assert np.std(found - offsets) < 0.4 * cusp.std()
    beside = np.abs(np.arange(nx) - 150) > 60
    assert np.std((found - offsets)[beside]) < 1.6 * error
