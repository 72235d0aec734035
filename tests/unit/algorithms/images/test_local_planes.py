"""Planes fitted around every place: exact for planes, blind where nothing counts, less biased by a second round."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.images.local_planes import _kernels, bin_image, fit_planes, fit_wide_planes, smooth_bins

SHAPE = (40, 50)


def plane(a=3.0, b=0.2, c=-0.1):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return a + b * yy + c * xx


@pytest.fixture
def count(rng):
    """Pixels of bins, of very different number, a third of them without any."""
    return rng.integers(0, 64, SHAPE) * (rng.random(SHAPE) > 0.3).astype(float)


def inner(image, edge=8):
    return image[edge:-edge, edge:-edge]


def test_a_plane_comes_back_through_gaps(count):
    truth = plane()
    level, _ = fit_planes(truth * count, count, 3.0, rounds=8)
    # What steadies planes on one side of their data bends them a little in one round, and not in several.
    np.testing.assert_allclose(inner(level), inner(truth), atol=2e-3)


def test_what_does_not_count_has_no_influence(count, rng):
    total = plane() * count
    other = np.where(count > 0, total, 1e6 * rng.normal(size=SHAPE))
    np.testing.assert_array_equal(fit_planes(total, count, 2.0)[0], fit_planes(other, count, 2.0)[0])


@pytest.mark.parametrize("shape", [(64, 90), (63, 91)], ids=["even", "odd"])
def test_wide_planes_from_squares_are_those_from_bins(rng, shape):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    count = rng.integers(0, 64, shape) * (rng.random(shape) > 0.3).astype(float)
    light = 3 + np.exp(-0.5 * ((yy - 30) ** 2 + (xx - 40) ** 2) / 15**2)
    total = np.stack([light * count, (5 + 0.2 * yy - 0.1 * xx) * count])
    hidden = np.where(count > 0, total, 1e6)
    levels, weight = fit_planes(total, count, 12.0)
    found, seen = fit_wide_planes(hidden, count, 12.0)
    assert found.shape == total.shape
    assert seen.shape == shape
    np.testing.assert_allclose(inner(found[0]), inner(levels[0]), atol=0.01)
    np.testing.assert_allclose(inner(found[1]), inner(5 + 0.2 * yy - 0.1 * xx), atol=0.02)
    np.testing.assert_allclose(found[1], 5 + 0.2 * yy - 0.1 * xx, atol=0.1)
    np.testing.assert_allclose(inner(seen), inner(weight), rtol=0.05)


def test_a_second_round_takes_most_of_the_bias_of_a_curve():
    yy, _ = np.mgrid[: SHAPE[0], : SHAPE[1]]
    curve = 0.01 * (yy - 20.0) ** 2
    count = np.ones(SHAPE)
    once, twice = (inner(fit_planes(curve, count, 3.0, rounds=n)[0], 14) - inner(curve, 14) for n in (1, 2))
    # The bias of one round is half the curvature times the variance of the kernel.
    np.testing.assert_allclose(once, 0.5 * 0.02 * 9, rtol=0.05)
    assert np.abs(twice).max() < 0.1 * np.abs(once).max()


def test_noise_is_averaged_as_the_weights_say(rng):
    count = np.ones(SHAPE)
    noise = rng.normal(size=(60, *SHAPE))
    level, weight = fit_planes(noise, count, 2.0, rounds=1)
    # A local constant averages over 4 pi sigma^2 bins; a plane in the middle of its data is no worse.
    expected = 1 / np.sqrt(4 * np.pi * 4)
    assert inner(level[0] * 0 + level.std(axis=0)).mean() == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(inner(weight), 1.0, atol=1e-3)


def test_several_images_share_their_bins(count):
    totals = np.stack([plane() * count, plane(1.0, 0.0, 0.3) * count])
    together, _ = fit_planes(totals, count, 3.0)
    for one, level in zip(totals, together, strict=True):
        np.testing.assert_array_equal(level, fit_planes(one, count, 3.0)[0])


def test_bins_hold_sums_and_numbers_of_usable_pixels(rng):
    image, usable = rng.normal(size=(13, 10)).astype(np.float32), rng.random((13, 10)) > 0.2
    total, count = bin_image(image, usable, 4)
    assert total.shape == count.shape == (4, 3)
    for row in range(4):
        for column in range(3):
            part = np.s_[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            assert count[row, column] == usable[part].sum()
            assert total[row, column] == pytest.approx(image[part][usable[part]].sum(), abs=1e-5)


def by_hand(total, count, sigma):
    """Level of the plane at one place after another, by weighted least squares, and the mean weight."""
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    level = np.zeros(SHAPE)
    for y, x in np.ndindex(SHAPE):
        dy, dx = (yy - y) / sigma, (xx - x) / sigma
        near = (np.abs(yy - y) <= int(3.5 * sigma + 0.5)) & (np.abs(xx - x) <= int(3.5 * sigma + 0.5))
        weight = np.where(near, count * np.exp(-0.5 * (dy**2 + dx**2)), 0)
        terms = np.stack([np.ones(SHAPE), dy - np.average(dy, weights=weight), dx - np.average(dx, weights=weight)])
        normal = np.einsum("iyx,jyx,yx->ij", terms, terms, weight) / weight.sum()
        normal[1:, 1:] += 0.01 * np.eye(2)
        data = np.where(count > 0, total / np.maximum(count, 1), 0)
        found = np.linalg.solve(normal, np.einsum("iyx,yx->i", terms, weight * data) / weight.sum())
        level[y, x] = found @ terms[:, y, x]
    return level


def test_levels_are_those_of_weighted_least_squares(count, rng):
    total = count * (plane() + rng.normal(size=SHAPE))
    level, _ = fit_planes(total, count, 2.0, rounds=1)
    np.testing.assert_allclose(level, by_hand(total, count, 2.0), atol=2e-4)


@pytest.mark.parametrize("sigma", [1.0, 1.25, 3.125])
def test_smoothing_is_that_of_a_gaussian_filter(rng, sigma):
    values = rng.normal(size=SHAPE).astype(np.float32)
    expected = ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3.0)
    np.testing.assert_allclose(smooth_bins(values, sigma), expected, atol=1e-6)


def test_kernels_agree_with_their_python(rng):
    from detectorist.algorithms.images import _local_planes_nb as nb

    image, kernels = rng.normal(size=(12, 15)).astype(np.float32), _kernels(0.8, 3.5)
    np.testing.assert_allclose(nb.smooth(image, kernels[:2]), nb.smooth.py_func(image, kernels[:2]), atol=1e-6)
    np.testing.assert_allclose(nb.second_moments(image, kernels), nb.second_moments.py_func(image, kernels), atol=1e-6)
    count, shares = np.full(image.shape, 2.0), rng.normal(size=(3, 12, 15)).astype(np.float32)
    levels = []
    for add_planes in (nb.add_planes, nb.add_planes.py_func):
        level = np.full(image.shape, 0.3)
        add_planes(level, image.astype(float), count, kernels[:2], shares)
        levels.append(level)
    np.testing.assert_allclose(*levels, atol=1e-6)
