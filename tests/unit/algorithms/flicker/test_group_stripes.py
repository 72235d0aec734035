"""Stripes of groups, told quickly: what is left is below the white noise, jumps and light stay."""

import numpy as np
import pytest

from detectorist.algorithms.flicker.group_stripes import group_stripes
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.errors import TooFewPixels

N_INTS, N_GROUPS, SIZE = 4, 5, 96
READ, PINK = 4.0, 8.0


@pytest.fixture
def ramps(rng):
    times = 5.0 * np.arange(1, N_GROUPS + 1)
    yy, xx = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    light = 60 / (1 + np.hypot(yy, xx) / 4) ** 2 + 0.5
    frequency = np.fft.rfftfreq(SIZE * (SIZE + 12))
    waves = rng.normal(size=(2, N_INTS, N_GROUPS, frequency.size))
    with np.errstate(divide="ignore"):
        amplitude = np.where(frequency > 0, frequency**-0.6, 0)
    line = np.fft.irfft((waves[0] + 1j * waves[1]) * amplitude, SIZE * (SIZE + 12))
    pink = PINK * line.reshape(N_INTS, N_GROUPS, SIZE, SIZE + 12)[..., :SIZE] / line.std()
    data = light * times[:, None, None] + pink + 30 * rng.normal(size=(N_INTS, 1, SIZE, SIZE))
    data += READ * rng.normal(size=data.shape)
    return data.astype(np.float32), np.zeros(data.shape, np.uint8), times, np.zeros((SIZE, SIZE), bool), pink


def bends(values):
    """Differences from group to group about their mean: what looks like jumps."""
    steps = np.diff(values, axis=1)
    return steps - steps.mean(axis=1, keepdims=True)


def test_bends_of_ramps_are_those_of_white_noise(ramps):
    data, flags, times, mask, pink = ramps
    found = group_stripes(data, flags, times, mask, readout=alternating_readout(SIZE))
    before, after = bends(pink)[:, :, :20].std(), bends(pink - found)[:, :, :20].std()
    white = READ * np.sqrt(2)
    assert before > 1.5 * white
    assert after < 0.8 * white
    rows = bends(pink - found).mean(axis=-1).std()
    assert rows < 0.25 * bends(pink).mean(axis=-1).std()


def test_a_jump_stays_in_the_ramp(ramps):
    data, flags, times, mask, _ = ramps
    before = group_stripes(data, flags, times, mask, readout=alternating_readout(SIZE))
    hit = data.copy()
    hit[1, 2:, 10, 10] += 500.0
    after = group_stripes(hit, flags, times, mask, readout=alternating_readout(SIZE))
    assert np.abs(after - before).max() < 0.1 * 500


def test_nothing_usable_is_said(ramps):
    data, flags, times, mask, _ = ramps
    with pytest.raises(TooFewPixels):
        group_stripes(data, flags, times, ~mask, readout=alternating_readout(SIZE))
