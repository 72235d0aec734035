"""Red noise: whitening against dense linear algebra, its strength and doubt about it, binned residuals."""

import numpy as np
import pytest

from detectorist.algorithms.spectra import _red_noise_nb as kernels
from detectorist.algorithms.spectra.red_noise import (
    Noise,
    bin_scatter,
    fit_noise,
    red_covariance,
    share_without_red_noise,
)


def covariance_of(noise, time, error):
    steps = np.abs(time[:, None] - time)
    return np.diag((noise.scale * error) ** 2) + noise.red**2 * np.exp(-steps / noise.time_scale_d)


def draw(noise, time, error, rng):
    return np.linalg.cholesky(covariance_of(noise, time, error)) @ rng.normal(size=time.size)


def test_whitening_is_that_of_the_covariance():
    rng = np.random.default_rng(2)
    time, error = np.sort(rng.random(60)), rng.uniform(0.5, 2, 60)  # unequal steps, unequal errors
    noise = Noise(1.3, 0.9, 0.1)
    columns = rng.normal(size=(60, 3))
    white, log_determinant = noise.whiten(columns, time, error)
    covariance = covariance_of(noise, time, error)
    np.testing.assert_allclose(white.T @ white, columns.T @ np.linalg.solve(covariance, columns), rtol=1e-9)
    assert log_determinant == pytest.approx(np.linalg.slogdet(covariance)[1])
    sums = rng.normal(size=60)
    np.testing.assert_allclose(noise.weights_of_data(sums, time, error) @ columns, sums @ white, rtol=1e-9)
    red = covariance_of(Noise(0.0, 1.0, 0.1), time, error)
    np.testing.assert_allclose(red_covariance(columns, time, 0.1), columns.T @ red @ columns, rtol=1e-9)
    by_python = kernels.whiten.py_func(columns, (1.3 * error) ** 2, np.diff(time, prepend=time[0]), 0.81, 0.1)
    np.testing.assert_allclose(white, by_python[0], rtol=1e-12)


def test_white_noise_is_found_white_and_its_scale_right():
    rng = np.random.default_rng(3)
    time, error = np.linspace(0, 1, 500), np.full(500, 1e-3)
    design = np.column_stack([np.ones(500), time])
    found = [fit_noise(1.4 * error * rng.normal(size=500), design, time, error) for _ in range(20)]
    scales = np.array([one.white.scale for one in found])
    assert abs(scales.mean() - 1.4) < 4 * 1.4 / np.sqrt(2 * 500 * 20)
    assert np.median([one.probability_white(0.3) for one in found]) > 0.5
    assert share_without_red_noise(found) > 0.8


def test_red_noise_is_found_with_its_strength_and_time():
    rng = np.random.default_rng(4)
    time, error = np.linspace(0, 1, 500), np.full(500, 1e-3)
    true = Noise(1.0, 1e-3, 0.02)
    design = np.ones((500, 1))
    found = [fit_noise(draw(true, time, error, rng), design, time, error) for _ in range(20)]
    assert max(one.probability_white(0.3) for one in found) < 0.05
    red = np.array([one.best(0.3).red for one in found])
    scale = np.array([one.best(0.3).time_scale_d for one in found])
    assert np.median(red) == pytest.approx(1e-3, rel=0.15)
    assert np.median(scale) == pytest.approx(0.02, rel=0.4)
    assert share_without_red_noise(found) < 0.1


def test_the_likelihood_allows_for_what_the_fit_has_taken():
    """Residuals of a fit with many parameters are smaller than the noise; the estimate is not."""
    rng = np.random.default_rng(5)
    time, error = np.linspace(0, 1, 120), np.ones(120)
    design = np.column_stack([np.ones(120), rng.normal(size=(120, 39))])
    scales = []
    for _ in range(40):
        data = rng.normal(size=120)
        left = data - design @ np.linalg.lstsq(design, data, rcond=None)[0]
        scales.append(fit_noise(left, design, time, error, kind="white").white.scale)
    assert abs(np.mean(scales) - 1) < 4 / np.sqrt(2 * 80 * 40)


def test_stated_errors_stay():
    estimate = fit_noise(np.ones(9), np.ones((9, 1)), np.arange(9.0), np.ones(9), kind="stated")
    assert estimate.red == ()
    assert estimate.best(0.3) == Noise(1.0, 0.0, 1.0)
    assert estimate.probability_white(0.3) == 1.0


def test_bins_of_white_noise_fall_with_the_root_of_their_size():
    rng = np.random.default_rng(6)
    found = bin_scatter(rng.normal(size=40_000), np.ones(40_000, int))
    near = found.sizes <= 256
    pulls = ((found.scatter - found.white) / found.scatter_error)[near]
    assert np.abs(pulls).max() < 4.5
    np.testing.assert_allclose(found.allan[near] / found.white[near], 1.0, atol=0.25)
    assert found.beta(30) < 1.1


def test_bins_of_red_noise_do_not():
    rng = np.random.default_rng(7)
    time = np.arange(2000.0)
    noise = draw(Noise(1.0, 1.0, 50.0), time, np.ones(2000), rng)
    assert bin_scatter(noise, np.ones(2000, int)).beta(64) > 3


def test_no_bin_reaches_over_an_end_of_an_exposure():
    exposure = np.repeat([1, 2], 50)
    residuals = np.where(exposure == 1, 1.0, -1.0)
    found = bin_scatter(residuals, exposure)
    assert np.allclose(found.allan, 0)  # steps between exposures do not count
