"""GroupBackgroundSubtractStep: the background of every group."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist import models
from detectorist.algorithms.spectra.background import measure_background
from detectorist.errors import AlreadyCorrected, InputError, ParameterError
from detectorist.stage_1 import GroupBackgroundSubtractStep

SIDES = np.r_[8:17, 56:72]


@pytest.fixture
def ramp(make_lrs_ramp):
    return make_lrs_ramp(n_ints=2, n_groups=5, ny=40)


def test_defaults_are_those_of_the_algorithm():
    step = GroupBackgroundSubtractStep()
    for name, parameter in inspect.signature(measure_background).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name != "columns":  # an array, not a parameter of a step
            assert getattr(step, name) == parameter.default, name


@pytest.mark.parametrize("method", ["row_wise", "constant", "col_wise"])
def test_every_group_loses_its_own_background(ramp, method):
    ramp.data += 50 * np.arange(5, dtype=np.float32)[None, :, None, None]
    before = ramp.data.copy()
    model = GroupBackgroundSubtractStep.call(ramp, method=method)
    assert_allclose(np.median(model.data[..., SIDES], axis=(2, 3)), 0, atol=2)
    assert_array_equal(ramp.data, before)
    trace = (model.data - before)[..., 36].mean(axis=(0, 2))
    assert_allclose(np.diff(trace), -50, atol=5)
    assert models.records(model)["group_background_subtract"]["noise_dn"] > 0


def test_row_medians_exactly(ramp):
    model = GroupBackgroundSubtractStep.call(ramp)
    expected = ramp.data - np.median(ramp.data[..., SIDES], axis=-1, keepdims=True)
    assert_allclose(model.data, expected, rtol=1e-6)


def test_flagged_pixels_do_not_count_and_dropped_groups_stay(ramp):
    ramp.groupdq[:, 2] = 1
    ramp.groupdq[0, 1, 5, 10:14] = 2
    ramp.pixeldq[7, 60] = 1
    reference = GroupBackgroundSubtractStep.call(ramp)
    ramp.data[0, 1, 5, 10:14] = 65000
    ramp.data[:, :, 7, 60] = -1e4
    model = GroupBackgroundSubtractStep.call(ramp)
    assert_array_equal(model.data[:, 2], ramp.data[:, 2])
    assert_array_equal(model.data[..., 30:50], reference.data[..., 30:50])
    assert models.records(model)["group_background_subtract"]["frames_left_alone"] == 2


def test_bad_input(ramp, nircam_rateints, make_lrs_rateints):
    with pytest.raises(InputError, match="ramp"):
        GroupBackgroundSubtractStep.call(make_lrs_rateints(ny=20))
    with pytest.raises(InputError):
        GroupBackgroundSubtractStep.call(nircam_rateints)
    with pytest.raises(ParameterError, match="swapped"):
        GroupBackgroundSubtractStep.call(ramp, bkg_col_left_start=30)
    with pytest.raises(AlreadyCorrected):
        GroupBackgroundSubtractStep.call(GroupBackgroundSubtractStep.call(ramp))
