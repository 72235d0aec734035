"""Stars, galaxies, sky and wisps: fluxes, numbers and shapes that are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.imaging import sky
from detectorist.simulate.imaging.components import Galaxies, Sky, Stars

SHAPE = (160, 200)
STARS = Stars()
DISK = {"radius_pix": 6.0, "index": 1.0, "ellipticity": 0.3, "angle": 0.7}


def test_a_source_has_its_rate_at_its_place():
    for shape in ({}, DISK):
        image = sky.source_image([sky.Source(90.3, 70.8, 1e4, **shape)], STARS, SHAPE, (0.0, 0.0)).astype(float)
        # The wings of a star beyond what is drawn hold less than a percent.
        assert image.sum() == pytest.approx(1e4, rel=0.01)
        yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
        assert_allclose([(image * xx).sum() / image.sum(), (image * yy).sum() / image.sum()], [90.3, 70.8], atol=0.02)


def test_a_star_is_as_wide_as_asked():
    image = sky.source_image([sky.Source(100, 80, 1e5)], Stars(fwhm_pix=4.0), SHAPE, (0.0, 0.0))
    assert_allclose([image[80, 98], image[78, 100]], image[80, 100] / 2, rtol=1e-5)


@pytest.mark.parametrize("shape", [{}, DISK, {**DISK, "index": 1.8}], ids=["star", "disk", "cusp"])
@pytest.mark.parametrize("x", [-3.0, 1.25, 198.0, 203.0])
def test_the_edge_of_the_detector_cuts_a_source_and_does_not_squeeze_it(shape, x):
    source = [sky.Source(x, 60.5, 5e3, **shape)]
    wide = sky.source_image(source, STARS, (SHAPE[0], SHAPE[1] + 400), (200.0, 0.0))
    cut = sky.source_image(source, STARS, SHAPE, (0.0, 0.0))
    assert_allclose(cut, wide[:, 200:-200], rtol=1e-4, atol=1e-4)


def test_dithers_move_sources_without_changing_them():
    field = [sky.Source(20, 30, 300.0), sky.Source(150, 120, 900.0, **DISK), sky.Source(-2, 80, 900.0, **DISK)]
    here, there = (sky.source_image(field, STARS, SHAPE, offset) for offset in ((0.0, 0.0), (5.0, -3.0)))
    assert_allclose(there[:-3, 5:], here[3:, :-5], rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(slope=st.floats(0.2, 2.5), seed=st.integers(0, 2**16))
def test_rates_follow_their_power_law(slope, seed):
    stars = Stars(per_frame=4e5, min_dn_s=2.0, max_dn_s=200.0, slope=slope)
    rates = np.array([one.rate_dn_s for one in sky.draw_stars(stars, (128, 128), seed)])
    expected = 4e5 * 128**2 / 2048**2
    assert abs(rates.size - expected) < 5 * np.sqrt(expected)
    assert rates.min() >= 2
    assert rates.max() <= 200
    share = (20**-slope - 200**-slope) / (2**-slope - 200**-slope)
    assert abs((rates > 20).sum() - share * rates.size) < 5 * np.sqrt(share * rates.size)


def test_a_field_may_be_too_small_for_any_source():
    assert sky.draw_galaxies(Galaxies(), (4, 4), 1) == []
    assert sky.draw_stars(STARS, (4, 4), 1) == []
    assert not sky.source_image([], STARS, SHAPE, (0.0, 0.0)).any()


def test_large_galaxies_have_the_peak_that_is_asked_for():
    galaxies = Galaxies(per_frame=0, large_per_frame=3_000, large_peak_dn_s=(2.0, 2.0), large_radius_pix=(30.0, 40.0))
    found = [one for one in sky.draw_galaxies(galaxies, SHAPE, 1) if not one.is_star]
    assert len(found) > 5
    for one in found[:3]:
        centred = sky.Source(100.0, 80.0, *list(vars(one).values())[2:])
        image = sky.source_image([centred], STARS, SHAPE, (0.0, 0.0))
        assert image.max() == pytest.approx(2.0, rel=0.05)
        assert np.unravel_index(image.argmax(), SHAPE) == (80, 100)


def test_sky_has_its_level_and_slope():
    image = sky.sky_image(Sky(level_dn_s=0.5, gradient=0.1), SHAPE)
    assert image.mean() == pytest.approx(0.5, rel=1e-6)
    assert_allclose([image[0, 0], image[-1, -1]], [0.475, 0.525], rtol=1e-6)
    assert_array_equal(np.ptp(image, axis=0), 0)


def test_wisps_are_the_detectors_own():
    one, again = (sky.wisp_templates("NRCB4", "F200W", (64, 96), 0.1) for _ in range(2))
    assert_array_equal(one, again)
    assert_allclose(one.max(axis=(1, 2)), 0.1, rtol=1e-6)
    assert one.min() >= 0
    assert np.abs(one - sky.wisp_templates("NRCA3", "F200W", (64, 96), 0.1)).max() > 0.02
    assert np.abs(one[0] - one[1]).max() > 0.02
