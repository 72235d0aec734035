"""Reference pixels as blocks of the readout: what they count for, and the noise they show."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import Blocks, alternating_readout
from detectorist.algorithms.flicker.reference_blocks import noise_of_references, with_references
from detectorist.algorithms.flicker.reference_rows import reference_rows
from detectorist.algorithms.flicker.spectrum import FlickerNoise

SIZE, WHITE, REFERENCE_WHITE = 512, 0.015, 0.002
READOUT = alternating_readout(SIZE, 4)
BLOCKS = Blocks(READOUT, SIZE)
ROW_PIX = READOUT.width + READOUT.overhead_pix


@pytest.fixture
def border():
    reference = np.ones((SIZE, SIZE), bool)
    reference[4:-4, 4:-4] = False
    return reference


def noise_of(common, own=0.0, *, rows=1.0):
    return FlickerNoise(WHITE**2, np.array([rows]) * ROW_PIX, np.array([common**2]), np.array([own**2]))


def drifts(rng, rms):
    """Noise of rows, one value for each."""
    return rms * rng.normal(size=SIZE)


def blocks_of(image, border):
    offsets, unknown = np.zeros(SIZE), np.zeros((0, 0), np.float32)
    return BLOCKS.average(image.astype(np.float32), ~border, offsets, unknown, 1.0)


def test_blocks_of_reference_pixels_are_as_certain_as_they_follow_the_rows(rng, border):
    """They count as pixels of the sky by which the noise would be as certain; far from the noise, hardly."""
    row = drifts(rng, 0.004)[:, None]
    for spoiled, least, most in ((0.0, 25, 400), (0.02, 0, 1)):
        image = row + np.where(border, REFERENCE_WHITE, WHITE) * rng.normal(size=(SIZE, SIZE))
        image[:, :4] += drifts(rng, spoiled)[:, None]
        image[:, -4:] += drifts(rng, spoiled)[:, None]
        means, counts = blocks_of(image, border)
        told = with_references(means, counts, BLOCKS, noise_of(0.004, rows=1000.0), reference_rows(image[None], border))
        of_block = told[1].reshape(4, SIZE, -1)[0, 8:-8, 0]
        assert least <= np.median(of_block) / 4 <= most


def test_only_blocks_of_reference_pixels_change_and_their_level_is_that_of_the_rows(rng, border):
    image = 0.1 + drifts(rng, 0.004)[:, None] + REFERENCE_WHITE * rng.normal(size=(SIZE, SIZE))
    image[:, :4] -= 0.1
    image[:, -4:] += 0.3
    means, counts = blocks_of(image, border)
    given = means.copy(), counts.copy()
    told = with_references(means, counts, BLOCKS, noise_of(0.004), reference_rows(image[None], border))
    assert_array_equal(means, given[0])
    assert_array_equal(counts, given[1])
    changed = (told[1] != counts).reshape(4, SIZE, -1)
    assert changed[[0, 3], 8:-8, 0].all()
    assert not changed[:, :, 1:].any()
    assert not changed[1:3].any()
    assert_allclose(told[0].reshape(4, SIZE, -1)[[0, 3], 8:-8, 0].mean(axis=1), 0.1, atol=0.0005)


def test_their_spectrum_knows_nothing_of_the_light(rng, border):
    common, own = drifts(rng, 0.004)[:, None], np.repeat([drifts(rng, 0.002) for _ in range(4)], SIZE // 4, axis=0).T
    image = common + own + np.where(border, REFERENCE_WHITE, 20 * WHITE) * rng.normal(size=(SIZE, SIZE))
    found = noise_of_references(BLOCKS, reference_rows(image[None], border), otherwise=noise_of(1.0, 1.0))
    assert found.white == WHITE**2
    assert 0.7 < found.common.sum() / 0.004**2 < 1.7
    assert found.own.sum() < 0.5 * found.common.sum()


def test_without_enough_of_them_the_spectrum_stays(rng, border):
    image = REFERENCE_WHITE * rng.normal(size=(SIZE, SIZE))
    found = reference_rows(image[None], border)
    few = found._replace(usable=np.zeros_like(found.usable))
    otherwise = noise_of(0.01)
    assert noise_of_references(BLOCKS, few, otherwise=otherwise) is otherwise
    means, counts = blocks_of(image, border)
    told = with_references(means, counts, BLOCKS, otherwise, few)
    assert_array_equal(told[1], counts)


def crowded_sky(rng, number):
    """Light of stars too faint and too many to be masked."""
    light = np.zeros((SIZE, SIZE))
    np.add.at(light, tuple(rng.integers(0, SIZE, (2, number))), np.minimum(rng.random(number) ** -1.4, 900.0))
    away = np.fft.fftfreq(SIZE, 1 / SIZE)
    radius = np.hypot(away[:, None], away)
    star = np.exp(-0.5 * (radius / 1.1) ** 2) + 8e-3 / (1 + (radius / 4) ** 2) ** 1.25
    return np.fft.irfft2(np.fft.rfft2(light) * np.fft.rfft2(star / star.sum()), light.shape)


def test_noise_of_crowded_fields_is_told_by_reference_pixels(rng, border):
    """It changes within tens of rows, over which what is left of stars is as much."""
    light = crowded_sky(rng, 3000)
    rows = ndimage.gaussian_filter1d(rng.normal(size=SIZE), 15.0)[:, None]
    rows *= 0.004 / rows.std()
    white = np.where(border, REFERENCE_WHITE, WHITE * np.sqrt(1 + light))
    image = np.where(border, 0, 0.25 + light) + rows + white * rng.normal(size=light.shape)
    found = destripe(image[None], border[None], readout=READOUT, reference=border)
    left = (rows - found.horizontal[0] - found.vertical[0])[4:-4].reshape(SIZE - 8, 4, -1).mean(axis=2)
    assert (left - left.mean()).std() < 0.25 * rows.std()
