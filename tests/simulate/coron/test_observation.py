"""What is written: headers, truth, and the same bytes for the same seed."""

import hashlib

import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.errors import OutputError
from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestFiles:
    def test_names_and_sizes(self, written):
        scene, folder, paths = written
        detector = scene.mode.detector.lower()
        assert len(paths) == (4 if detector == "nrcalong" else 6)
        assert paths[0].name == f"jw09999001001_03102_00001_{detector}_uncal.fits"
        others = {path.name.replace("_uncal.fits", "_truth.nc") for path in paths}
        assert {path.name for path in folder.iterdir()} == {*(path.name for path in paths), *others, "crds"}

    def test_headers_tell_the_kinds_apart(self, written):
        scene, _, paths = written
        mode, seen = scene.mode, []
        for path in paths:
            with datamodels.Level1bModel(path) as model:
                meta = model.meta
                assert model.data.shape == (2, 4, *mode.shape)
                assert (meta.exposure.type, meta.exposure.readpatt) == (mode.exposure_type, mode.read_pattern)
                assert (meta.instrument.coronagraph, meta.subarray.name) == (mode.coronagraph, mode.subarray.name)
                assert meta.exposure.noutputs == mode.n_outputs
                assert meta.filename == path.name
                seen.append((meta.exposure.psf_reference, meta.observation.bkgdtarg, meta.wcsinfo.roll_ref))
                assert len(model.int_times) == 2
        plain = [(False, False, 100.0), (False, False, 110.0), (True, False, 110.0), (True, False, 110.0)]
        empty = [(False, True, 100.0), (True, True, 110.0)]
        assert seen == plain + (empty if mode.instrument == "MIRI" else [])

    def test_group_time(self, written):
        with datamodels.Level1bModel(written[2][0]) as model:
            expected = 1.06904 if written[0].mode.instrument == "NIRCAM" else 0.23968
            assert model.meta.exposure.group_time == pytest.approx(expected, abs=1e-9)

    def test_truth_is_what_was_exposed(self, written):
        scene, _, paths = written
        observed = scene.observe(ints=2, groups=4, rolls=2, dithers=2, seed=4)
        for visit, path in list(zip(observed.visits, paths, strict=True))[1:3]:
            with xr.open_dataset(str(path).replace("_uncal.fits", "_truth.nc"), engine="h5netcdf") as truth:
                light = observed.light(visit, 1)
                assert_allclose(truth.rate[1], light.steady * truth.response.values, rtol=1e-6, atol=1e-6)
                assert_allclose(truth.outliers[1], light.outliers * truth.response.values, rtol=1e-6)
                assert truth.attrs["kind"] == visit.kind
                assert_allclose(truth.companion.sum(), truth.attrs["companion_dn_s"], rtol=1e-4)
                with datamodels.Level1bModel(path) as model:
                    assert_array_equal(model.data[1], observed.read_out(visit, 1).raw)

    @pytest.mark.parametrize("scene", [CoronScene(), MiriCoronScene()], ids=["nircam", "miri"])
    def test_same_seed_same_bytes_and_no_other(self, scene, tmp_path):
        for name, seed in (("one", 4), ("again", 4), ("other", 5)):
            scene.write(tmp_path / name, ints=1, groups=2, rolls=1, dithers=0, backgrounds=False, seed=seed)
        first, again, other = (digests(tmp_path / name) for name in ("one", "again", "other"))
        assert first == again
        assert {name for name in first if first[name] == other[name]} == {n for n in first if n.startswith("crds/")}

    def test_no_overwriting_unless_told_so(self, written):
        scene, folder, _ = written
        before = digests(folder)
        with pytest.raises(OutputError, match="already"):
            scene.write(folder, ints=1, groups=2)
        assert digests(folder) == before
