"""Figures show themselves in notebooks, without pyplot."""

import sys

import numpy as np
import pytest

from detectorist.figures.style import SHOWN_PIX, as_shown, new_figure, show_before_and_after


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


def test_before_and_after_have_one_scale(rng):
    """That of the image after: a step before the correction saturates, and faint structure after it shows."""
    after = rng.normal(size=(40, 50))
    figure, axes = new_figure(1, 2)
    show_before_and_after(axes, after + 30 * (np.arange(50) > 20), after, unit="DN/s", percentile=2)
    limits = [axis.images[0].get_clim() for axis in axes]
    assert limits[0] == limits[1] == tuple(np.percentile(after, [2, 98]))
    assert [axis.get_ylabel() for axis in figure.axes[2:]] == ["before (DN/s)", "after (DN/s)"]


def test_an_image_without_values_is_drawn_all_the_same():
    _, axes = new_figure(1, 2)
    show_before_and_after(axes, np.ones((8, 8)), np.full((8, 8), np.nan), unit="DN/s", percentile=2)
    assert axes[1].images[0].get_clim() == (0.0, 1.0)
