"""NIRCam imaging as a mode of campaigns."""

from pathlib import Path

import pytest

from detectorist.errors import ParameterError
from detectorist.modes import group_exposures, load_mode
from detectorist.modes.job import Job


def job(*settings, files=("a_nrca1_rate.fits",), recipe=None, folder="."):
    return Job("a_nrca1", "imaging", tuple(files), str(folder), recipe, tuple(settings), "none")


def test_every_file_is_an_exposure():
    mode = load_mode("imaging")
    files = [Path("jw1_nrca1_uncal.fits"), Path("jw1_nrca2_uncal.fits")]
    assert list(group_exposures(mode, files)) == ["jw1_nrca1", "jw1_nrca2"]


def test_values_are_checked_before_anything_starts():
    mode = load_mode("imaging")
    mode.check(job("stripes.thresh=0.2", "wisps.scale=0.8", recipe="ceers"))
    for wrong in ("stripes.thresh=2", "stripes.tresh=0.2", "snowball.method=ceers"):
        with pytest.raises(ParameterError):
            mode.check(job(wrong))


def test_steps_and_size():
    mode = load_mode("imaging")
    steps = mode.steps_of(job("wisps.skip=true"))
    assert {"jump", "snowballs", "ramp_fit", "stripes"} <= set(steps)
    assert "wisps" not in steps
    assert mode.predict(job(files=("nowhere.fits",))).memory_bytes == 0
