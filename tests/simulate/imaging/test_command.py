"""The command `detectorist simulate imaging`."""

import pytest
import xarray as xr


def test_the_command(tmp_path):
    from typer.testing import CliRunner

    from detectorist.cli.simulate import app

    words = ["imaging", "-o", str(tmp_path), "--size", "64", "--groups", "3", "--pattern", "RAPID", "--seed", "3"]
    result = CliRunner().invoke(app, [*words, "--sky", "1.5", "--without", "snowballs"])
    assert result.exit_code == 0, result.output
    assert "wisp templates" in result.output
    with xr.open_dataset(next(tmp_path.glob("*_truth.nc")), engine="h5netcdf") as truth:
        assert truth.attrs["left_out"] == "snowballs"
        assert float(truth.light.median()) == pytest.approx(1.5, abs=0.1)
