"""1/f noise where the readout puts it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.detectors import NIRCAM
from detectorist.errors import ParameterError
from detectorist.simulate.core.time_line import TimeLine, draw_flicker


@pytest.mark.parametrize(("size", "frame_time_s"), [(320, 1.06904), (640, 4.18584)])
def test_clocks_are_those_of_the_frame_time(size, frame_time_s):
    line = TimeLine.of(NIRCAM["NRCALONG"], size, size)
    assert line.frame_clocks * 1e-5 == pytest.approx(frame_time_s, abs=1e-9)
    assert line.n_outputs == 1


def test_full_frame_has_four_outputs():
    line = TimeLine.of(NIRCAM["NRCB1"], 2048, 2048)
    assert (line.n_outputs, line.width, line.fast_direction) == (4, 512, 1)
    assert line.frame_clocks * 1e-5 == pytest.approx(10.73677, abs=2e-5)


def test_pixels_see_the_time_at_which_they_are_read():
    line = TimeLine(2, 4, n_outputs=2, fast_direction=-1, row_overhead_clocks=3, frame_overhead_rows=1)
    clock = np.arange(2 * line.frame_clocks, dtype=float)
    images = line.images(np.stack([clock, 1000 + clock]))
    assert_array_equal(images[0], [[0, 1, 1001, 1000], [5, 6, 1006, 1005]])
    assert_array_equal(images[1] - images[0], line.frame_clocks)


@pytest.mark.parametrize("name", NIRCAM)
def test_simulated_frames_are_read_as_the_header_says(name):
    """A mirrored detector of four outputs is one that is not: the leftmost output scans to the right on all ten."""
    facts = NIRCAM[name]
    axes = {"fast_direction": np.sign(facts.fast_axis), "slow_direction": np.sign(facts.slow_axis)}
    for n_outputs in (1, 4):
        line = TimeLine(6, 8, n_outputs, **axes)
        clock = np.tile(np.arange(line.frame_clocks, dtype=float), (n_outputs, 1))
        times = line.images(clock)[0]
        readout = alternating_readout(8, n_outputs, **axes)
        for first, last, direction in readout.outputs:
            assert (np.diff(times[:, first:last], axis=1) == direction).all()
        assert np.sign(times[1, 0] - times[0, 0]) == readout.slow_direction
        directions = [direction for *_, direction in readout.outputs]
        assert directions == ([1, -1, 1, -1] if n_outputs == 4 else [np.sign(facts.fast_axis)])


def test_slow_direction_turns_the_rows_round():
    line = TimeLine(3, 2, slow_direction=-1, row_overhead_clocks=1)
    clock = np.arange(line.frame_clocks, dtype=float)
    assert_array_equal(line.images(clock[None])[0], [[6, 7], [3, 4], [0, 1]])


def test_power_falls_as_one_over_frequency_over_rows_frames_and_pauses(rng):
    """Undoing the images' order gives back series whose power falls with the frequency, pauses aside."""
    line = TimeLine(64, 64, row_overhead_clocks=0, frame_overhead_rows=0)
    power = np.zeros(64 * 64 * 4 // 2 + 1)
    for _ in range(20):
        series = draw_flicker(line, 4, rng, common=2.0).ravel()
        power += np.abs(np.fft.rfft(series * np.hanning(series.size))) ** 2
    low, high = power[8:16].mean(), power[1024:2048].mean()
    assert np.log2(low / high) / 7 == pytest.approx(1.0, abs=0.06)


def test_rms_and_correlation_of_outputs(rng):
    line = TimeLine(16, 64, n_outputs=4)
    common = draw_flicker(line, 3, rng, common=3.0)
    left, right = common[..., :16], common[..., 16:32][..., ::-1]
    assert_array_equal(left, right)
    own = np.stack([draw_flicker(line, 3, rng, common=0.0, own=1.0) for _ in range(30)])
    assert own.std() == pytest.approx(1.0, rel=0.05)
    correlation = np.corrcoef(own[..., :16].ravel(), own[..., 16:32][..., ::-1].ravel())[0, 1]
    assert abs(correlation) < 0.3


def test_impossible_layouts_are_refused():
    with pytest.raises(ParameterError, match="cannot be shared"):
        TimeLine(4, 6, n_outputs=4)
    with pytest.raises(ParameterError, match="directions"):
        TimeLine(4, 4, fast_direction=2)
