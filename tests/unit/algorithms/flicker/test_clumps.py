"""Light in clumps: told from the noise of pixels and of rows, with the error of a mean that it makes."""

import numpy as np
import pytest

from detectorist.algorithms.flicker.clumps import measure_clumps

ROWS, COLUMNS, OUTPUTS = 200, 64, 4


@pytest.fixture
def bins(rng):
    """Means of bins with the noise of their pixels and of their rows, and its variance: some bins have few pixels."""
    variance = 1e-6 * rng.choice([1.0, 2.0, 8.0], (ROWS, COLUMNS))
    rows = np.repeat(0.01 * rng.normal(size=(ROWS, OUTPUTS)), COLUMNS // OUTPUTS, axis=1)
    return np.sqrt(variance) * rng.normal(size=variance.shape) + rows, variance


def test_noise_of_pixels_and_rows_is_no_light(bins):
    """Neither scatter as expected nor what moves all bins of a row counts."""
    rest, variance = bins
    assert measure_clumps(rest, variance, np.ones(rest.shape, bool), OUTPUTS) == (0, 0)


def test_clumps_are_measured_as_strong_as_they_are(bins, rng):
    """Every bin with light of its own, or noise within rows: its variance, to a few of its errors."""
    rest, variance = bins
    seen = rng.random(rest.shape) > 0.2
    rest = np.where(seen, rest + 0.002 * rng.normal(size=rest.shape), 1e3)
    found = measure_clumps(rest, variance, seen, OUTPUTS)
    assert found.together == 0
    assert found.scatter == pytest.approx(4e-6, rel=6 * np.sqrt(2 / seen.sum()) + 0.03)


def test_clumps_over_several_rows_make_means_less_certain(bins, rng):
    """The mean over all rows of clumps that reach over three has the error of three times their variance."""
    rest, variance = bins
    clumps = rng.normal(size=(ROWS + 2, COLUMNS))
    clumps = 0.004 * (clumps[2:] + clumps[1:-1] + clumps[:-2]) / np.sqrt(3)
    found = measure_clumps(rest + clumps, variance, np.ones(rest.shape, bool), OUTPUTS)
    assert sum(found) == pytest.approx(3 * 1.6e-5, rel=0.1)


def test_without_a_bin_there_are_no_clumps(bins):
    """Nothing to measure is nothing found."""
    rest, variance = bins
    assert measure_clumps(rest, variance, np.zeros(rest.shape, bool), OUTPUTS) == (0, 0)
