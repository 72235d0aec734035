"""Errors held against the scatter in time: blind to a transit, to drifts and to a disturbed integration."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.spectra.error_scale import measure_error_scale


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_the_factor_comes_back(rng, factor):
    time = np.linspace(-1, 1, 60)[:, None]
    true = 1000 * (1 - 0.01 * (np.abs(time) < 0.4)) * (1 + 0.002 * time) + np.zeros(256)
    noise = np.linspace(1, 4, 256)
    flux = true + noise * rng.normal(size=true.shape)
    flux[30] += 500
    flux[rng.integers(0, 60, 30), rng.integers(0, 256, 30)] = np.nan
    scale = measure_error_scale(flux, np.broadcast_to(noise / factor, flux.shape))
    assert_allclose(scale, factor, rtol=0.06)
    assert abs(scale.mean() / factor - 1) < 0.03


def test_too_little_to_tell_changes_nothing(rng):
    for n_ints in (1, 2, 8):
        flux = 5 * rng.normal(size=(n_ints, 60))
        assert_array_equal(measure_error_scale(flux, np.ones(flux.shape)), 1)


def test_what_is_no_noise_of_a_detector_is_not_applied(rng):
    flux = 40 * rng.normal(size=(60, 128))
    assert_array_equal(measure_error_scale(flux, np.ones(flux.shape)), 1)
