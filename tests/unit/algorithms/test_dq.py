"""Data-quality bits: AND to test, OR to set, and nothing that does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from detectorist.algorithms import dq

BYTES = hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3, max_side=5))


@given(flags=BYTES, bits=st.integers(0, 255))
def test_has_is_true_where_any_bit_is_set(flags, bits):
    expected = [[any(int(v) >> k & 1 and bits >> k & 1 for k in range(8))] for v in flags.ravel()]
    assert_array_equal(dq.has(flags, bits).ravel(), np.ravel(expected))


@given(flags=BYTES, bits=st.integers(0, 255), seed=st.integers(0, 9))
def test_add_sets_and_never_clears(flags, bits, seed):
    where = np.random.default_rng(seed).random(flags.shape) < 0.5
    before = flags.copy()
    got = dq.add(flags, where, bits)
    assert_array_equal(flags, before)
    assert got.dtype == flags.dtype
    assert_array_equal(got & before, before)
    assert_array_equal(got[where], before[where] | bits)
    assert_array_equal(got[~where], before[~where])
    assert_array_equal(dq.add(got, where, bits), got)


def test_the_highest_bit_of_a_pixel_flag():
    flags = np.array([0, 1], np.uint32)
    got = dq.add(flags, np.array([True, False]), dq.REFERENCE_PIXEL)
    assert_array_equal(got, [2**31, 1])
    assert_array_equal(dq.has(got, dq.REFERENCE_PIXEL), [True, False])


@pytest.mark.parametrize("flags", [256, dq.HOT, -1])
def test_a_bit_that_does_not_fit_is_an_error(flags):
    with pytest.raises(OverflowError, match=f"flag {flags} does not fit uint8, which ends at 255"):
        dq.has(np.zeros(2, np.uint8), flags)
    with pytest.raises(OverflowError):
        dq.add(np.zeros(2, np.uint8), np.ones(2, bool), flags)


@pytest.mark.parametrize(("bits", "value"), [([], 0), (None, 0), ([0], 1), ([0, 2, 4], 21), ([31], 2**31), ([3, 3], 8)])
def test_bit_indices(bits, value):
    assert dq.from_bit_indices(bits) == value


@pytest.mark.parametrize("bit", [-1, 32])
def test_bit_index_outside_the_flags(bit):
    with pytest.raises(ValueError, match=f"bit index {bit}: 0 to 31"):
        dq.from_bit_indices([bit])


def test_values_are_those_of_the_standard_pipeline():
    stdatamodels = pytest.importorskip("stdatamodels.jwst.datamodels.dqflags")
    for name in ("DO_NOT_USE", "SATURATED", "JUMP_DET", "OUTLIER", "HOT", "REFERENCE_PIXEL"):
        assert getattr(dq, name) == stdatamodels.pixel[name]
