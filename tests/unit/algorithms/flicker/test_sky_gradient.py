"""A sky that is not the same everywhere, beside 1/f noise that reference pixels see."""

import numpy as np

from detectorist.algorithms.flicker import destripe as whole
from detectorist.algorithms.flicker.smoother import alternating_readout

SIZE, WHITE, BORDER = 1024, 0.04, 4


def test_a_gradient_of_the_sky_is_not_taken_for_noise():
    """Zodiacal and scattered light change by a few sigma of a pixel over the frame."""
    rng = np.random.default_rng(20261130)
    yy, xx = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    light = 0.3 + 0.12 * xx + 0.08 * yy + 0.15 * np.exp(-0.5 * ((yy - 0.3) ** 2 + (xx + 0.25) ** 2) / 0.15**2)
    reference = np.ones((SIZE, SIZE), bool)
    reference[BORDER:-BORDER, BORDER:-BORDER] = False
    walk = np.convolve(rng.normal(size=SIZE + 400), np.exp(-np.arange(401) / 100), mode="valid")[:SIZE]
    noise = 0.012 * (walk / walk.std())[:, None] + 0.004 * rng.normal(size=(SIZE, 1)) + np.zeros(SIZE)
    noise -= noise.mean()
    image = np.where(reference, 0, light) + noise + WHITE * rng.normal(size=light.shape)
    got = whole.destripe(image[None], reference[None], readout=alternating_readout(SIZE, 4), reference=reference)
    left = np.where(reference, np.nan, noise - got.horizontal[0] - got.vertical[0])
    parts = np.nanmean(left.reshape(8, SIZE // 8, 8, SIZE // 8), axis=(1, 3))
    assert parts.std() < 0.003
