"""Saturated pixels of one exposure, flagged in the next for as long as they glow."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.persistence import find_saturated, flag_glow

START = 100.0 * np.arange(2)[:, None] + 20.0 * np.arange(4)  # two integrations of four groups


@pytest.fixture
def flags():
    return np.zeros((2, 4, 6, 5), np.uint8), np.zeros((6, 5), np.uint32)


def flag(flags, until, **kwargs):
    rows, columns = np.array([1, 2, 4])[: len(until)], np.array([3, 0, 4])[: len(until)]
    return flag_glow(*flags, rows, columns, np.array(until, float), group_start_s=START, **kwargs)


def test_groups_that_begin_while_a_pixel_glows_are_left_out(flags):
    found = flag(flags, [-5.0, 30.0, 130.0])
    excluded = dq.has(found.groupdq, dq.DO_NOT_USE)
    assert not excluded[:, :, 1, 3].any()
    assert_array_equal(excluded[:, :, 2, 0], [[True, True, False, False], [False] * 4])
    assert_array_equal(excluded[:, :, 4, 4], [[True] * 4, [True, True, False, False]])
    assert excluded.sum() == 2 + 6
    assert_array_equal(np.argwhere(dq.has(found.pixeldq, dq.PERSISTENCE)), [[2, 0], [4, 4]])
    assert (found.n_pixels, found.n_lost) == (2, 0)


def test_a_pixel_that_glows_to_the_end_is_lost(flags):
    found = flag(flags, [1e4])
    assert dq.has(found.groupdq[:, :, 1, 3], dq.DO_NOT_USE).all()
    assert (found.n_pixels, found.n_lost) == (1, 1)


def test_what_saturates_again_outshines_its_glow(flags):
    flags[0][0, 2:, 1, 3] |= dq.SATURATED
    found = flag(flags, [1e4, 1e4])
    assert not dq.has(found.groupdq[:, :, 1, 3], dq.DO_NOT_USE).any()
    assert dq.has(found.groupdq[:, :, 2, 0], dq.DO_NOT_USE).all()
    assert dq.has(found.pixeldq[[1, 2], [3, 0]], dq.PERSISTENCE).all()


def test_flags_alone(flags):
    found = flag(flags, [1e4], exclude=False)
    assert_array_equal(found.groupdq, flags[0])
    assert found.pixeldq[1, 3] == dq.PERSISTENCE
    assert found.n_lost == 0


def test_input_and_flags_that_were_set_stay(flags):
    flags[0][:] = dq.JUMP_DET
    flags[1][:] = dq.HOT
    before = [array.copy() for array in flags]
    found = flag(flags, [1e4])
    for array, same in zip(flags, before, strict=True):
        assert_array_equal(array, same)
    assert dq.has(found.groupdq, dq.JUMP_DET).all()
    assert dq.has(found.pixeldq, dq.HOT).all()


def test_no_pixels(flags):
    found = flag_glow(*flags, *np.empty((2, 0), int), np.empty(0), group_start_s=START)
    assert found.n_pixels == found.n_lost == 0


def test_the_last_saturation_counts():
    groupdq = np.zeros((3, 4, 6, 5), np.uint8)
    groupdq[0, 3, 2, 1] = dq.SATURATED
    groupdq[2, 1, 2, 1] = dq.SATURATED | dq.JUMP_DET
    groupdq[1, 0, 5, 4] = dq.SATURATED
    groupdq[1, 0, 0, 0] = dq.JUMP_DET
    rows, columns, last = find_saturated(groupdq)
    assert_array_equal([rows, columns, last], [[2, 5], [1, 4], [2, 1]])
