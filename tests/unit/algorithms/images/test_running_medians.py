"""Running medians of maps against numpy's of every window."""

import warnings

import numpy as np
import pytest

from detectorist.algorithms.images._running_medians_nb import running_medians
from detectorist.algorithms.images.patches import running_median


def windows(series, length):
    return np.stack([series[k : k + length] for k in range(len(series) - length + 1)])


@pytest.mark.parametrize("length", [1, 2, 5, 11])
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.9])
def test_medians_are_those_of_each_window_without_nan(rng, length, missing):
    series = rng.normal(size=(30, 40)).round(1)  # so that some values are alike
    series[rng.random(series.shape) < missing] = np.nan
    series[:, 3] = np.nan
    found = np.empty((30 - length + 1, 40))
    running_medians(series, length, found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of windows without a value
        np.testing.assert_array_equal(found, np.nanmedian(windows(series, length), axis=1))


def test_first_and_last_maps_have_the_first_and_last_window(rng):
    series = rng.normal(size=(20, 3, 4))
    found = running_median(series, 5)
    np.testing.assert_array_equal(found[2:-2], np.median(windows(series, 5), axis=1))
    np.testing.assert_array_equal(found[[0, 1, -2, -1]], found[[2, 2, -3, -3]])
