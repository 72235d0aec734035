import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.spectra.trace import find_trace_column, fit_trace
from detectorist.errors import TooFewPixels


def images(center, sigma, *, n_cols=72, n_rows=80, background=0.0, noise=0.0, seed=0):
    center, sigma = np.atleast_1d(center), np.atleast_1d(sigma)
    flux = np.linspace(200, 2000, n_rows)
    distance = (np.arange(n_cols) - center[:, None]) / sigma[:, None]
    profile = np.exp(-0.5 * distance**2)
    data = flux[None, :, None] * profile[:, None, :] + background
    return data + noise * np.random.default_rng(seed).normal(size=data.shape)


@pytest.mark.parametrize("column", [8.3, 20.0, 36.4, 60.9])
@pytest.mark.parametrize("background", [0.0, 500.0])
def test_exact_without_noise_wherever_the_trace_is(column, background):
    center, sigma = column + np.array([0.0, 0.2, -0.3]), np.array([1.5, 1.8, 2.6])
    got = fit_trace(images(center, sigma, background=background))
    assert_allclose(got.center_pix, center, atol=1e-6)
    assert_allclose(got.sigma_pix, sigma, atol=1e-6)
    assert_allclose(got.offset, background * 80, atol=1e-2)


def test_pulls_of_position_and_width():
    n, noise = 300, 30.0
    got = fit_trace(images(np.full(n, 36.2), np.full(n, 1.7), noise=noise), np.full((n, 80, 72), noise))
    # Errors of a Gaussian in white noise (Lenz & Ayres 1992): sigma_x = sqrt(2 s / sqrt(pi)) / (amplitude / noise).
    expected = np.sqrt(2 * 1.7 / np.sqrt(np.pi)) * noise * np.sqrt(80) / np.linspace(200, 2000, 80).sum()
    assert_allclose((got.center_pix - 36.2).std() / expected, 1.0, atol=0.2)
    assert_allclose(got.sigma_pix.std() / expected, 1.25, atol=0.35)  # the constant costs some
    assert abs(got.center_pix.mean() - 36.2) < 4 * expected / np.sqrt(n)
    assert abs(got.sigma_pix.mean() - 1.7) < 5 * expected / np.sqrt(n)


def test_rows_are_weighted_with_their_flux():
    data = np.concatenate([images(36.0, 1.5)[:, 40:], images(36.0, 2.5)[:, :40]], axis=1)
    assert 1.5 < fit_trace(data).sigma_pix[0] < 1.9  # the wide rows hold a fifth of the light


def test_missing_pixels_hardly_matter():
    data = images(36.2, 1.7, noise=1.0)
    whole = fit_trace(data)
    data[0, [5, 30, 31, 60], [36, 35, 36, 38]] = np.nan
    data[0, 10, 36] = np.inf
    got = fit_trace(data)
    assert_allclose([got.center_pix[0], got.sigma_pix[0]], [whole.center_pix[0], whole.sigma_pix[0]], atol=2e-3)
    data[0, :, 37] = np.nan
    got = fit_trace(data)
    assert_allclose([got.center_pix[0], got.sigma_pix[0]], [36.2, 1.7], atol=1e-2)


def test_a_lost_integration_is_nan_and_no_other():
    data = images([36.0, 36.1, 36.2], [1.7, 1.7, 1.7])
    data[1] = np.nan
    got = fit_trace(data)
    assert_array_equal(np.isnan(got.sigma_pix), [False, True, False])
    data[1] = 0.0
    assert_array_equal(np.isnan(fit_trace(data).sigma_pix), [False, True, False])


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_unknown_errors(bad):
    data = images(36.2, 1.7)
    assert_allclose(fit_trace(data, np.full(data.shape, bad)).sigma_pix, 1.7, atol=1e-6)


def test_scale_precision_and_input():
    data = images([36.0, 36.3], [1.7, 1.9], noise=5.0)
    before = data.copy()
    got = fit_trace(data)
    assert_allclose(fit_trace(1e-3 * data).sigma_pix, got.sigma_pix, rtol=1e-6)
    assert_allclose(fit_trace(data.astype(np.float32)).sigma_pix, got.sigma_pix, rtol=1e-4)
    assert_array_equal(data, before)


def test_finding_ignores_hot_pixels_and_masked_columns():
    data = images(50.0, 1.7)
    data[0, 3, 10] = 1e9
    assert find_trace_column(data) == 50
    mask = np.zeros(data.shape, bool)
    mask[..., 48:53] = True
    assert find_trace_column(data, mask) in (47, 53)


def test_nothing_to_fit():
    with pytest.raises(TooFewPixels, match="no usable pixel"):
        fit_trace(np.full((2, 10, 30), np.nan))
    with pytest.raises(TooFewPixels, match="6 are needed"):
        fit_trace(np.ones((1, 10, 4)))
