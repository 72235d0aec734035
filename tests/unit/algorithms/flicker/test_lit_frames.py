"""Small frames that the light of a star fills: it is not taken for noise."""

import numpy as np
import pytest

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.lit_frames import light_fills, stripes_in_light
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.errors import TooFewPixels

SIZE, WHITE = 64, 20.0
READOUT = alternating_readout(SIZE, 1)


def star(peak, fall):
    """A bright star with a halo that falls as a power law, (SIZE, SIZE) DN/s."""
    radius = np.hypot(*(np.mgrid[:SIZE, :SIZE] - np.array([35.0, 29.0])[:, None, None]))
    return peak * (np.exp(-0.5 * radius**2) + 0.01 * (1 + (radius / 4) ** 2) ** (-fall / 2))


def noise(rng, rows):
    """Slow noise of rows and white noise, (SIZE, SIZE)."""
    walk = np.convolve(rng.normal(size=SIZE + 7), np.ones(8) / np.sqrt(8), mode="valid")
    return (rows * walk)[:, None] + WHITE * rng.normal(size=(SIZE, SIZE))


def left_over(seed, peak, fall, n=1):
    """Return the rms of the error of pixels out of the core before and after, and the error of their mean after."""
    rng = np.random.default_rng(seed)
    light = star(peak, fall)
    images = np.array([light + noise(rng, 8.0) for _ in range(n)])
    bad = np.broadcast_to(light > 0.2 * peak, images.shape)  # saturated
    found = destripe(images, bad, readout=READOUT)
    errors = images - light
    out = ~bad[0] & (np.hypot(*(np.mgrid[:SIZE, :SIZE] - np.array([35.0, 29.0])[:, None, None])) > 6)
    after = errors - found.horizontal - found.vertical
    return errors[:, out].std(), after[:, out].std(), abs(after[:, out].mean() - errors[:, out].mean())


@pytest.mark.parametrize("n", [1, 3])
def test_a_star_that_fills_a_frame_keeps_its_light(n):
    """Rows levelled by what is fainter than sources lost several times the noise of its light, or failed."""
    for seed, (peak, fall) in enumerate([(1.75e5, 2.4), (1.3e5, 2.2), (2e5, 2.6), (1e6, 3.0)]):
        before, after, moved = left_over(seed, peak, fall, n)
        assert after < 1.1 * before
        assert moved < WHITE / 4


def test_light_that_leaves_room_for_rows_is_masked():
    before, after, _ = left_over(5, 5e3, 3.0)
    assert after < before
    assert after < 1.1 * WHITE


def test_where_light_fills_a_frame_is_told_by_what_is_left():
    usable = np.ones((10, 10), bool)
    usable[0] = False
    left_out = np.zeros((10, 10), bool)
    left_out[1:4] = True  # a third of the usable pixels
    assert not light_fills(usable, left_out)
    left_out[4] = True
    assert light_fills(usable, left_out)


def test_frames_without_usable_pixels_are_refused(rng):
    images = noise(rng, 1.0)[None]
    with pytest.raises(TooFewPixels, match="light fills"):
        stripes_in_light(images, np.ones(images.shape, bool), readout=READOUT, columns=True)
