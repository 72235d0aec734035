"""Figures of a transit spectrum: units, averages and what was left out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.spectra.red_noise import BinnedScatter
from detectorist.figures import transit_spectrum as figures


def drawn(axis, number=0):
    return axis.lines[number].get_data()


def test_a_fit_is_drawn_without_its_baseline_and_residuals_in_ppm():
    time = 60000 + np.arange(6) / 24
    planet = np.array([1, 1, 0.99, 0.99, 1, 1.0])
    baseline = np.array([2, 2.1, 2.2, 2.3, 2.4, 2.5])
    flux = baseline * (planet + 1e-6 * np.array([10, -20, 30, 1e5, 40, -50.0]))
    used = np.array([True, True, True, False, True, True])
    figure = figures.draw_fit(time, flux, baseline, planet, used, exposure=np.array([1, 1, 1, 2, 2, 2]))
    top, below = figure.axes
    assert_allclose(drawn(below), [[0, 1, 2, 4, 5], [10, -20, 30, 40, -50]], atol=1e-6)
    hours, left_out = drawn(below, 1)
    assert_allclose([hours, left_out], [[3], [1e5]])
    assert [line.get_marker() for line in below.lines[:2]] == [".", "x"]
    assert_allclose(drawn(top)[1], (flux / baseline)[used])
    # What was left out lies beyond the limits, what was used within.
    low, high = below.get_ylim()
    assert -60 < low < -50
    assert 40 < high < 60
    assert any(np.array_equal(line.get_ydata(), planet) for line in top.lines)


def test_averages_are_true_to_their_errors_and_end_with_an_exposure(rng):
    n, most = 6000, 80
    hours = np.arange(n) / 100
    exposure = np.repeat([1, 2], [2501, 3499])
    level = np.where(exposure == 1, 5.0, -5.0)
    middle, mean, error = figures._averages(hours, level + 0.3 * rng.normal(size=n), exposure, most=most)
    assert abs(mean.size - most) <= 2
    pulls = (mean - np.where(middle < 25.01, 5.0, -5.0)) / error
    assert np.abs(pulls).max() < 4.5  # a mean over both exposures would be off by a hundred
    assert pulls.std() == pytest.approx(1, abs=0.25)


def test_averages_of_few_points_are_the_points():
    hours, values = np.arange(5.0), np.array([1, 2, 4, 8, 16.0])
    middle, mean, error = figures._averages(hours, values, np.array([1, 1, 2, 2, 2]))
    assert_array_equal(middle, hours)
    assert_array_equal(mean, values)
    assert_array_equal(error, 0)


def test_depths_in_ppm_with_the_width_of_their_bins():
    figure = figures.draw_depths(
        np.array([5.5, 7.0]), np.array([0.5, 1.0]), np.array([0.01, 0.02]), np.array([1e-4, 2e-4])
    )
    (container,) = figure.axes[0].containers
    points, _, (across, along) = container.lines
    assert_allclose(points.get_data(), [[5.5, 7.0], [1e4, 2e4]])
    assert_allclose(across.get_segments(), [[[5, 1e4], [6, 1e4]], [[6, 2e4], [8, 2e4]]])
    assert_allclose(along.get_segments(), [[[5.5, 9900], [5.5, 10100]], [[7, 19800], [7, 20200]]])


def test_bins_of_wavelength_are_scaled_to_white_light():
    sizes = np.array([1, 2, 4])
    white = BinnedScatter(
        sizes, 1e-4 * np.array([1, 0.8, 0.7]), 1e-6 * np.ones(3), 1e-4 / np.sqrt(sizes), 1e-4 / np.sqrt(sizes)
    )
    noisy = BinnedScatter(sizes, 1e-3 / np.sqrt(sizes), 1e-5 * np.ones(3), 1e-3 / np.sqrt(sizes), 1e-3 / np.sqrt(sizes))
    axis = figures.draw_allan({"white light": white, "5-6": noisy}, cadence_s=30.0).axes[0]
    lines = {line.get_label(): line.get_data() for line in axis.lines}
    assert_allclose(lines["white noise"], [[0.5, 1, 2], [100, 100 / np.sqrt(2), 50]])
    grey = min(axis.lines, key=lambda line: line.get_zorder()).get_ydata()
    assert_allclose(grey, 100 / np.sqrt(sizes))


@pytest.mark.parametrize(("n", "ticks"), [(1, [0]), (4, [0, 1, 2, 3]), (11, [0, 2, 4, 6, 8, 10])])
def test_correlations_have_the_wavelengths_at_their_bins(n, ticks):
    wavelength = 5 + 0.5 * np.arange(n)
    axis = figures.draw_correlation(np.eye(n), wavelength).axes[0]
    assert_array_equal(axis.get_xticks(), ticks)
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"{wavelength[k]:.1f}" for k in ticks]
    assert axis.images[0].get_clim() == (-1, 1)


def test_light_curves_lie_above_each_other_by_more_than_a_transit():
    time = 60000 + np.linspace(0, 0.2, 50)
    planet = np.where((time > 60000.05) & (time < 60000.15), 0.98, 1.0)
    curves = [planet, planet + 1e-4, planet - 1e-4]
    axis = figures.draw_curves(time, curves, [planet] * 3, ["5", "6", "7"]).axes[0]
    models = [line.get_ydata() for line in axis.lines if line.get_linestyle() == "-"]
    assert_allclose(np.array(models) - models[0], 0.03 * np.arange(3)[:, None] * np.ones(50))
    assert [text.get_text().strip() for text in axis.texts] == ["5", "6", "7"]


def test_light_curves_without_a_transit_do_not_cover_each_other(rng):
    time, flat = 60000 + np.linspace(0, 0.2, 50), np.ones(50)
    curves = [flat + 1e-3 * rng.normal(size=50) for _ in range(3)]
    axis = figures.draw_curves(time, curves, [flat] * 3, ["5", "6", "7"]).axes[0]
    models = [line.get_ydata()[0] for line in axis.lines if line.get_linestyle() == "-"]
    assert np.diff(models).min() > 2e-3
