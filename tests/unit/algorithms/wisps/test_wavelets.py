"""Noise is taken out, light is not changed."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.wisps.wavelets import remove_noise


def test_light_keeps_its_strength_and_the_dark_loses_its_noise(rng):
    y, x = np.mgrid[:400, :400]
    light = 0.1 * np.exp(-0.5 * ((x - 150 + 0.3 * y) / 12) ** 2) * np.exp(-0.5 * ((y - 200) / 90) ** 2)
    noisy = light + 0.004 * rng.normal(size=light.shape)
    clean = remove_noise(noisy)
    assert abs((clean * light).sum() / (light**2).sum() - 1) < 0.008  # faint light that is not told from noise
    assert clean[light < 1e-5].std() < 0.0006
    assert (clean - light)[light > 0.01].std() < 0.0035


def test_light_hardly_above_the_noise_keeps_its_strength(rng):
    y, x = np.mgrid[:800, :800]
    ridges = sum(np.exp(-(((x - at + 0.2 * y) / 20) ** 2)) for at in (300, 430, 560))
    light = 0.05 * ridges * np.exp(-0.5 * ((y - 400) / 120) ** 2)
    white, smooth = (rng.normal(size=light.shape) for _ in range(2))
    noisy = light + 0.009 * white + 0.045 * ndimage.gaussian_filter(smooth, 3)
    assert abs(((noisy - remove_noise(noisy)) * light).sum() / (light**2).sum()) < 0.012


def test_what_is_not_finite_is_dark():
    image = np.zeros((64, 64), np.float32)
    image[10, 10], image[20, 20] = np.nan, np.inf
    assert np.array_equal(remove_noise(image), np.zeros((64, 64)))


@pytest.mark.parametrize("reach", [2, 7])
def test_details_count_by_the_power_of_their_surroundings(rng, reach):
    from detectorist.algorithms.wisps import _wavelets_nb

    detail = (rng.normal(size=(20, 31)) * rng.uniform(0.5, 2, (20, 1))).astype(np.float32)
    image = rng.normal(size=detail.shape).astype(np.float32)
    power = ndimage.uniform_filter(detail.astype(float) ** 2, 2 * reach + 1, mode="nearest")
    least = np.where(np.arange(31) < 5, rng.uniform(0, 1, detail.shape), 0).astype(np.float32)
    expected = image + detail * np.clip(power / 1.2 - 1, least, 1)
    assert 0.1 < (expected == image).mean() < 0.9
    for add_significant in (_wavelets_nb.add_significant, _wavelets_nb.add_significant.py_func):
        found = image.copy()
        add_significant(found, detail, reach, 1.2, least)
        np.testing.assert_allclose(found, expected, atol=1e-5)
