"""A profile that follows the trace: steps, drifts and widths, without the noise of single integrations."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.spectra.moving_profile import LEAST_WIDENING_PIX, find_steps, follow_trace

COLUMNS = np.arange(30)


def shares(center, sigma):
    light = np.exp(-0.5 * ((COLUMNS - center[:, None, None]) / sigma[:, None, None]) ** 2) + np.zeros((1, 40, 1))
    return light / light.sum(axis=2, keepdims=True)


@pytest.mark.parametrize(("jump", "widening"), [(0.0, 0.0), (0.15, 0.0), (0.6, 0.0), (0.0, 0.05), (-0.3, -0.04)])
def test_the_true_profile_comes_back(rng, jump, widening):
    n = 60
    late, later = np.arange(n) >= 37, np.arange(n) >= 20
    center = 14.3 + 0.005 * rng.normal(size=n) + jump * late
    sigma = 1.6 * (1 + widening * later) + np.zeros(n)
    true = shares(center, sigma)
    measured = true + 0.01 * rng.normal(size=true.shape)
    got = follow_trace(measured, center + 3e-4 * rng.normal(size=n), sigma + 5e-4 * rng.normal(size=n))
    error = got - true
    # Medians over the members of a state, 20 at least, and the curvature that small shifts leave out.
    assert error.std() < 0.01 * 1.25 / np.sqrt(17)
    assert np.abs(error.mean(axis=1)).max() < 0.004


def test_a_lost_integration_does_not_change_its_neighbours(rng):
    n = 40
    center, sigma = 14.3 + 0.004 * rng.normal(size=n), 1.6 + 5e-4 * rng.normal(size=n)
    true = shares(center, sigma)
    lost_center, lost_sigma = center.copy(), sigma.copy()
    lost_center[20], lost_sigma[20] = 18.0, 4.0
    got = follow_trace(true, lost_center, lost_sigma)
    others = np.arange(n) != 20
    assert np.abs(got - true)[others].max() < 0.003


def test_drifts_and_noise_are_no_steps(rng):
    series = 0.0005 * rng.normal(size=80) + np.linspace(0, 0.3, 80)
    assert find_steps(series).size == 0
    series[50:] += 0.1
    assert_array_equal(find_steps(series), [50])
    assert find_steps(np.zeros(3)).size == 0


def test_an_unmeasured_trace_takes_the_median(rng):
    profile = rng.random((5, 4, 30))
    got = follow_trace(profile, np.full(5, np.nan), np.full(5, np.nan))
    assert_array_equal(got, np.broadcast_to(np.median(profile, axis=0), profile.shape).astype(np.float32))


def undersampled(center, core):
    """Return shares of a Moffat profile summed over pixels, (n_ints, 40, 30)."""
    points = (COLUMNS[:, None] + (np.arange(9) - 4) / 9).ravel()
    light = (1 + ((points - center[:, None]) / core[:, None]) ** 2) ** -2.0
    light = light.reshape(len(center), COLUMNS.size, 9).sum(axis=2)
    shares = light / light.sum(axis=1, keepdims=True)
    return np.broadcast_to(shares[:, None], (len(center), 40, COLUMNS.size))


@pytest.mark.parametrize(("jump", "widening"), [(0.15, 0.0), (0.0, 0.03)])
@pytest.mark.parametrize("n_before", [3, 20])
def test_flux_of_an_undersampled_trace_is_that_of_its_own_profile(rng, n_before, jump, widening):
    """The optimal sum with the profile, on the true light: what a wrong profile does to the flux."""
    n = 30
    late = np.arange(n) >= n_before
    center, core = 14.4 + 0.003 * rng.normal(size=n) + jump * late, 0.9 * (1 + widening * late)
    true = undersampled(center, core)
    # A Gaussian that is fitted to this is 0.85 pixels wide, and widens by 2 % where the core does by 3.
    sigma = 0.845 * (1 + 2 / 3 * widening * late) + 3e-4 * rng.normal(size=n)
    got = follow_trace(true + 0.003 * rng.normal(size=true.shape), center, sigma)
    flux = ((got * true).sum(axis=2) / (got**2).sum(axis=2)).mean(axis=1)
    # The noise of the profile of three is 4e-4 in such a mean.
    assert abs(flux[~late].mean() / flux[late].mean() - 1) < 1e-3


def test_steps_of_the_width_are_smaller_than_those_of_the_position(rng):
    width = 0.85 + 5e-4 * rng.normal(size=60)
    width[25:] += 0.016
    assert find_steps(width).size == 0
    assert_array_equal(find_steps(width, least_pix=LEAST_WIDENING_PIX), [25])
    assert find_steps(0.85 + 5e-4 * rng.normal(size=60), least_pix=LEAST_WIDENING_PIX).size == 0
