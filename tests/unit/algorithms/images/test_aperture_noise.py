"""Noise of empty apertures: white noise, correlated noise, a gradient, sources."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from detectorist.algorithms.images.aperture_noise import _disk, measure_aperture_noise


def white(seed=0, size=600):
    return np.random.default_rng(seed).normal(0, 0.3, (size, size))


@pytest.mark.parametrize("radius", [1.5, 3.0, 5.0])
def test_the_disk_has_the_area_of_a_circle(radius):
    assert _disk(radius, 7).sum() == pytest.approx(np.pi * radius**2, rel=0.01)


@pytest.mark.parametrize("ring", [0.0, 6.0])
def test_white_noise(ring):
    image = white()
    found = measure_aperture_noise(
        image, np.zeros(image.shape, bool), radius_pix=3.0, error=np.full(image.shape, 0.3), ring_pix=ring
    )
    expected = np.sqrt((_disk(3.0, 14) ** 2).sum() + (_disk(3.0, 14).sum() ** 2 / 84 / np.pi / 1.29 if ring else 0))
    assert found.expected == pytest.approx(0.3 * expected, rel=0.03)
    spread = 1.17 / np.sqrt(2 * found.n_apertures)  # of a robust standard deviation
    assert found.noise / found.expected == pytest.approx(1, abs=4 * spread)


def test_correlated_noise_exceeds_what_errors_say():
    image = uniform_filter(white(1), 5)
    error = np.full(image.shape, image.std())
    found = measure_aperture_noise(image, np.zeros(image.shape, bool), radius_pix=4.0, error=error)
    assert 3.0 < found.noise / found.expected < 5.0  # five times for apertures much larger than the filter


def test_a_ring_takes_a_slope_off():
    image = white(2) + np.linspace(0, 50, 600)
    flat, sloping = (
        measure_aperture_noise(one, np.zeros(one.shape, bool), radius_pix=3.0, ring_pix=5.0).noise
        for one in (white(2), image)
    )
    assert sloping == pytest.approx(flat, rel=0.02)


def test_sources_and_what_is_not_finite_are_kept_away():
    image, mask = white(3), np.zeros((600, 600), bool)
    mask[200:300, 100:400] = True
    clean = measure_aperture_noise(image, mask, radius_pix=3.0)
    image[200:300, 100:400] = 1e6
    image[400:410, :] = np.nan
    soiled = measure_aperture_noise(image, mask, radius_pix=3.0)
    assert soiled.noise == pytest.approx(clean.noise, rel=0.05)
    assert soiled.n_apertures < clean.n_apertures


def test_no_room():
    found = measure_aperture_noise(white(size=20), np.ones((20, 20), bool), radius_pix=3.0)
    assert np.isnan(found.noise)
    assert found.n_apertures == 0
