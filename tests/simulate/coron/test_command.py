"""The command `detectorist simulate coron`."""

import xarray as xr
from stdatamodels.jwst import datamodels
from typer.testing import CliRunner

from detectorist.cli.simulate import app
from detectorist.errors import ParameterError


def run(*arguments):
    return CliRunner().invoke(app, ["coron", *map(str, arguments)])


class TestCommand:
    def test_writes_and_says_what(self, tmp_path):
        small = ("--ints", 1, "--groups", 2, "--rolls", 1, "--dithers", 1)
        result = run("-o", tmp_path / "sim", *small, "--without", "flicker", "--companion", 77)
        assert result.exit_code == 0, result.output
        assert "jw09999002001_03102_00001_nrcalong_uncal.fits (REF)" in result.output
        with xr.open_dataset(next((tmp_path / "sim").glob("*001001*_truth.nc")), engine="h5netcdf") as truth:
            assert truth.attrs["left_out"] == "flicker"
            assert truth.attrs["companion_dn_s"] == 77

    def test_miri_has_backgrounds_unless_told_otherwise(self, tmp_path):
        small = ("--instrument", "miri", "--ints", 1, "--groups", 2, "--rolls", 1, "--dithers", 0, "--quiet")
        result = run("-o", tmp_path / "sim", *small)
        assert (result.exit_code, result.output) == (0, "")
        assert len(list((tmp_path / "sim").glob("*_mirimage_uncal.fits"))) == 2

    def test_lyot_spot(self, tmp_path):
        small = ("--instrument", "miri-lyot", "--ints", 1, "--groups", 2, "--rolls", 1, "--dithers", 0, "--quiet")
        assert run("-o", tmp_path / "sim", *small, "--no-backgrounds").exit_code == 0
        with datamodels.open(next((tmp_path / "sim").glob("*_uncal.fits"))) as model:
            assert model.data.shape[2:] == (304, 320)
            assert (model.meta.exposure.type, model.meta.instrument.coronagraph) == ("MIR_LYOT", "LYOT_2300")

    def test_unknown_component_writes_nothing(self, tmp_path):
        result = run("-o", tmp_path / "sim", "--without", "cosmics")
        assert isinstance(result.exception, ParameterError)
        assert not (tmp_path / "sim").exists()
