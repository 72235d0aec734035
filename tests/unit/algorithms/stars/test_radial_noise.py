"""Where a star is behind its mask, and noise on rings about it."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.stars.radial_noise import find_star, measure_radial_noise

SHAPE = (120, 140)


def halo(x=70.0, y=58.0):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(yy - y, xx - x)
    return 100 * np.exp(-radius / 9) * (1 + 0.4 * np.cos(radius / 1.6))


def companion(flux):
    image = np.zeros(SHAPE)
    image[80, 95] = flux
    return ndimage.gaussian_filter(image, 1.2)


def test_the_star_is_found(rng):
    image = halo(70.0, 58.0) + rng.normal(size=SHAPE)
    image[10, 10] = np.nan
    assert find_star(image) == pytest.approx((70.0, 58.0), abs=0.5)
    for row, column in ((100, 20), (20, 25), (40, 130)):  # hot pixels
        image[row, column] = 20_000
    assert find_star(image) == pytest.approx((70.0, 58.0), abs=0.5)


def test_noise_on_rings_is_that_of_an_aperture(rng):
    image = 0.3 * rng.normal(size=SHAPE)
    radius, noise = measure_radial_noise(image, (70.0, 58.0), aperture_radius_pix=2.0)
    assert np.all(np.diff(radius) > 0)
    wide = radius > 10
    # 13 pixels lie within 2 pixels of one.
    assert noise[wide] == pytest.approx(0.3 * np.sqrt(13), rel=0.35)
    assert np.mean(noise[wide]) == pytest.approx(0.3 * np.sqrt(13), rel=0.06)


def test_a_companion_is_no_noise(rng):
    image = 0.3 * rng.normal(size=SHAPE)
    clean = measure_radial_noise(image, (70.0, 58.0))[1]
    with_it = measure_radial_noise(image + companion(400.0), (70.0, 58.0))[1]
    assert np.max(np.abs(with_it / clean - 1)) < 0.5


@pytest.mark.parametrize("step", [2.0, 2.5, 3.0])
def test_every_ring_has_the_scatter_of_its_own_pixels(rng, step):
    image = rng.normal(size=(60, 70))
    image[rng.random(image.shape) < 0.02] = np.nan
    radii, noise = measure_radial_noise(image, (20.3, 31.6), aperture_radius_pix=0.0, step_pix=step)
    y, x = np.indices(image.shape)
    distance = np.hypot(x - 20.3, y - 31.6)
    for radius, scatter in zip(radii, noise, strict=True):
        inside = (distance >= radius - step / 2) & (distance < radius + step / 2) & np.isfinite(image)
        values = image[inside]
        assert values.size >= 20
        assert scatter == pytest.approx(1.4826 * np.median(np.abs(values - np.median(values))))
