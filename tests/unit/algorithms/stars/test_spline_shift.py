"""Splines moved along rows and columns, against scipy and against themselves."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.stars.spline_shift import shift_spline

SHAPE = (31, 44)


@pytest.fixture
def image(rng):
    return rng.normal(size=SHAPE)


@pytest.mark.parametrize("shift", [(0.3, -0.7), (4.2, -5.0), (-3.3, 0.0)])
def test_within_the_borders_it_is_what_scipy_computes(image, shift):
    spline = ndimage.spline_filter(image, order=3)
    expected = ndimage.shift(spline, shift[::-1], order=3, mode="nearest", prefilter=False)
    margin = 7
    inside = slice(margin, SHAPE[0] - margin), slice(margin, SHAPE[1] - margin)
    np.testing.assert_allclose(shift_spline(spline, shift)[inside], expected[inside], atol=1e-13)


def test_an_image_that_stays_is_itself_at_the_borders_too(image):
    spline = ndimage.spline_filter(image, order=3)
    np.testing.assert_allclose(shift_spline(spline, (0.0, 0.0)), image, atol=1e-12)


def test_what_enters_at_a_border_has_its_value(image):
    spline = ndimage.spline_filter(image, order=3)
    moved = shift_spline(spline, (3.0, -2.0))
    expected = image[np.clip(np.arange(SHAPE[0]) + 2, 0, SHAPE[0] - 1)][:, np.clip(np.arange(SHAPE[1]) - 3, 0, None)]
    np.testing.assert_allclose(moved, expected, atol=1e-12)
    far = shift_spline(spline, (60.0, 0.0))
    np.testing.assert_allclose(far, np.repeat(image[:, :1], SHAPE[1], axis=1), atol=1e-12)
