"""The first look without the star: scale and shift of the reference, a companion that stays, noise on rings."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.images.reference_subtraction import find_star, measure_radial_noise, subtract_reference

SHAPE = (120, 140)


def halo(x=70.0, y=58.0):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(yy - y, xx - x)
    return 100 * np.exp(-radius / 9) * (1 + 0.4 * np.cos(radius / 1.6))


def companion(flux):
    image = np.zeros(SHAPE)
    image[80, 95] = flux
    return ndimage.gaussian_filter(image, 1.2)


def test_scale_and_shift_are_found(rng):
    image = halo() + 0.05 * rng.normal(size=SHAPE)
    reference = halo(70.25, 57.85) / 0.4 + 0.05 * rng.normal(size=SHAPE)
    found = subtract_reference(image, reference)
    assert found.scale == pytest.approx(0.4, rel=0.01)
    assert found.shift_pix == pytest.approx((-0.25, 0.15), abs=0.05)
    assert found.scatter < 6 * 0.05


def test_the_light_of_a_companion_stays(rng):
    light = companion(60.0)
    image = halo() + light + 0.05 * rng.normal(size=SHAPE)
    found = subtract_reference(image, halo() * 2 + 0.05 * rng.normal(size=SHAPE))
    near = np.s_[75:86, 90:101]
    error = np.hypot(0.05, 0.025) * np.sqrt(121)
    assert found.image[near].sum() == pytest.approx(light[near].sum(), abs=4 * error)


def test_unknown_pixels_stay_unknown_and_count_for_nothing(rng):
    image, reference = halo() + 0.05 * rng.normal(size=SHAPE), halo() + 0.05 * rng.normal(size=SHAPE)
    spoilt = image.copy()
    spoilt[50:60, 60:80] = np.nan
    found = subtract_reference(spoilt, reference)
    assert np.isnan(found.image[50:60, 60:80]).all()
    assert found.scale == pytest.approx(1, rel=0.02)
    nothing = subtract_reference(np.full(SHAPE, np.nan), reference)
    assert np.isnan(nothing.image).all()
    assert np.isnan(nothing.scatter)


def test_the_star_is_found(rng):
    image = halo(70.0, 58.0) + rng.normal(size=SHAPE)
    image[10, 10] = np.nan
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
