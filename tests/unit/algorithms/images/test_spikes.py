"""Single pixels above all their neighbours: found when injected, rare in noise, never on a star."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.images.spikes import find_spikes

SHAPE = (400, 400)


@pytest.fixture
def noise(rng):
    return rng.normal(size=SHAPE)


def test_noise_has_none(noise):
    assert not find_spikes(noise, np.ones(SHAPE), np.zeros(SHAPE, bool)).any()


def test_what_was_injected_is_found(noise, rng):
    where = rng.random(SHAPE) < 5e-4
    isolated = where & (ndimage.uniform_filter(where.astype(float), 3) < 1.5 / 9)
    image = noise + np.where(isolated, 25.0, 0)
    found = find_spikes(image, np.ones(SHAPE), np.zeros(SHAPE, bool))
    assert (found & isolated).sum() > 0.98 * isolated.sum()
    assert not (found & ~isolated).any()


def test_stars_masked_pixels_and_unknown_ones_are_left_alone(noise):
    star = np.zeros(SHAPE)
    star[100, 100] = 2000
    star = ndimage.gaussian_filter(star, 0.9)
    image, mask = noise + star, np.zeros(SHAPE, bool)
    image[200, 200], mask[200, 200] = 100, True
    image[50, 50] = np.nan
    error = np.sqrt(1 + star)
    error[300, 300], image[300, 300] = 0, 100
    assert not find_spikes(image, error, mask).any()
