"""Rows laid side by side are the same memory."""

import numpy as np
import pytest

from detectorist.engine.lines import LINE_PIX, wide


@pytest.mark.parametrize(
    ("shape", "lines"), [((2, 3, 416, 72), (2, 3, 32, 936)), ((7, 5), (1, 35)), ((3, 8, 2048),) * 2]
)
def test_rows_side_by_side(shape, lines):
    planes = np.arange(np.prod(shape)).reshape(shape)
    found = wide(planes)
    assert found.shape == lines
    assert found.shape[-1] <= max(LINE_PIX, shape[-1])
    assert np.shares_memory(found, planes)
    np.testing.assert_array_equal(found.ravel(), planes.ravel())


def test_arrays_in_another_order_are_refused():
    """A copy would be written to, not the array."""
    with pytest.raises(ValueError, match="not in C order"):
        wide(np.zeros((4, 6)).T)
