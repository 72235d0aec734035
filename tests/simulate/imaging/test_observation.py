"""What is written: names, truth, and the same bytes for the same seed."""

import numpy as np
import pytest
import xarray as xr
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.errors import OutputError
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.imaging.truth import snowball_disks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("sim")
    scene = ImagingScene().with_detector(size=64, outputs=4, pattern="SHALLOW4").with_("snowballs", per_s=20_000.0)
    scene.write(target, groups=4, ints=2, exposures=2, seed=5)
    return target


def test_files(folder):
    names = sorted(path.name for path in folder.iterdir())
    stem = "jw09999002001_02101_0000{}_nrcb4_{}"
    assert names == [
        "crds", *(stem.format(n, e) for n in (1, 2) for e in ("truth.nc", "uncal.fits")), "wisps"
    ]  # fmt: skip
    assert {path.name for path in (folder / "wisps").iterdir()} == {
        "wisps_nrcb4_f200w.fits",
        "WISP_NRCB4_F200W_CLEAR.fits",
        "components",
    }
    with Level1bModel(folder / stem.format(1, "uncal.fits")) as model:
        assert model.data.shape == (2, 4, 64, 64)
        assert model.data.dtype == np.uint16
        assert model.zeroframe.shape == (2, 64, 64)
        assert model.meta.exposure.nframes == 4
        assert model.meta.exposure.groupgap == 1
        assert model.meta.exposure.noutputs == 4
        assert model.meta.subarray.slowaxis == 2


def test_truth(folder):
    path = next(folder.glob("*_00001_*_truth.nc"))
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        truth = opened.load()
    assert truth.sizes["integration"] == 2
    assert truth.attrs["wisp_strengths"].tolist() == [0.8, 0.8]
    assert truth.stripes.values.std() > 0
    assert truth.expected_noise.values[8:-8, 8:-8].min() > 0
    assert truth.sizes["snowball"] > 0
    disks = snowball_disks(truth, (2, 4, 64, 64))
    assert disks.any()
    assert disks.sum() < disks.size


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    scene = ImagingScene().with_detector(size=64, outputs=4, pattern="SHALLOW4").with_("snowballs", per_s=20_000.0)
    scene.write(tmp_path, groups=4, ints=2, exposures=2, seed=5)
    for path in sorted(folder.glob("*_uncal.fits")):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_nothing_is_overwritten_unasked(folder):
    with pytest.raises(OutputError, match="there already"):
        ImagingScene().with_detector(size=64).write(folder, groups=2)
