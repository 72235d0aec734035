"""The light of a star in rings, and the weights that pixels have in the stripes beside it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.stars import halo
from detectorist.errors import TooFewPixels

SHAPE = (96, 120)
YY, XX = np.mgrid[: SHAPE[0], : SHAPE[1]]
CENTRE = (44.0, 63.0)
RADIUS = np.hypot(YY - CENTRE[0], XX - CENTRE[1])
ALL = np.ones(SHAPE, bool)


def spill(image, mask, value=1e6):
    """Return the image with nonsense where the mask is True."""
    return np.where(mask, value, image)


def test_noise_of_a_pixel_is_blind_to_levels_of_rows_and_to_what_is_masked(rng):
    image = 0.4 * rng.normal(size=(300, 300)) + 50 * rng.normal(size=(300, 1))
    mask = rng.random(image.shape) < 0.2
    # A median of 57 000 absolute differences is good to a percent.
    assert halo.pixel_noise(spill(image, mask), ~mask) == pytest.approx(0.4, rel=0.02)
    assert np.isnan(halo.pixel_noise(image, np.zeros(image.shape, bool)))


def test_the_centre_of_a_dark_ring_is_no_peak():
    ring = 100 * np.exp(-0.5 * ((RADIUS - 8) / 3) ** 2)
    # One side is brighter: the peak is 8 pixels off, and a hot pixel is elsewhere.
    ring *= 1 + 0.05 * (XX - CENTRE[1]) / 8
    mask = (YY < 10) & (XX < 10)
    assert_allclose(halo.star_centre(spill(ring, mask), ~mask), CENTRE, atol=0.5)
    assert halo.star_centre(np.zeros(SHAPE), ALL) == (47.5, 59.5)


def test_rings_are_medians_of_usable_pixels():
    light = 500 / (1 + RADIUS / 4)
    mask = (XX % 3) == 0
    rings = halo.ring_medians(spill(light, mask), ~mask, CENTRE)
    assert np.all(np.diff(rings.radii) > 0)
    assert np.all(np.diff(rings.light) < 0)
    # Rings are as wide as a tenth of their radius, and those at the edge are cut.
    within = (RADIUS > 6) & (rings.radii[-1] > RADIUS)
    assert_allclose(rings.image(SHAPE)[within], light[within], rtol=0.03)


def test_a_straight_profile_is_drawn_exactly():
    rings = halo.Rings(CENTRE, np.array([0.0, 10.0, 30.0]), np.array([8.0, 4.0, 0.0]))
    image = rings.image(SHAPE)
    assert image[44, 63] == 8
    assert image[44, 68] == 6
    assert_allclose(image[44, 83], 2)
    assert image[44, 110] == 0


def test_point_sources_and_holes_are_found_stripes_are_not(rng):
    image = rng.normal(size=SHAPE) + 20 * rng.normal(size=(SHAPE[0], 1))
    for y, x, sign in ((20, 30, 1), (70, 90, -1)):
        image += sign * 25 * np.exp(-0.5 * ((YY - y) ** 2 + (XX - x) ** 2))
    mask = (YY == 50) & (XX == 50)
    found = halo.compact_sources(spill(image, mask), ~mask)
    assert found[20, 30]
    assert found[70, 90]
    far = (np.hypot(YY - 20, XX - 30) > 9) & (np.hypot(YY - 70, XX - 90) > 9)
    assert not (found & far).any()


class TestWeights:
    def test_calm_pixels_count_and_bright_or_rough_ones_do_not(self, rng):
        light = 30 * np.exp(-RADIUS / 6)
        left = rng.normal(size=SHAPE)
        left[75:90, 10:30] *= 4
        left[10, 100] = 12.0
        usable = ~((YY < 5) & (XX < 5))
        weight = halo.calm_weight(left, light, usable, 1.0)
        assert weight.dtype == np.float32
        assert weight.min() == 0
        assert weight.max() == 1
        assert not weight[~usable].any()
        assert not weight[RADIUS < 6].any()  # 30 exp(-1) = 11 sigma of light
        assert not weight[78:87, 15:25].any()
        assert weight[10, 100] == 0
        assert np.median(weight[RADIUS > 25]) > 0.9

    def test_where_light_is_everywhere_the_calmest_quarter_counts(self, rng):
        light = 100.0 + 5 * XX
        weight = halo.calm_weight(rng.normal(size=SHAPE), light, ALL, 1.0)
        assert weight[:, :20].mean() > 0.5
        assert not weight[:, 100:].any()

    def test_a_lump_too_faint_to_see_in_a_pixel_loses_its_weight(self, rng):
        left = rng.normal(size=SHAPE)
        even = halo.even_weight(left, ALL)
        left[30:39, 40:65] += 1.0
        lumpy = halo.even_weight(left, ALL)
        assert np.median(even) > 0.95
        # 9 x 25 pixels of 1 sigma each: 15 sigma of the mean, which allows 3: a weight of 1/25.
        assert lumpy[34, 52] == pytest.approx(1 / 25, rel=0.5)
        assert lumpy[80, 110] == pytest.approx(even[80, 110], rel=0.2)


class TestSeparation:
    class Stripes:
        """Means of rows by weight: what is best where rows are independent."""

        def __init__(self, image, weight):
            seen = np.where(weight > 0, image, 0)
            rows = (seen * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-3)
            self.pattern = rows[:, None] * np.ones(image.shape)

    def test_star_and_stripes_add_up_and_each_is_true(self, rng):
        light, rows = 300 * np.exp(-RADIUS / 4), 0.5 * rng.normal(size=(SHAPE[0], 1))
        image = light + rows + rng.normal(size=SHAPE)
        mask = rng.random(SHAPE) < 0.05
        found = halo.separate_star(spill(image, mask, np.nan), mask, self.Stripes)
        assert_allclose((found.star + found.stripes.pattern)[~mask], image[~mask])
        assert not found.weight[mask].any()
        error = found.stripes.pattern[:, :1] - rows
        error -= np.median(error)
        # Rows far from the star are means of 114 pixels: 0.09 each.
        assert np.std(np.r_[error[:15], error[75:]]) < 0.14

    def test_without_usable_pixels_the_image_comes_back(self):
        image = np.full((20, 20), np.nan)
        found = halo.separate_star(image, np.zeros(image.shape, bool), self.Stripes)
        assert found.stripes is None
        assert not found.weight.any()
        assert_array_equal(found.star, image)
        assert found.star is not image

    def test_an_estimate_that_refuses_leaves_the_image(self, rng):
        def refuse(image, weight):
            raise TooFewPixels("too few")

        image = rng.normal(size=SHAPE) + 300 / (1 + (RADIUS / 5) ** 2)
        found = halo.separate_star(image, ~ALL, refuse)
        assert found.stripes is None
        assert_array_equal(found.star, image)
