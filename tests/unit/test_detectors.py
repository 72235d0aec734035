"""Facts of the detectors agree with one another."""

import pytest

from detectorist.detectors import (
    LRS_SLITLESS,
    MIRI_INTERFERENCE,
    MIRI_SUBARRAYS,
    NIRCAM,
)


@pytest.mark.parametrize(
    ("name", "clocks", "phase_advance"),
    [
        ("SLITLESSPRISM", 15_904, 1 / 8),
        ("MASK1065", 23_968, 5 / 8),
        ("MASKLYOT", 32_400, 9 / 16),
        ("FULL", 277_504, 0),
    ],
)
def test_frame_clocks_follow_from_rows(name, clocks, phase_advance):
    subarray = MIRI_SUBARRAYS[name]
    assert subarray.frame_clocks == clocks
    assert subarray.frame_time_s == pytest.approx(clocks * 1e-5)
    assert clocks / MIRI_INTERFERENCE.period_clocks % 1 == pytest.approx(phase_advance)


def test_interference_repeats_every_256_clocks():
    assert MIRI_INTERFERENCE.period_clocks == pytest.approx(256)


def test_nircam_scans():
    backward = {name for name, detector in NIRCAM.items() if detector.fast_axis == -1}
    assert backward == {"NRCA1", "NRCA3", "NRCALONG", "NRCB2", "NRCB4"}
    assert NIRCAM["NRCALONG"].read_noise_e < NIRCAM["NRCA1"].read_noise_e


def test_wavelengths_fall_with_row():
    rows, um = zip(*LRS_SLITLESS.wavelength_table, strict=True)
    assert list(rows) == sorted(rows)
    assert list(um) == sorted(um, reverse=True)
