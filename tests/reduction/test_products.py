"""Products: whole or not at all, never over an input, reused only when nothing changed."""

import os
import resource

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from detectorist.errors import OutputError
from detectorist.reduction import content_keys, products


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


def write_half(target):
    with products.whole_file(target) as partial:
        partial.write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "a.txt")
    assert leftovers(tmp_path) == []


def test_a_failed_write_keeps_the_earlier_product(tmp_path):
    target = products.write_text("whole", tmp_path / "a.txt")
    with pytest.raises(RuntimeError):
        write_half(target)
    assert target.read_text() == "whole"


def test_a_full_disk_is_one_sentence(tmp_path):
    """A limit on the size of files stands for a disk without room."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    pid = os.fork()
    if pid == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            products.write_text("x" * 5000, tmp_path / "a.txt")
        except OutputError as error:
            os._exit(0 if "a.txt: cannot be written" in str(error) else 3)
        except BaseException:
            os._exit(4)
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert leftovers(tmp_path) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        products.write_text("x", tmp_path / "out" / "a.txt")


def test_an_input_is_never_overwritten(tmp_path, make_lrs_rateints):
    path = tmp_path / "a_rateints.fits"
    model = make_lrs_rateints(2, 4, 40)
    model.save(str(path))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is the input itself"):
        products.write_model(model, path, never_over=path)
    assert path.read_bytes() == before


def test_a_dataset_survives(tmp_path):
    dataset = xr.Dataset({"flux": (("t", "w"), np.arange(6.0).reshape(2, 3))})
    path = products.write_dataset(dataset, tmp_path / "deep" / "a.nc")
    with xr.open_dataset(path, engine="h5netcdf") as got:
        xr.testing.assert_identical(got.load(), dataset)


def test_the_key_changes_with_everything_that_matters(tmp_path):
    source = tmp_path / "a_uncal.fits"
    source.write_bytes(b"1")

    def key(parameters=None, references="crds"):
        return content_keys.content_key(source, parameters or {"jump": {"x": 1, "output_dir": "a"}}, references)

    first = key()
    assert key({"jump": {"x": 1, "output_dir": "elsewhere"}}) == first
    assert key({"jump": {"x": 2}}) != first
    assert key(references=str(tmp_path)) != first
    source.write_bytes(b"2")
    assert key() != first


def test_a_reference_of_ones_own_counts_by_its_arrays(tmp_path):
    source = tmp_path / "a_uncal.fits"
    source.write_bytes(b"1")

    def key(date, value):
        primary = fits.PrimaryHDU()
        primary.header["DATE"] = date
        hdus = fits.HDUList([primary, fits.ImageHDU(np.full(3, value), name="SCI")])
        hdus.writeto(tmp_path / "gain.fits", overwrite=True)
        return content_keys.content_key(source, {"jump": {"override_gain": str(tmp_path / "gain.fits")}}, "crds")

    assert key("2020", 1.0) == key("2021", 1.0)
    assert key("2021", 1.0) != key("2021", 2.0)


def test_an_open_model_has_no_key(make_lrs_rateints):
    assert content_keys.content_key(make_lrs_rateints(2, 4, 40), {}, "crds") is None


def test_the_stamp_is_read_back(tmp_path, make_lrs_rateints):
    model = make_lrs_rateints(2, 4, 40)
    content_keys.stamp(model, "abc")
    path = products.write_model(model, tmp_path / "a_rateints.fits")
    assert content_keys.key_of(path) == "abc"
    assert content_keys.key_of(tmp_path / "missing.fits") is None
    path.write_bytes(b"broken")
    assert content_keys.key_of(path) is None
