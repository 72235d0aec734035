"""What a product says of itself: mode, size, steps, records and counts of flags."""

import numpy as np
import pytest

from detectorist import models
from detectorist.algorithms import dq
from detectorist.errors import InputError, NoSuchFile
from detectorist.reduction.inspection import inspect_file

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def path(make_lrs_rateints, tmp_path):
    rates = make_lrs_rateints(n_ints=2)
    rates.dq[:, 5, 3] |= dq.JUMP_DET
    rates.dq[0, 7, 4] |= dq.DO_NOT_USE
    rates.meta.cal_step.jump = "COMPLETE"
    numbers = {"n_cleaned": 7, "scale": 1.23456789, "ids": list(range(99))}
    models.record_step(rates, "clean_outliers", "COMPLETE", numbers)
    target = tmp_path / "x_rateints.fits"
    rates.save(target)
    return target


def test_facts_steps_records_and_flags(path):
    lines = inspect_file(path).splitlines()
    assert lines[0] == f"{path}: CubeModel (2, 416, 72)"
    assert "  instrument.name: MIRI" in lines
    assert "  exposure.nints: 2" in lines
    (steps,) = [line for line in lines if line.startswith("  steps run: ")]
    assert "jump" in steps
    (record,) = [line for line in lines if line.startswith("  clean_outliers: ")]
    assert "n_cleaned 7, scale 1.2346" in record
    assert "ids [0, 1, 2, 3" in record
    assert "..., " in record
    flags = {line.split(": ")[0].strip(): line.split(": ")[1] for line in lines if line.startswith("  dq ")}
    assert flags == {"dq DO_NOT_USE": f"1 of {2 * 416 * 72}", "dq JUMP_DET": f"2 of {2 * 416 * 72}"}


def test_a_product_without_steps_says_so(make_lrs_rateints, tmp_path):
    make_lrs_rateints().save(tmp_path / "x_rateints.fits")
    assert "  steps run: none" in inspect_file(str(tmp_path / "x_rateints.fits"))


def test_ramps_count_the_flags_of_their_groups(make_lrs_ramp, tmp_path):
    ramps = make_lrs_ramp(n_ints=1, n_groups=3)
    ramps.groupdq[0, 1, :2] = np.uint8(dq.SATURATED)
    ramps.save(tmp_path / "x_ramp.fits")
    assert f"  groupdq SATURATED: {2 * 72} of {3 * 416 * 72}" in inspect_file(tmp_path / "x_ramp.fits").splitlines()


def test_missing_and_foreign_files_are_one_sentence(tmp_path):
    with pytest.raises(NoSuchFile, match=r"none\.fits: no such file"):
        inspect_file(tmp_path / "none.fits")
    with pytest.raises(NoSuchFile, match=r"is a folder; name the files in it"):
        inspect_file(tmp_path)
    (tmp_path / "x.fits").write_text("words")
    with pytest.raises(InputError, match=r"x\.fits: not readable as a JWST product"):
        inspect_file(tmp_path / "x.fits")
