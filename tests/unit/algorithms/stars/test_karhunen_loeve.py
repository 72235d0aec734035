"""Modes of reference images: orthonormal, the strongest first, as another package finds them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.stars.karhunen_loeve import karhunen_loeve_modes


@pytest.fixture
def images(rng):
    shapes = rng.normal(size=(3, 400)) * np.array([30.0, 3.0, 0.3])[:, None]
    return np.array([[1, 0.5, 0.2], [0.7, -1, 1], [1.2, 0.1, -2], [0.9, 0.4, 0.3]]) @ shapes + rng.normal(size=(4, 1))


def test_modes_are_orthonormal_and_made_of_the_images(images):
    modes = karhunen_loeve_modes(images, 3)
    assert_allclose(modes.shapes @ modes.shapes.T, np.eye(3), atol=1e-12)
    assert_allclose(modes.recipe @ (images - images.mean(axis=1, keepdims=True)), modes.shapes, atol=1e-9)


def test_the_strongest_mode_takes_the_most(images):
    left = [sum(karhunen_loeve_modes(images, n).subtract(one).std() for one in images) for n in (1, 2, 3)]
    assert left[0] > 5 * left[1] > 25 * left[2]


def test_images_that_repeat_each_other_have_fewer_modes(images):
    """Four images of three shapes; the fourth mode would be rounding, divided by next to nothing."""
    assert len(karhunen_loeve_modes(images, 4).shapes) == 3
    assert len(karhunen_loeve_modes(np.repeat(images[:1], 3, axis=0), 3).shapes) == 1


def test_weights_are_those_of_what_is_subtracted(images, rng):
    values = rng.normal(size=400) + 2 * images[0] - images[2]
    modes = karhunen_loeve_modes(images, 3)
    taken = values - values.mean() - modes.subtract(values)
    assert_allclose(modes.weights(values) @ (images - images.mean(axis=1, keepdims=True)), taken, atol=1e-9)


@pytest.mark.parametrize("n_modes", [1, 2, 4])
def test_pyklip_finds_the_same(rng, n_modes):
    klip = pytest.importorskip("pyklip.klip")
    images, values = rng.normal(size=(5, 300)) + 10 * rng.normal(size=300), rng.normal(size=300)
    theirs = np.asarray(klip.klip_math(values, images, n_modes)).ravel()
    assert_allclose(karhunen_loeve_modes(images, n_modes).subtract(values), theirs, atol=1e-9)
