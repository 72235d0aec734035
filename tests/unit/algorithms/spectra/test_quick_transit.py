"""The first look at a transit: depths in units of their errors, nothing found in noise, what depths depend on."""

import numpy as np
import pytest

from detectorist.algorithms.spectra.quick_transit import QuickTransit, fit_quick_transit, transit_curve

NOISE = 4e-4


def light_curve(rng, *, depth, n=200, span_h=4.0, share=0.4, impact=0.3):
    hours = np.linspace(0, span_h, n)
    truth = transit_curve(hours, 0.5 * span_h, share * span_h, impact, depth)
    return hours, truth * (1 + 1e-3 * hours / span_h) + NOISE * rng.normal(size=n)


def test_depths_are_right_within_their_errors(rng):
    pulls = []
    for _ in range(40):
        depth, share, impact = rng.uniform(0.003, 0.02), rng.uniform(0.2, 0.6), rng.uniform(0, 0.6)
        fit = fit_quick_transit(
            *light_curve(rng, depth=depth, share=share, impact=impact, n=int(rng.integers(80, 300)))
        )
        assert fit.found
        pulls.append((fit.depth - depth) / fit.depth_error)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)
    assert 0.7 < np.std(pulls) < 1.4


def test_middle_and_length_are_found(rng):
    fit = fit_quick_transit(*light_curve(rng, depth=0.01))
    assert fit.mid_h == pytest.approx(2.0, abs=0.02)
    assert fit.duration_h == pytest.approx(1.6, rel=0.05)
    hours, flux = light_curve(rng, depth=0.01)
    assert np.std(flux - fit_quick_transit(hours, flux).model) == pytest.approx(NOISE, rel=0.2)


def test_noise_and_slopes_are_no_transit(rng):
    hours = np.linspace(0, 5, 150)
    for _ in range(100):
        flux = 1 + 2e-3 * hours + NOISE * rng.normal(size=hours.size)
        fit = fit_quick_transit(hours, flux)
        assert not fit.found
        assert fit.depth_shifts == {}
        np.testing.assert_array_equal(fit.model, fit.baseline)


def test_a_regressor_that_makes_part_of_the_dip_moves_the_depth(rng):
    hours, flux = light_curve(rng, depth=0.01)
    drift = np.where(np.abs(hours - 2.0) < 0.8, 1.0, 0.0) + 0.1 * rng.normal(size=hours.size)
    white = rng.normal(size=hours.size)
    fit = fit_quick_transit(hours, flux + 1.5e-3 * drift, regressors={"drift": drift, "white": white})
    assert abs(fit.depth_shifts["drift"]) > 4
    assert abs(fit.depth_shifts["white"]) < 1
    assert fit_quick_transit(hours, flux, regressors={"constant": np.ones(hours.size)}).depth_shifts["constant"] == 0
    unknown = np.full(hours.size, np.nan)
    assert fit_quick_transit(hours, flux, regressors={"unknown": unknown}).depth_shifts["unknown"] == 0


def test_few_integrations_have_a_baseline_only(rng):
    hours, flux = np.arange(8.0), 1 + NOISE * rng.normal(size=8)
    flux[3:5] -= 0.01
    assert not fit_quick_transit(hours, flux).found


@pytest.mark.parametrize("n_low", [1, 2, 3])
@pytest.mark.parametrize("n", [15, 30])
def test_a_few_low_integrations_are_outliers_and_no_transit(n, n_low, rng):
    hours, flux = light_curve(rng, depth=0.0, n=n)
    flux[n // 2 : n // 2 + n_low] -= 0.012
    assert not fit_quick_transit(hours, flux).found


def test_short_transits_have_depths_within_their_errors(rng):
    for n in (15, 20, 30):
        hours, flux = light_curve(rng, depth=0.0, n=n)
        flux[n // 2 : n // 2 + 6] -= 0.012
        fit = fit_quick_transit(hours, flux)
        assert fit.found
        assert abs(fit.depth - 0.012) < 4 * fit.depth_error


def test_a_depth_that_is_not_three_times_its_error_is_not_measured():
    flat = np.ones(20)
    assert QuickTransit(flat, flat, depth=0.01, depth_error=0.002).measured
    assert not QuickTransit(flat, flat, depth=0.01, depth_error=0.02).measured
    assert not QuickTransit(flat, flat, depth=0.01, depth_error=0.0).measured
    assert not QuickTransit(flat, flat).measured


def test_inputs_stay_as_they_are(rng):
    hours, flux = light_curve(rng, depth=0.01)
    before = hours.copy(), flux.copy()
    fit_quick_transit(hours, flux, regressors={"x": hours})
    np.testing.assert_array_equal(hours, before[0])
    np.testing.assert_array_equal(flux, before[1])


def test_depth_is_that_of_the_middle_without_limb_darkening():
    hours = np.linspace(-1, 1, 201)
    curve = transit_curve(hours, 0.0, 1.0, 0.0, 0.01)
    assert curve.min() == pytest.approx(1 - 0.01, abs=6e-4)
    outside = np.abs(hours) > 0.51
    np.testing.assert_array_equal(curve[outside], 1.0)
    assert (curve[np.abs(hours) < 0.49] < 1).all()
