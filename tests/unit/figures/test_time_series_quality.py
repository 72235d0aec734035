"""Figures of a time series' quality: what is drawn are the numbers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.spectra.light_curves import LightCurve
from detectorist.figures import time_series_quality as figures

N_INTS = 200


def spectra(rng, *, stated=1.0):
    """White noise of known standard deviation about a star, and errors `stated` times as large."""
    wavelength = np.linspace(4.5, 12.5, 81)
    sigma = np.linspace(0.5, 2.0, wavelength.size)
    flux = 1000 + sigma * rng.normal(size=(N_INTS, wavelength.size))
    return {
        "wavelength": wavelength,
        "flux": flux,
        "flux_error": np.broadcast_to(stated * sigma, flux.shape),
        "time_mjd_utc": 60000 + np.arange(N_INTS) / 24,
    }


def test_relative_flux_by_hand():
    arrays = {
        # Descending; one beyond the useful range, one without any flux, one that is dark.
        "wavelength": [12.5, 11.0, 9.0, 8.0, 6.0],
        "flux": [[1, 2.0, np.nan, -1, 10.0], [1, 2.2, np.nan, -1, np.nan], [1, 2.4, np.nan, -1, 20.0]],
    }
    # Medians are 2.2 at 11 micron and 15 at 6; wavelengths ascend.
    expected = [[-100 / 3, -100 / 11], [np.nan, 0], [100 / 3, 100 / 11]]
    assert_allclose(figures.relative_flux(arrays), expected, atol=1e-12)


def test_a_bin_without_flux_is_left_out_and_errors_are_those_of_sums():
    wavelength = np.array([5.2, 5.6, 7.5, 8.2])
    flux = np.array([[3.0, 5.0, 1.0, 4.0], [3.0, 5.0, np.nan, 8.0], [3.0, 5.0, 1.0, 6.0]])
    error = np.broadcast_to([0.3, 0.4, 0.1, 0.6], flux.shape)
    arrays = {"wavelength": wavelength, "flux": flux, "flux_error": error}
    (first, five), (second, eight) = figures.spectroscopic(arrays)
    assert (first, second) == (5.0, 8.0)
    assert_allclose(five.flux, 1)
    assert_allclose(five.error, 0.5 / 8)
    assert_allclose(eight.flux, [4 / 6, 8 / 6, 1])
    assert_allclose(eight.error, 0.1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 6), n_ints=st.sampled_from([1, 2, 3, 40]))
def test_shifted_light_curves_do_not_overlap(seed, n, n_ints):
    rng = np.random.default_rng(seed)
    curves = []
    for scatter in 10 ** rng.uniform(-4, -1, n):
        curves.append(LightCurve(1 + scatter * rng.normal(size=n_ints), np.full(n_ints, scatter)))
    levels = figures.offsets(curves)
    assert levels[0] == 0
    shifted = [np.percentile(curve.flux - 1 + level, [1, 99]) for curve, level in zip(curves, levels, strict=True)]
    assert all(above[0] > below[1] for below, above in pairwise(shifted))


@pytest.mark.parametrize(("stated", "found"), [(1.0, 1.0), (0.5, 2.0)])
def test_errors_are_judged_by_the_scatter(rng, stated, found):
    upper, lower = figures.draw_errors(spectra(rng, stated=stated)).axes
    shown, ratio = lower.lines[0].get_data()
    assert shown.min() >= 5
    assert shown.max() <= 12
    # 71 wavelengths, each known to about 1 / sqrt(200).
    assert np.median(ratio) == pytest.approx(found, rel=0.03)
    heights = np.array([bar.get_height() for bar in upper.patches])
    middles = np.array([bar.get_x() + bar.get_width() / 2 for bar in upper.patches])
    inner = np.abs(middles) < 5.5  # all beyond is in the last bars
    width = np.sqrt((heights * middles**2)[inner].sum() / heights[inner].sum())
    assert width == pytest.approx(found, rel=0.1 if found > 1 else 0.03)


def test_a_group_that_is_gone_marks_the_steps_on_both_its_sides():
    axis = figures.draw_groups([9.0, 2.0, 0.1, -0.2, 0.3], [0, 3]).axes[0]
    lines = {line.get_label(): line.get_data() for line in axis.lines}
    assert_array_equal(lines["with a dropped group"], [[0.5, 2.5, 3.5], [9.0, 0.1, -0.2]])
    assert_array_equal(lines["used"], [[1.5, 4.5], [2.0, 0.3]])


def test_background_by_hand():
    background = np.array([[1.0, 10.0], [2.0, 20.0], [6.0, np.nan]])
    upper, lower = figures.draw_background({"background": background}).axes
    assert_allclose(upper.lines[0].get_ydata(), [2, 15])
    assert_allclose(lower.lines[0].get_data(), [[1, 2, 3], [5.5, 11, 6]])


def test_reference_columns_are_not_drawn_and_columns_keep_their_numbers(rng):
    frame = rng.normal(size=(30, 20))
    frame[:, :4] = 1e6
    axes = figures.draw_frames(dict.fromkeys(("raw", "clean", "example_raw", "example_clean"), frame), 7).axes
    images = [axis.images[0] for axis in axes if axis.get_ylabel() == "column"]
    assert len(images) == 4
    for image in images:
        assert_allclose(np.asarray(image.get_array()), frame[:, 4:].T)
        assert image.get_extent() == [-0.5, 29.5, 3.5, 19.5]
        assert image.norm.vmax < 100


@pytest.mark.parametrize(("column", "first", "last"), [(36, 24, 48), (5, 0, 17), (68, 56, 71)])
def test_a_profile_is_shown_about_its_trace(column, first, last):
    profile = np.exp(-0.5 * ((np.arange(72) - column) / 1.2) ** 2) * np.ones((40, 1))
    upper, lower = figures.draw_profile(profile, column).axes[:2]
    assert upper.images[0].get_extent() == [-0.5, 39.5, first - 0.5, last + 0.5]
    columns, share = lower.lines[0].get_data()
    assert_array_equal(columns, np.arange(first, last + 1))
    assert columns[np.argmax(share)] == column


def test_a_time_that_is_unknown_lies_between_its_neighbours_and_many_become_numbers_of_integrations():
    assert_allclose(figures.hours_of({"time_mjd_utc": [60000.0, 60000.5, 60001.0]}), [0, 12, 24])
    assert_allclose(figures.hours_of({"time_mjd_utc": [60000.0, np.nan, 60001.0]}), [0, 12, 24])
    assert_array_equal(figures.hours_of({"time_mjd_utc": [np.nan, np.nan, 60001.0]}), [0, 1, 2])
