"""The light that falls on the subarray."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.detectors import LRS_SLITLESS
from detectorist.simulate.lrs import sky
from detectorist.simulate.lrs.components import Background, Star, Transit


def test_wavelengths_pass_through_the_table_and_fall():
    rows, um = np.transpose(LRS_SLITLESS.wavelength_table)
    assert_allclose(sky.wavelengths_um(rows), um)
    everywhere = sky.wavelengths_um(np.arange(416))
    inside = np.isfinite(everywhere)
    assert np.all(np.diff(everywhere[inside]) < 0)
    assert (np.flatnonzero(inside)[0], np.flatnonzero(inside)[-1]) == (7, 394)


@pytest.mark.parametrize(("column", "shift"), [(36.0, 0.0), (38.3, -0.02), (36.0, 0.25)])
def test_profile_holds_all_light_at_its_place(column, shift):
    star = Star(trace_column=column)
    profile = sky.trace_profile(star, shift)
    assert_allclose(profile.sum(axis=1), 1, atol=1e-10)
    assert_allclose(profile @ np.arange(72), column + shift, atol=1e-8)
    variance = profile @ (np.arange(72) - column - shift) ** 2
    um = sky.wavelengths_um(np.arange(20, 390))
    sigma = 1.6 + 0.1 * np.clip(um - 5, 0, None)
    # A pixel adds the variance of a box to that of the Gaussian.
    assert_allclose(variance[20:390], sigma**2 + 1 / 12, rtol=1e-6)


@pytest.mark.parametrize("mag", [9.0, 10.0])
def test_brightest_pixel_is_what_the_magnitude_says(mag):
    star = Star(mag=mag)
    image = sky.star_spectrum(star)[:, None] * sky.trace_profile(star, 0.0)
    assert_allclose(image.max(), 3_500 * 10 ** (-0.4 * (mag - 9)))


def test_no_light_where_the_spectrum_folds_over():
    spectrum = sky.star_spectrum(Star())
    assert np.all(spectrum >= 0)
    assert spectrum[393:].sum() < 0.02 * spectrum.sum()
    assert sky.wavelengths_um(spectrum.argmax()) == pytest.approx(5.0, abs=0.2)


class TestTransit:
    times = np.linspace(0, 1_000, 2_001)

    def test_uniform_disk_gives_the_depth_spectrum(self):
        transit = Transit(limb_darkening=(0.0, 0.0))
        curves = sky.light_curves(transit, np.array([0.0, 500.0]), 1_000.0)
        assert_allclose(curves[0], 1)
        assert_allclose(1 - curves[1], sky.row_depths(transit), rtol=1e-9)

    def test_lasts_its_part_of_the_exposure(self):
        curve = sky.light_curves(Transit(band_depth=0.0), self.times, 1_000.0)[:, 300]
        inside = self.times[curve < 1]
        assert_allclose([inside[0], inside[-1]], [275, 725], atol=1.0)

    def test_limb_darkening_is_stronger_at_short_wavelengths(self):
        curves = sky.light_curves(Transit(band_depth=0.0), np.array([500.0]), 1_000.0)[0]
        assert 0.0101 < 1 - curves[150] < 1 - curves[380]

    def test_band_is_where_it_was_put(self):
        rows = np.arange(416)
        depth = sky.row_depths(Transit(depth=0.02, band_um=9.0, band_depth=0.002))
        um = sky.wavelengths_um(rows)
        assert abs(um[depth.argmax()] - 9.0) < 0.05
        assert_allclose(depth[200:390].min(), 0.02, rtol=1e-3)

    def test_depths_of_ones_own(self):
        table = ((5.0, 0.01), (10.0, 0.02))
        assert_allclose(sky.transit_depth(Transit(depth_spectrum=table), np.array([4.0, 7.5])), [0.01, 0.015])


def test_spectrum_moves_toward_higher_rows():
    spectrum = np.exp(-0.5 * ((np.arange(416) - 200) / 12.0) ** 2)
    moved = sky.shifted_spectrum(spectrum, 0.4)
    assert_allclose(moved @ np.arange(416) / moved.sum(), 200.4, atol=1e-6)
    assert_allclose(moved, np.exp(-0.5 * ((np.arange(416) - 200.4) / 12.0) ** 2), atol=1e-5)


def test_background_rises_toward_low_rows_and_drifts():
    first = sky.background_image(Background(drift=0.1, column_slope=0.2), 0.0)
    last = sky.background_image(Background(drift=0.1, column_slope=0.2), 1.0)
    assert np.all(np.diff(first[:, 30]) < 0)
    assert np.all(first > 0)
    assert_allclose(last / first, 1.1)
    assert_allclose(first[:, -1] / first[:, 0], 1.1 / 0.9)
