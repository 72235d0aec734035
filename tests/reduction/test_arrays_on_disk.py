"""Arrays in files: indexed as arrays, written as products without being in memory together."""

import gc

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel

from detectorist.campaign import memory
from detectorist.reduction import arrays_on_disk
from detectorist.reduction.arrays_on_disk import ArrayOnDisk

ARRAYS = ("data", "err", "dq", "var_poisson", "var_rnoise")


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


def rates(n_ints, keep):
    """Rates, each array made by `keep`."""
    model = CubeModel()
    for name in ARRAYS:
        values = np.arange(n_ints * 7_200).reshape(n_ints, 100, 72)
        array = (values * 97_003).astype(np.uint32) if name == "dq" else values.astype(np.float32)
        setattr(model, name, keep(name, array))
    return model


@pytest.fixture
def on_disk(tmp_path):
    def keep(name, array):
        kept = ArrayOnDisk(tmp_path / f"{name}_{len(array)}", array.shape, array.dtype)
        kept.append(array)
        return kept.mapped()

    return keep


def test_a_model_on_disk_is_written_as_one_in_memory(on_disk, tmp_path):
    arrays_on_disk.save(rates(4, on_disk), tmp_path / "disk.fits")
    arrays_on_disk.save(rates(4, lambda name, array: array), tmp_path / "memory.fits")
    with fits.open(tmp_path / "disk.fits", checksum=True) as one, fits.open(tmp_path / "memory.fits") as other:
        assert [hdu.name for hdu in one] == [hdu.name for hdu in other]
        for mine, usual in zip(one[1:-1], other[1:-1], strict=True):
            assert mine.header["DATASUM"] == usual.header["DATASUM"]
            assert list(mine.header) == list(usual.header)
            np.testing.assert_array_equal(mine.data, usual.data)
    with CubeModel(tmp_path / "disk.fits") as read:
        assert read.data.shape == (4, 100, 72)
        assert read.meta.filename == "disk.fits"


def test_writing_takes_no_memory_of_a_whole_array(on_disk, tmp_path):
    model = rates(400, on_disk)  # 11.5 MB an array
    arrays_on_disk.save(rates(2, on_disk), tmp_path / "first.fits")  # what is imported on the way
    memory.reset_peak()
    before = memory.resident_bytes()
    arrays_on_disk.save(model, tmp_path / "rates.fits")
    assert memory.peak_bytes() - before < 0.5 * model.data.nbytes
    gc.collect()
    assert memory.resident_bytes() - before < 0.5 * model.data.nbytes
