"""SnowballsStep: flags on ramps, once, with a record of every event."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist import models
from detectorist.algorithms.ramps import snowballs
from detectorist.errors import InputError, ParameterError
from detectorist.stage_1 import SnowballsStep

SIZE, N_GROUPS = 128, 5


@pytest.fixture
def ramp(rng):
    model = datamodels.RampModel(data=np.zeros((2, N_GROUPS, SIZE, SIZE), np.float32))
    flags = np.zeros(model.data.shape, np.uint8)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(yy - 60, xx - 70)
    flags[0, 2][(distance < 12) & (distance >= 5)] = 4
    flags[0, 2:, distance < 5] = 2
    model.groupdq = flags
    model.pixeldq = np.zeros((SIZE, SIZE), np.uint32)
    model.meta.instrument.name, model.meta.instrument.detector = "NIRCAM", "NRCA3"
    model.meta.exposure.type = "NRC_IMAGE"
    model.meta.exposure.nframes, model.meta.exposure.group_time = 1, 40.0
    model.meta.exposure.nints, model.meta.exposure.ngroups = 2, N_GROUPS
    model.meta.cal_step.jump = "COMPLETE"
    model.meta.filename = "jw00001001001_nrca3_ramp.fits"
    return model


def test_spec_and_algorithm_have_the_same_defaults():
    step = SnowballsStep()
    for function in (snowballs.flag_snowballs, snowballs.flag_snowballs_ceers):
        for name, parameter in inspect.signature(function).parameters.items():
            if hasattr(step, name) and parameter.default is not inspect.Parameter.empty:
                value = getattr(step, name)
                assert (tuple(value) if isinstance(value, list) else value) == parameter.default, name


def test_events_are_flagged_and_recorded(ramp):
    before = ramp.groupdq.copy()
    step = SnowballsStep()
    got = step.run(ramp)
    assert_array_equal(ramp.groupdq, before)
    assert got.meta.cal_step.snowballs == "COMPLETE"
    assert step.record["n_events"] == 1
    integration, group, y, x, radius, core = step.record["events"][0]
    assert (integration, group) == (0, 2)
    assert abs(y - 60) < 0.5
    assert abs(x - 70) < 0.5
    assert abs(radius - 12) < 0.5
    assert abs(core - 5) < 0.5
    assert (got.groupdq[0, 2] & 4).sum() > (before[0, 2] & 4).sum()
    assert (got.groupdq[1, :, 60, 70] & 4).all()
    assert models.records(got)["snowballs"]["n_flagged"] == (got.groupdq != before).sum()


def test_events_are_counted_by_group_and_once_where_groups_are_averages(ramp):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    ramp.groupdq[0, 3][np.hypot(yy - 60.5, xx - 70) < 13] |= 4  # the same event, complete
    ramp.groupdq[0, 3][np.hypot(yy - 100, xx - 20) < 6] |= 4
    ramp.meta.exposure.nframes = 8
    step = SnowballsStep()
    step.run(ramp)
    assert step.record["events_per_group"] == [0, 0, 1, 1, 0]
    assert [event[1] for event in step.record["events"]] == [2, 3]


def test_a_jump_step_that_expands_events_itself_is_refused(ramp):
    from jwst.jump import JumpStep

    jump = JumpStep()
    jump.expand_large_events = True
    with pytest.raises(ParameterError, match=r"jw00001001001_nrca3_ramp.fits: jump.expand_large_events is on"):
        SnowballsStep("snowballs", parent=jump).run(ramp)
    jump.expand_large_events = False
    assert SnowballsStep("snowballs", parent=jump).run(ramp.copy()).meta.cal_step.snowballs == "COMPLETE"


def test_a_second_run_changes_nothing(ramp):
    once = SnowballsStep.call(ramp)
    twice = SnowballsStep.call(once)
    assert_array_equal(twice.groupdq, once.groupdq)


def test_ceers_with_its_radii(ramp):
    got = SnowballsStep.call(ramp, method="ceers", detection_radii=[5], grow_radii=[4])
    expected = snowballs.flag_snowballs_ceers(ramp.groupdq, detection_radii=(5,), grow_radii=(4,))
    assert_array_equal(got.groupdq, expected.groupdq)
    with pytest.raises(ParameterError, match=r"jw00001001001_nrca3_ramp.fits.*positive pairs"):
        SnowballsStep.call(ramp, method="ceers", detection_radii=[5, 6], grow_radii=[4])


def test_a_figure_is_written(ramp, tmp_path):
    SnowballsStep.call(ramp, draw_snowballs=True, figure_path=str(tmp_path / "events.png"))
    assert (tmp_path / "events.png").stat().st_size > 1000


def test_wrong_data_are_refused(ramp, make_lrs_ramp, nircam_rateints):
    with pytest.raises(InputError, match="MIRI"):
        SnowballsStep.call(make_lrs_ramp())
    with pytest.raises(InputError, match="4 dimensions"):
        SnowballsStep.call(nircam_rateints)
    ramp.meta.exposure.group_time = 0.0
    with pytest.raises(InputError, match="TGROUP"):
        SnowballsStep.call(ramp)
