"""The step on a model: flags, record, what stays as it is."""

import numpy as np
import pytest

from detectorist.algorithms import dq
from detectorist.stage_1 import FlagShowersStep


@pytest.fixture
def ramp(make_lrs_ramp, rng):
    """A ramp of three integrations with a shower in the fifth group of the second one."""
    rows, columns = np.mgrid[:416, :72]
    shower = 60 * np.exp(-0.5 * ((rows - 250) ** 2 + (columns - 45) ** 2) / 12**2)
    data = 50 * np.arange(10)[:, None, None] + 6 * rng.normal(size=(3, 10, 416, 72))
    data[1, 4:] += shower
    return make_lrs_ramp(data=data.astype(np.float32))


def test_the_group_is_flagged_in_all_pixels(ramp):
    ramp.groupdq[1, 4, 3, 3] = dq.SATURATED
    step = FlagShowersStep()
    got = step.run(ramp)
    assert dq.has(got.groupdq[1, 4], dq.JUMP_DET).all()
    assert dq.has(got.groupdq[1, 4, 3, 3], dq.SATURATED)
    assert not dq.has(np.delete(got.groupdq[1], 4, axis=0), dq.JUMP_DET).any()
    assert not dq.has(got.groupdq[[0, 2]], dq.JUMP_DET).any()
    assert (step.record["n_groups"], step.record["hits"]) == (1, [[2, 4]])
    assert got.meta.cal_step.flag_showers == "COMPLETE"
    assert not dq.has(ramp.groupdq, dq.JUMP_DET).any()


def test_a_ramp_too_short_is_left_alone(make_lrs_ramp):
    got = FlagShowersStep().run(make_lrs_ramp(data=np.zeros((2, 3, 416, 72), np.float32)))
    assert not got.groupdq.any()
