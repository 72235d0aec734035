"""Sources along the rows, which hide all of a row but for the faintest of their own light."""

import numpy as np

from detectorist.algorithms.flicker import destripe as whole
from detectorist.algorithms.flicker.smoother import alternating_readout

SIZE, WHITE = 512, 0.02
READOUT = alternating_readout(SIZE, 4)
NOTHING_BAD = np.zeros((1, SIZE, SIZE), bool)


def slow_rows(rng, rms):
    """Noise of rows that changes within 100 of them, as stays of 1/f noise under a source."""
    noise = np.convolve(rng.normal(size=SIZE + 400), np.exp(-0.5 * (np.arange(-200, 201) / 60) ** 2), mode="valid")
    return rms * (noise / noise.std())[:SIZE, None] * np.ones(SIZE)


def test_a_galaxy_along_the_rows_keeps_its_light():
    """Light 8 pixels wide (e-folding): what the wide surface misses of it is all that its rows show beside the mask."""
    yy, xx = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    light = 0.7 * np.exp(-np.abs(xx) / 100 - np.abs(yy - 20) / 8)
    bright, lost = light > 0.05, []
    for seed in (20261120, 3, 4):
        rng = np.random.default_rng(seed)
        stripes = slow_rows(rng, 0.004) + 0.002 * rng.normal(size=(SIZE, 1))
        image = 0.3 + light + stripes + WHITE * rng.normal(size=light.shape)
        got = whole.destripe(image[None], NOTHING_BAD, readout=READOUT)
        taken = (got.horizontal + got.vertical)[0] - stripes
        taken -= taken[light < 1e-3].mean()
        lost.append(taken[bright].sum() / light[bright].sum())
    assert abs(np.mean(lost)) < 0.025


def test_rows_are_covered_only_where_others_tell_more():
    usable = np.zeros((100, 200), bool)
    usable[:, :20] = True
    assert not whole._covered_rows(usable).any()
    usable[:60, :150] = True
    np.testing.assert_array_equal(whole._covered_rows(usable), np.arange(100) >= 60)
    usable[80:] = False
    np.testing.assert_array_equal(whole._covered_rows(usable), (np.arange(100) >= 60) & (np.arange(100) < 80))
