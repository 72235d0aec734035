"""Light curves: sums, scatter, bins."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.spectra.light_curves import (
    hours_since_first,
    point_to_point_scatter,
    scatter_of_bins,
    sum_wavelengths,
)


def test_sum_leaves_out_wavelengths_that_are_missing_once(rng):
    wavelength = np.array([np.nan, 5.5, 6.0, 7.0, 20.0])
    flux = 100 + rng.normal(size=(50, 5))
    flux[3, 2] = np.nan
    error = np.ones_like(flux)
    got = sum_wavelengths(wavelength, flux, error)
    total = flux[:, 1] + flux[:, 3]
    assert_allclose(got.flux, total / np.median(total))
    assert_allclose(got.error, np.sqrt(2) / np.median(total))


@pytest.mark.parametrize("unknown", [[], [0], [3], [9], [0, 1, 5, 9]])
def test_times_that_are_unknown_lie_between_the_others(unknown):
    time = 60000 + np.arange(10) / 240
    time[unknown] = np.nan
    assert_allclose(hours_since_first(time), 0.1 * np.arange(10), atol=1e-7)


def test_without_most_times_integrations_are_counted():
    assert_allclose(hours_since_first(np.full(4, np.nan)), [0, 1, 2, 3])
    assert_allclose(hours_since_first([60000.0, *[np.nan] * 5]), np.arange(6))


def test_sum_refuses_an_empty_range():
    with pytest.raises(ValueError, match="no wavelength between 5.0 and 12.0"):
        sum_wavelengths(np.array([20.0]), np.ones((3, 1)), np.ones((3, 1)))


def test_scatter_is_the_noise_whatever_the_slope(rng):
    time = np.linspace(-1, 1, 4000)
    flux = 1 + 0.05 * time + 0.02 * time**2 + 0.001 * rng.normal(size=time.size)
    # The median of 3998 correlated second differences is known to about 2 %.
    assert_allclose(point_to_point_scatter(flux), 0.001, rtol=0.08)


def test_scatter_of_two_values_is_unknown():
    assert np.isnan(point_to_point_scatter(np.ones(2)))


def test_bins_of_white_noise_fall_with_the_square_root(rng):
    flux = rng.normal(size=2**14)
    sizes, scatters, errors = scatter_of_bins(flux)
    assert sizes[0] == 1
    assert sizes[-1] * 4 <= flux.size
    expected_error = 1 / np.sqrt(2 * (flux.size // sizes - 1))
    assert_allclose(errors / scatters, expected_error)
    pull = (scatters * np.sqrt(sizes) - 1) / expected_error
    assert np.abs(pull).max() < 4.5


@pytest.mark.parametrize("n_ints", [2, 3, 40])
def test_scatters_of_many_curves_are_those_of_each(rng, n_ints):
    flux = rng.normal(size=(n_ints, 30))
    flux[n_ints // 2, ::4] += 50
    flux[-1, ::7] = np.nan
    flux[:, 3] = np.nan
    one_by_one = [point_to_point_scatter(curve) for curve in flux.T]
    assert_allclose(point_to_point_scatter(flux), one_by_one, rtol=1e-13)


def test_a_scatter_is_that_of_the_second_differences_which_are_there(rng):
    flux = rng.normal(size=60)
    flux[[7, 30]] = np.nan, np.inf
    second = np.diff(flux, 2)
    second = second[np.isfinite(second)]
    second = second[np.abs(second) <= 5 * np.median(np.abs(second)) / 0.6745]
    assert_allclose(point_to_point_scatter(flux), np.sqrt(np.mean(second**2) / 6), rtol=1e-13)
