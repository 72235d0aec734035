"""A simulated exposure, its truth, and what its bytes are."""

import pytest
import xarray as xr

from detectorist.simulate.lrs.scene import LrsScene

SIZE = {"ints": 5, "groups": 6, "segments": 2, "seed": 4}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    calls = []
    paths = LrsScene().write(folder, **SIZE, progress=lambda done, total, what: calls.append((done, total, what)))
    return folder, paths, calls


@pytest.fixture
def truth(written):
    with xr.open_dataset(written[0] / "truth.nc", engine="h5netcdf") as opened:
        return opened.load()
