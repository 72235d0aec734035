"""Models written in pieces: the same files as the datamodels write, hashed on the way, from memory or from disk."""

import errno
import gc

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel, RampModel

from detectorist.campaign import memory
from detectorist.reduction import content_keys, model_files
from detectorist.reduction.arrays_on_disk import ArrayOnDisk

ARRAYS = ("data", "err", "dq", "var_poisson", "var_rnoise")


def rates(n_ints, keep=lambda name, array: array):
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


def require_equal(path, other):
    """Two files have the same extensions, headers but for dates and names, and arrays; all checksums are right."""
    with fits.open(path, checksum=True) as one, fits.open(other, checksum=True) as two:
        assert [hdu.name for hdu in one] == [hdu.name for hdu in two]
        for mine, usual in zip(one[1:-1], two[1:-1], strict=True):
            assert mine.header["DATASUM"] == usual.header["DATASUM"]
            assert list(mine.header) == list(usual.header)
            assert mine.data.dtype == usual.data.dtype
            np.testing.assert_array_equal(mine.data, usual.data)


@pytest.mark.filterwarnings("error::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.parametrize("n_ints", [1, 4, 12])  # of less than a piece, of several and a rest
def test_a_model_is_written_as_by_itself(tmp_path, n_ints):
    model_files.save(rates(n_ints), tmp_path / "ours.fits")
    rates(n_ints).save(str(tmp_path / "usual.fits"), checksum=True)
    require_equal(tmp_path / "ours.fits", tmp_path / "usual.fits")


def test_every_kind_of_array(rng, tmp_path):
    """Flags of a byte, tables, arrays in the byte order of FITS or in another order of axes."""

    def ramps():
        model = RampModel((2, 5, 33, 21))
        numbers = np.random.default_rng(4)
        model.data = numbers.normal(size=(2, 5, 33, 21)).astype(">f4")
        model.groupdq = numbers.integers(0, 255, (2, 5, 33, 21)).astype(np.uint8)
        model.pixeldq = np.asfortranarray(numbers.integers(0, 2**32, (33, 21)).astype(np.uint32))
        model.int_times = np.zeros(2, model.get_dtype("int_times"))
        return model

    model_files.save(ramps(), tmp_path / "ours.fits")
    ramps().save(str(tmp_path / "usual.fits"), checksum=True)
    require_equal(tmp_path / "ours.fits", tmp_path / "usual.fits")


def test_a_model_is_as_it_was_afterwards(tmp_path):
    model, same = rates(4), rates(4)
    model_files.save(model, tmp_path / "a.fits")
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(model, name), getattr(same, name))


def test_the_hash_is_of_all_that_follows_the_first_header(tmp_path):
    path = tmp_path / "a.fits"
    digest = model_files.save(rates(4), path)
    content_keys.seal(path, None, digest=digest)
    assert content_keys.is_whole(path)
    content_keys.seal(path, None)  # reads the file
    assert fits.getval(path, "DT_HASH") == digest


def test_a_model_on_disk_is_written_as_one_in_memory(on_disk, tmp_path):
    model_files.save(rates(4, on_disk), tmp_path / "disk.fits")
    model_files.save(rates(4), tmp_path / "memory.fits")
    require_equal(tmp_path / "disk.fits", tmp_path / "memory.fits")
    with CubeModel(tmp_path / "disk.fits") as read:
        assert read.data.shape == (4, 100, 72)
        assert read.meta.filename == "disk.fits"


def test_writing_takes_no_memory_of_a_whole_array(on_disk, tmp_path):
    model = rates(400, on_disk)  # 11.5 MB an array
    model_files.save(rates(2, on_disk), tmp_path / "first.fits")  # what is imported on the way
    memory.reset_peak()
    before = memory.resident_bytes()
    model_files.save(model, tmp_path / "rates.fits")
    assert memory.peak_bytes() - before < 0.5 * model.data.nbytes
    gc.collect()
    assert memory.resident_bytes() - before < 0.5 * model.data.nbytes


def test_a_full_disk_is_an_error_of_the_system(monkeypatch, tmp_path):
    class Full(model_files._HashedFile):
        def write(self, content):
            if self._handle.tell() > 50_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    monkeypatch.setattr(model_files, "_HashedFile", Full)
    with pytest.raises(OSError, match="No space left on device"):
        model_files.save(rates(4), tmp_path / "a.fits")
