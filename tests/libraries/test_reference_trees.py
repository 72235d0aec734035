"""Small reference files are interpreted once, whatever is done to what was made of them."""

import os

import numpy as np
import pytest
from stdatamodels import fits_support
from stdatamodels.jwst.datamodels import GainModel, ImageModel, MaskModel

from detectorist.libraries import reference_trees
from detectorist.libraries.reference_trees import Trees, interpreted_once


@pytest.fixture
def interpreted(monkeypatch):
    """The names of the files that were interpreted, with nothing kept from before."""
    seen, original = [], fits_support.from_fits

    def note(hdulist, *args, **kwargs):
        seen.append(os.path.basename(hdulist.filename()))
        return original(hdulist, *args, **kwargs)

    monkeypatch.setattr(fits_support, "from_fits", note)
    monkeypatch.setattr(reference_trees, "_TREES", Trees())
    return seen


@pytest.fixture
def gain(tmp_path):
    """A file of gains."""
    return write_gain(tmp_path / "gain.fits", 2.0)


def write_gain(path, value):
    model = GainModel(data=np.full((4, 5), value, np.float32))
    model.meta.instrument.name = "NIRCAM"
    model.meta.description, model.meta.author, model.meta.pedigree = "gains", "test", "DUMMY"
    model.meta.useafter = "2022-01-01T00:00:00"
    model.save(path)
    return path


def test_a_file_is_interpreted_once_and_what_was_made_of_it_may_be_changed(gain, interpreted):
    with interpreted_once():
        for _ in range(3):
            with GainModel(str(gain)) as model:
                assert (model.data == 2.0).all()
                assert model.meta.instrument.name == "NIRCAM"
                model.data[1] = np.nan
                model.meta.instrument.name = "MIRI"
    assert interpreted == ["gain.fits"]


def test_what_is_kept_is_what_is_in_the_file(gain, interpreted):
    with GainModel(str(gain)) as model:
        expected = model.to_flat_dict(include_arrays=False), model.data.dtype
    with interpreted_once(), GainModel(str(gain)), GainModel(str(gain)) as model:
        assert (model.to_flat_dict(include_arrays=False), model.data.dtype) == expected
    assert len(interpreted) == 2


def test_bits_of_a_mask_have_their_standard_meaning_each_time(tmp_path, interpreted):
    """The bits of the file are those of its own table, and are translated as a model is made."""
    kinds = [("Bit", "u4"), ("Value", "u4"), ("Name", "S40"), ("Description", "S80")]
    table = np.array([(0, 1, b"HOT", b"")], kinds)
    model = MaskModel(dq=np.array([[0, 1]], np.uint32), dq_def=table)
    model.save(tmp_path / "mask.fits")
    with interpreted_once():
        found = [MaskModel(str(tmp_path / "mask.fits")).dq.tolist() for _ in range(3)]
    assert found == [[[0, 2048]]] * 3
    assert len(interpreted) == 1


def test_a_file_that_was_written_to_is_read_again(gain, interpreted):
    with interpreted_once():
        GainModel(str(gain)).close()
        write_gain(gain, 3.0)
        status = gain.stat()
        os.utime(gain, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        with GainModel(str(gain)) as model:
            assert (model.data == 3.0).all()
    assert len(interpreted) == 2


def test_another_kind_of_model_is_made_anew_and_exposures_are_not_kept(gain, interpreted):
    with interpreted_once():
        for kind in (GainModel, ImageModel, ImageModel):
            kind(str(gain)).close()
    assert len(interpreted) == 3


def test_readers_are_left_as_they_were(gain):
    before = fits_support.from_fits
    with interpreted_once():
        assert fits_support.from_fits is not before
    with pytest.raises(ZeroDivisionError), interpreted_once():
        1 / 0  # noqa: B018
    assert fits_support.from_fits is before


def test_large_files_are_not_kept_and_old_ones_make_room():
    trees = Trees(most_of_one=100, most_of_all=250)
    for name in "abc":
        trees.keep((name,), {"data": np.zeros(100, np.uint8)})
    assert trees.get(("a",)) is None
    assert trees.get(("b",)) is not None  # asked for last
    trees.keep(("d",), {"data": np.zeros(100, np.uint8)})
    assert trees.get(("c",)) is None
    trees.keep(("large",), {"data": np.zeros(101, np.uint8)})
    assert trees.get(("large",)) is None
    assert trees.n_bytes == 200
