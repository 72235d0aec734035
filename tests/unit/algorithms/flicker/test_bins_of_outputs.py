"""Bins that keep to one output, and the noise within their rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.flicker.bins_of_outputs import edges_of_bins, noise_within_rows, sums_in_bins
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise


@pytest.mark.parametrize(("n_columns", "n_outputs"), [(256, 4), (100, 4), (72, 1)])
def test_no_bin_reaches_over_two_outputs(n_columns, n_outputs):
    readout = alternating_readout(n_columns, n_outputs)
    rows, columns = edges_of_bins((50, n_columns), readout, 16, 32)
    assert_array_equal(rows, [0, 16, 32, 48, 50])
    assert {first for first, *_ in readout.outputs} <= set(columns)
    assert columns[-1] == n_columns


def test_sums_are_those_of_the_pixels_between_borders(rng):
    values = rng.normal(size=(50, 100))
    rows, columns = edges_of_bins(values.shape, alternating_readout(100, 4), 16, 32)
    found = sums_in_bins(values, rows, columns)
    assert found.shape == (len(rows) - 1, len(columns) - 1)
    assert found[3, 1] == pytest.approx(values[48:50, columns[1] : columns[2]].sum())


@pytest.mark.parametrize("scale_pix", [3.0, 40.0])
def test_noise_within_rows_is_that_of_simulated_noise(rng, scale_pix):
    n_rows, width, kept = 4000, 128, np.exp(-1 / scale_pix)
    noise = np.empty((n_rows, width))
    noise[:, 0] = rng.normal(size=n_rows)
    for x in range(1, width):
        noise[:, x] = kept * noise[:, x - 1] + np.sqrt(1 - kept**2) * rng.normal(size=n_rows)
    of_bins = noise.reshape(n_rows // 2, 2, width // 32, 32).mean(axis=(1, 3))
    scatter = (of_bins.mean(axis=1, keepdims=True) - of_bins).var()
    spectrum = FlickerNoise(1.0, np.array([scale_pix]), np.array([0.6]), np.array([0.4]))
    found = noise_within_rows(spectrum, alternating_readout(width), 2, 32)
    assert scatter == pytest.approx(found, rel=0.06)
