"""Exposures of one visit are one time series."""

from pathlib import Path

from detectorist.modes import group_exposures, load_mode


def test_a_phase_curve_in_three_exposures_is_one_reduction():
    names = [
        "jw01366011001_04103_00003-seg001_mirimage_uncal.fits",
        "jw01366011001_04103_00001-seg002_mirimage_uncal.fits",
        "jw01366011001_04103_00001-seg001_mirimage_uncal.fits",
        "jw01366011001_04103_00002-seg001_mirimage_uncal.fits",
        "jw01366012001_04103_00001-seg001_mirimage_uncal.fits",
        "mine_uncal.fits",
    ]
    found = group_exposures(load_mode("lrs"), [Path("in") / name for name in names])
    assert {name: len(files) for name, files in found.items()} == {
        "jw01366011001_04103_00001-00003_mirimage": 4,
        "jw01366012001_04103_00001_mirimage": 1,
        "mine": 1,
    }
