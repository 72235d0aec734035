"""Planes fitted around every place: exact for planes, blind where nothing counts, less biased by a second round."""

import numpy as np
import pytest

from detectorist.algorithms.images.local_planes import bin_image, fit_planes

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
