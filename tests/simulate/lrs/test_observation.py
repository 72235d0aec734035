"""What is written: headers, times, and the same bytes for the same seed."""

import hashlib
import os

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.errors import OutputError, ParameterError
from detectorist.simulate.lrs.scene import LrsScene

SIZE = {"ints": 5, "groups": 6, "segments": 2, "seed": 4}


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_names_and_progress(written):
    folder, paths, calls = written
    assert [path.name for path in paths] == [f"jw09999001001_04103_00001-seg00{k}_mirimage_uncal.fits" for k in (1, 2)]
    assert [call[:2] for call in calls] == [(k, 5) for k in range(1, 6)]
    assert {path.name for path in folder.iterdir()} == {*(path.name for path in paths), "truth.nc", "crds"}


def test_same_seed_same_bytes_and_no_other(written, tmp_path):
    LrsScene().write(tmp_path / "again", **SIZE)
    assert digests(written[0]) == digests(tmp_path / "again")
    LrsScene().write(tmp_path / "other", **{**SIZE, "seed": 5})
    first, other = digests(written[0]), digests(tmp_path / "other")
    changed = {name for name in first if first[name] != other[name]}
    assert changed == {name for name in first if not name.startswith("crds/")}


def test_headers(written):
    starts = []
    for number, path in enumerate(written[1], start=1):
        with datamodels.Level1bModel(path) as model:
            meta = model.meta
            assert (meta.exposure.type, meta.exposure.readpatt) == ("MIR_LRS-SLITLESS", "FASTR1")
            assert (meta.exposure.segment_number, meta.exposure.segment_total) == (number, 2)
            assert (meta.exposure.nints, meta.exposure.ngroups) == (5, 6)
            assert meta.exposure.group_time == pytest.approx(0.15904)
            assert (meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart) == ("SLITLESSPRISM", 1, 529)
            assert meta.filename == path.name
            assert model.data.dtype == np.uint16
            n_ints = meta.exposure.integration_end - meta.exposure.integration_start + 1
            assert model.data.shape == (n_ints, 6, 416, 72)
            assert_array_equal(
                model.int_times["integration_number"],
                np.arange(meta.exposure.integration_start, meta.exposure.integration_end + 1),
            )
            starts.append(meta.exposure.integration_start)
    assert starts == [1, 4]


def test_integration_times(written):
    tables = []
    for path in written[1]:
        with datamodels.Level1bModel(path) as model:
            tables.append(np.array(model.int_times))
            begin, end = model.meta.exposure.start_time, model.meta.exposure.end_time
    table = np.concatenate(tables)
    start, mid, stop = (table[f"int_{m}_MJD_UTC"] for m in ("start", "mid", "end"))
    assert_allclose((stop - start) * 86_400, 6 * 0.15904, atol=2e-6)
    assert_allclose(np.diff(mid) * 86_400, 7 * 0.15904, atol=2e-6)
    assert_allclose((start[0] - begin) * 86_400, 0.15904, atol=2e-6)
    assert_allclose(stop[-1], end)
    assert np.all(start[1:] > stop[:-1])


class TestRefusals:
    def test_no_overwriting_unless_told_so(self, written):
        before = digests(written[0])
        with pytest.raises(OutputError, match="already"):
            LrsScene().write(written[0], **SIZE)
        assert digests(written[0]) == before

    def test_overwriting_leaves_no_segment_of_before(self, tmp_path):
        small = {"ints": 3, "groups": 2, "seed": 1}
        LrsScene().write(tmp_path, segments=3, **small)
        paths = LrsScene().write(tmp_path, segments=1, overwrite=True, **small)
        assert sorted(tmp_path.glob("*_uncal.fits")) == paths

    def test_other_files_stay(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        LrsScene().write(tmp_path, ints=1, groups=2, segments=1, overwrite=True)
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_a_file_where_the_folder_should_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            LrsScene().write(tmp_path / "file" / "sim", ints=1, groups=2, segments=1)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_folder_without_permission(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="cannot be written"):
            LrsScene().write(tmp_path, ints=1, groups=2, segments=1)

    def test_nothing_is_written_for_impossible_numbers(self, tmp_path):
        with pytest.raises(ParameterError):
            LrsScene().write(tmp_path / "sim", ints=1, segments=2)
        assert not (tmp_path / "sim").exists()
