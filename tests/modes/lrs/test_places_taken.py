"""A file of another program that stands where a product of an LRS exposure goes is not replaced unless asked for."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from stdatamodels.jwst import datamodels
from typer.testing import CliRunner

from detectorist.cli.app import app

pytestmark = pytest.mark.filterwarnings("default")

STEM = "jw09999001001_04103_00001-seg002_mirimage"
PLACES = (f"stage_1/{STEM}_rateints.fits", f"references/{STEM}_gain.fits", "stage_2/stage_2_output.nc")


@pytest.mark.parametrize("place", [*PLACES, "stage_2/frames.nc", "figures/white_light.png"])
def test_a_foreign_file_is_refused_before_anything_is_made(segments, exposure, tmp_path, place):
    foreign = tmp_path / place
    foreign.parent.mkdir()
    if foreign.suffix == ".nc":
        xr.Dataset({"x": ("y", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    elif foreign.suffix == ".png":
        Figure(figsize=(1, 1)).savefig(foreign)
    else:
        datamodels.CubeModel(data=np.zeros((1, 4, 4), np.float32)).save(foreign)
    before = foreign.read_bytes()
    words = ["run", "lrs", *map(str, segments), "-o", str(tmp_path), "--references", str(exposure / "crds")]
    refused = CliRunner().invoke(app, [*words, "--set", "set_custom_gain.skip=false"])
    assert refused.exit_code == 3, refused.output
    assert "was not written by detectorist and is not overwritten" in " ".join(refused.output.split())
    assert foreign.read_bytes() == before
    made = [path for name in ("stage_1", "stage_2", "references", "figures") for path in tmp_path.glob(f"{name}/*")]
    assert made == [foreign]
