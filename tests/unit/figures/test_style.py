"""Figures show themselves in notebooks, without pyplot."""

import sys

import numpy as np
import pytest

from detectorist.figures.style import SHOWN_PIX, as_shown, new_figure


def test_a_notebook_gets_a_picture():
    had_pyplot = "matplotlib.pyplot" in sys.modules
    figure, axis = new_figure()
    axis.plot([0, 1])
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot


@pytest.mark.parametrize("shape", [(2048, 2048), (1030, 600), (416, 72), (3, 2000)])
def test_large_images_are_shown_as_averages_in_their_own_coordinates(shape):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    small, (left, right, bottom, top) = as_shown(3.0 * yy + xx)
    assert max(small.shape) <= SHOWN_PIX
    block = (top - bottom) / small.shape[0], (right - left) / small.shape[1]
    # The middle of every block shows the value that the plane has there.
    rows = bottom + block[0] * (np.arange(small.shape[0]) + 0.5)
    columns = left + block[1] * (np.arange(small.shape[1]) + 0.5)
    np.testing.assert_allclose(small, 3 * rows[:, None] + columns, rtol=1e-6)
    assert top <= shape[0] - 0.5
    assert shape[0] - 0.5 - top < block[0]


def test_small_images_are_shown_as_they_are(rng):
    image = rng.normal(size=(40, 50))
    small, extent = as_shown(image)
    np.testing.assert_array_equal(small, image)
    assert extent == (-0.5, 49.5, -0.5, 39.5)
