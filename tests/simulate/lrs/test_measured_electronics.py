"""Electronics of a real array: what the simulator adds is what was measured, and can be read back from its ramps."""

import numpy as np
import pytest

from detectorist.detectors import MIRI_INTERFERENCE, MIRI_SUBARRAYS
from detectorist.simulate.core.miri_components import MEASURED
from detectorist.simulate.lrs.scene import LrsScene

N_GROUPS = 30
SCIENCE = slice(4, None)


@pytest.fixture(scope="module")
def dark_ramps():
    """Return ramps (3, n_groups, n_rows, n_cols) without light, about the zero level, and their phases."""
    scene = LrsScene().only("reset_decay", "first_frame", "last_frame", "emi", "drift", "read_noise")
    scene = scene.with_measured_electronics()
    exposure = scene.observe(ints=3, groups=N_GROUPS, segments=1, seed=5)
    readouts = [exposure.read_out(k) for k in range(3)]
    data = np.array([one.raw for one in readouts]).astype(float) - exposure.patterns.pedestal_dn
    return data, [one.emi_phase_cycles for one in readouts]


def medians(data, integration, group, parity):
    rows = data[integration, group, parity::2, SCIENCE]
    return np.median(rows)


def test_the_first_group_and_the_decay_have_their_sizes(dark_ramps):
    data, _ = dark_ramps
    decay, first = MEASURED["reset_decay"], MEASURED["first_frame"]
    for integration, amplitude, memory in (
        (0, decay["first_amplitude_dn"], decay["first_time_constant_groups"]),
        (1, decay["amplitude_dn"], decay["time_constant_groups"]),
    ):
        for parity, sign in ((0, -1), (1, 1)):
            expected = amplitude + sign * first["parity_dn"]
            assert medians(data, integration, 0, parity) == pytest.approx(expected, abs=3)
            assert medians(data, integration, 5, parity) == pytest.approx(amplitude * np.exp(-5 / memory), abs=3)


def test_the_last_group_lies_above_the_line(dark_ramps):
    data, _ = dark_ramps
    for parity, name in ((0, "even_dn"), (1, "odd_dn")):
        rise = np.median([medians(data, k, -1, parity) - medians(data, k, -2, parity) for k in (1, 2)])
        assert rise == pytest.approx(-MEASURED["last_frame"][name], abs=3)


def test_the_wave_runs_on_through_the_resets(dark_ramps):
    data, phases = dark_ramps
    subarray = MIRI_SUBARRAYS["SLITLESSPRISM"]
    advance = (N_GROUPS + 1) * subarray.frame_clocks / MIRI_INTERFERENCE.period_clocks
    assert np.allclose((np.diff(phases) - advance + 0.5) % 1, 0.5)
    clocks = subarray.row_clocks * np.arange(416)[:, None] + np.arange(72) // 4
    clocks = clocks + subarray.frame_clocks * np.arange(10, N_GROUPS - 1)[:, None, None]
    angle = 2 * np.pi * clocks / MIRI_INTERFERENCE.period_clocks
    for ramp, phase in zip(data, phases, strict=True):
        wave = 2 * np.mean((ramp[10:-1] - np.median(ramp[10:-1], axis=0)) * np.exp(-1j * angle))
        assert abs(wave) == pytest.approx(1.76, rel=0.1)
        # sin(angle + 2 pi phase): its coefficient is exp(i (2 pi phase - pi / 2)).
        assert abs(np.angle(wave * np.exp(-1j * (2 * np.pi * phase - np.pi / 2)))) < 0.1


def test_outputs_drift_together(dark_ramps):
    data, _ = dark_ramps
    levels = np.array([np.mean(data[1:, 12:-1, :, k::4], axis=(2, 3)) for k in range(4)])
    levels = levels - levels.mean(axis=2, keepdims=True)
    assert levels.mean(axis=0).std() == pytest.approx(MEASURED["drift"]["common_dn"], rel=0.45)
    own = levels - levels.mean(axis=0)
    assert own.std() < 0.6 * MEASURED["drift"]["common_dn"]


def test_the_assumed_electronics_stay_the_default(dark_ramps):
    assert LrsScene().with_measured_electronics() != LrsScene()
    assert not LrsScene().emi.keep_phase
    assert LrsScene().first_frame.offset_dn == 0
