"""Arrays in files, indexed as arrays."""

import numpy as np
import pytest

from detectorist.reduction.arrays_on_disk import ArrayOnDisk


@pytest.fixture
def ramps(rng):
    return rng.normal(size=(5, 4, 6, 7)).astype(np.float32)


@pytest.fixture
def stored(ramps, tmp_path):
    """The same on disk, written in two parts."""
    array = ArrayOnDisk(tmp_path / "ramps", ramps.shape, np.float32)
    array.append(ramps[:2])
    array.append(ramps[2:].astype(float))
    return array


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(1, 3),
        (slice(None), 2),
        (slice(None), -1, slice(2, 4)),
        (slice(None), slice(1, 3), [0, 5, 2], [1, 1, 6]),
        (slice(None), slice(None), slice(None), slice(4)),
    ],
    ids=str,
)
def test_what_is_read_is_what_an_array_gives(ramps, stored, index):
    np.testing.assert_array_equal(stored[index], ramps[index])
    assert stored[index].flags.writeable


def test_integrations_one_after_the_other(ramps, stored):
    assert len(stored) == 5
    np.testing.assert_array_equal(np.array(list(stored)), ramps)
    with pytest.raises(IndexError):
        stored[5]


@pytest.mark.parametrize(("first", "stop"), [(0, 5), (1, 3), (4, 5)])
def test_integrations_that_are_read_at_once_can_be_changed_alone(ramps, stored, first, stop):
    found = stored.read(first, stop)
    np.testing.assert_array_equal(found, ramps[first:stop])
    found[:] = 0
    np.testing.assert_array_equal(stored.read(0, 5), ramps)


def test_rows_come_in_any_order(rng, tmp_path):
    cube = rng.normal(size=(3, 10, 4)).astype(np.float32)
    array = ArrayOnDisk(tmp_path / "rates", cube.shape, np.float32)
    for first, stop in ((4, 9), (9, 10), (0, 4)):
        array.put_rows(first, cube[:, first:stop])
    np.testing.assert_array_equal(array.mapped(), cube)
    with pytest.raises(ValueError, match="read-only"):
        array.mapped()[:] = 0
