"""Medians against numpy's."""

import numpy as np
import pytest

from detectorist.algorithms._medians_nb import median_near
from detectorist.algorithms.medians import median, typed_median

KINDS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "few values": lambda rng, shape: rng.integers(0, 5, shape).astype(float),
    "ascending": lambda rng, shape: np.sort(rng.normal(size=shape), axis=1),
    "all alike": lambda rng, shape: np.ones(shape),
    "outliers": lambda rng, shape: rng.standard_cauchy(shape),
    # The sample, every so many values, sees only the low half.
    "periodic": lambda rng, shape: np.where(np.arange(shape[1]) * 256 % shape[1] < 256, 0.0, rng.normal(5, 1, shape)),
    "infinite": lambda rng, shape: np.where(rng.random(shape) < 0.3, np.inf, rng.normal(size=shape)),
}


def medians_of_rows(values):
    return np.array([median(row) for row in values])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 100, 1024, 1025, 1026, 7001])
def test_medians_are_those_of_numpy(kind, n):
    values = KINDS[kind](np.random.default_rng(n), (7, n))
    np.testing.assert_array_equal(medians_of_rows(values), np.median(values, axis=1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 1024, 1025, 7001, 7002])
def test_medians_in_single_precision_are_those_of_numpy(kind, n):
    values = KINDS[kind](np.random.default_rng(n), (7, n)).astype(np.float32)
    np.testing.assert_array_equal([typed_median(row) for row in values], np.median(values, axis=1))


def test_a_row_with_nan_has_none():
    values = np.random.default_rng(1).normal(size=(3, 2000))
    values[1, 7] = np.nan
    found = medians_of_rows(values)
    assert np.isnan(found[1])
    np.testing.assert_array_equal(found[[0, 2]], np.median(values[[0, 2]], axis=1))


def test_no_values_have_none():
    assert np.isnan(medians_of_rows(np.empty((2, 0)))).all()


def test_values_of_several_axes_and_not_contiguous_are_taken_together(rng):
    values = rng.normal(size=(40, 50))[::2, ::3]
    assert median(values) == np.median(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 100, 1024, 7001])
@pytest.mark.parametrize(("guess", "reach"), [(0.0, 0.3), (0.01, 1e-6), (40.0, 1.0), (-1e9, 1e-3), (0.0, np.inf)])
def test_medians_near_a_guess_are_those_of_numpy_also_where_it_is_wrong(kind, n, guess, reach):
    values = KINDS[kind](np.random.default_rng(n), (3, n))
    found = [median_near(row, guess, reach, np.empty(n + 1)) for row in values]
    np.testing.assert_array_equal(found, np.median(values, axis=1))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("n", [4, 5, 5000, 5001])
def test_a_typed_median_has_the_type_that_numpy_gives_it(kind, n):
    values = (100 * np.random.default_rng(n).normal(size=n)).astype(kind)
    found, expected = typed_median(values), np.median(values)
    assert found.dtype == expected.dtype
    assert found == expected
