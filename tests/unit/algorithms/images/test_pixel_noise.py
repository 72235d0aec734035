import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.images.pixel_noise import bridge_rows, complete_variance, typical_variance


@pytest.fixture
def noise(rng):
    sigma = np.linspace(1, 3, 10)
    return sigma * rng.normal(size=(40, 60, 10)), np.tile(sigma, (40, 60, 1))


def test_known_errors_are_squared(noise):
    data, err = noise
    assert_array_equal(complete_variance(data, err), err**2)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_unknown_pixels_take_their_neighbours(noise, bad):
    data, err = noise
    some = err.copy()
    some[:, 20, 3] = bad
    some[2, 0, 0] = bad
    assert_allclose(complete_variance(data, some), err**2)
    assert_array_equal(some[:, 20, 3], np.full(40, bad))


@pytest.mark.parametrize("n_ints", [40, 3])
@pytest.mark.parametrize("err", ["none", "zero", "nan"])
def test_without_errors_the_scatter_counts(noise, n_ints, err):
    data, truth = noise[0][:n_ints], noise[1][:n_ints]
    given = {"none": None, "zero": np.zeros(data.shape), "nan": np.full(data.shape, np.nan)}[err]
    got = complete_variance(data, given)
    assert got.shape == data.shape
    assert_allclose(np.median(got / truth**2), 1.0, atol=0.1)
    assert np.quantile(abs(got / truth**2 - 1), 0.9) < 0.8


def test_nothing_known_is_nan():
    assert np.isnan(complete_variance(np.full((9, 5, 6), np.nan), None)).all()
    assert np.isnan(complete_variance(np.ones((1, 2, 6)), None)).all()


def test_bridge_reaches_three_rows():
    column = np.arange(10.0)[:, None].copy()
    column[[4, 5]] = np.nan
    assert_allclose(bridge_rows(column)[[4, 5], 0], [np.mean([1, 2, 3, 6, 7]), np.mean([2, 3, 6, 7, 8])])
    column[:] = np.nan
    column[0] = 1
    assert_array_equal(np.isnan(bridge_rows(column))[:, 0], [False] * 4 + [True] * 6)


def test_typical_variance_is_a_median_without_nan():
    variance = np.ones((5, 2, 2))
    variance[0], variance[1, 0, 0] = 100.0, np.nan
    assert_array_equal(typical_variance(variance), np.ones((2, 2)))
    assert np.isnan(typical_variance(np.full((3, 1, 1), np.nan))).all()
