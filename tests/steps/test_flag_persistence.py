"""FlagPersistenceStep: tables in, flags out, on any subarray of the detector."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.algorithms import dq
from detectorist.errors import InputError
from detectorist.modes.imaging.saturated import join_saturated, write_saturated
from detectorist.stage_1 import FlagPersistenceStep
from detectorist.stage_1.flag_persistence import TABLE_DTYPE

START_MJD, GROUP_S = 61000.0, 40.0


@pytest.fixture
def ramp():
    """The second integration saturates in one pixel; rows 9 and columns 21 of the detector are the first ones."""
    model = datamodels.RampModel(data=np.zeros((2, 5, 16, 12), np.float32))
    model.groupdq = np.zeros(model.data.shape, np.uint8)
    model.groupdq[1, 3:, 7, 2] = dq.SATURATED
    model.pixeldq = np.zeros((16, 12), np.uint32)
    model.meta.instrument.name, model.meta.instrument.detector = "NIRCAM", "NRCA3"
    model.meta.subarray.ystart, model.meta.subarray.xstart = 10, 22
    exposure = model.meta.exposure
    exposure.start_time, exposure.group_time, exposure.frame_time = START_MJD, GROUP_S, GROUP_S
    exposure.ngroups, exposure.nints, exposure.nresets_between_ints = 5, 2, 1
    return model


@pytest.fixture
def earlier(tmp_path):
    """Return a function that writes a table of (row, column, seconds before the exposure)."""

    def write(*pixels, name="a_saturated.fits"):
        rows = [(row, column, START_MJD - seconds / 86400) for row, column, seconds in pixels]
        return str(write_saturated(np.array(rows, TABLE_DTYPE), tmp_path / name))

    return write


def test_defaults_are_those_of_the_algorithm():
    from detectorist.algorithms.ramps.persistence import flag_glow

    assert FlagPersistenceStep().exclude is inspect.signature(flag_glow).parameters["exclude"].default


def test_pixels_of_the_detector_are_flagged_for_the_time_given(ramp, earlier):
    path = earlier((9 + 3, 21 + 4, 900.0), (9 + 5, 21 + 6, 2000.0), (0, 0, 1.0), (2000, 25, 1.0))
    before = ramp.groupdq.copy()
    step = FlagPersistenceStep(earlier=path, persistence_time=1000.0)
    got = step.run(ramp)
    assert_array_equal(ramp.groupdq, before)
    # It glows for 100 s more: through the groups that begin at 0, 40 and 80 s.
    assert_array_equal(np.argwhere(got.groupdq[:, :, 3, 4]), [[0, 0], [0, 1], [0, 2]])
    assert dq.has(got.groupdq, dq.DO_NOT_USE).sum() == 3
    assert_array_equal(np.argwhere(got.pixeldq), [[3, 4]])
    assert got.pixeldq[3, 4] == dq.PERSISTENCE
    assert (step.record["n_glowing"], step.record["n_earlier"]) == (1, 4)
    assert got.meta.cal_step.flag_persistence == "COMPLETE"


def test_what_saturates_is_handed_on_with_its_end(ramp):
    step = FlagPersistenceStep()
    step.run(ramp)
    (pixel,) = step.saturated
    assert (pixel["ROW"], pixel["COLUMN"]) == (9 + 7, 21 + 2)
    end = 2 * 5 * GROUP_S + GROUP_S  # of the second integration, one reset in between
    assert (pixel["END_MJD"] - START_MJD) * 86400 == pytest.approx(end, abs=1e-3)


def test_tables_are_joined_with_the_latest_saturation(earlier, tmp_path):
    one = earlier((5, 6, 500.0), (1, 2, 900.0), name="1_saturated.fits")
    other = earlier((5, 6, 100.0), name="2_saturated.fits")
    table = join_saturated([one, other])
    assert_array_equal(table["ROW"], [1, 5])
    assert_array_equal(
        (START_MJD - table["END_MJD"]) * 86400, [pytest.approx(900, abs=1e-3), pytest.approx(100, abs=1e-3)]
    )
    assert len(join_saturated([])) == 0


def test_a_file_that_is_no_table(ramp, tmp_path):
    path = tmp_path / "x_saturated.fits"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not readable as a table of saturated pixels"):
        FlagPersistenceStep(earlier=str(path)).run(ramp)
