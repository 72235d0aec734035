"""The command `detectorist simulate lrs`."""

import re

import pytest
import xarray as xr
from typer.testing import CliRunner

from detectorist.cli.simulate import app
from detectorist.errors import OutputError, ParameterError

QUICK = ("--ints", "2", "--groups", "3", "--segments", "1", "--seed", "3")


def run(*arguments):
    return CliRunner().invoke(app, ["lrs", *map(str, arguments)])


def test_help_has_an_example():
    text = re.sub(r"\x1b\[[0-9;]*m", "", run("--help").output)
    assert "Example: detectorist simulate lrs" in text


def test_writes_and_says_what(tmp_path):
    result = run("-o", tmp_path / "sim", *QUICK)
    assert result.exit_code == 0, result.output
    assert "seg001_mirimage_uncal.fits" in result.output
    assert "does not saturate" in result.output
    assert {path.name for path in (tmp_path / "sim").iterdir()} >= {"truth.nc", "crds"}


def test_options_reach_the_scene(tmp_path):
    options = ("--star-mag", 10, "--depth", 0.02, "--trace-column", 38, "--gain", 4, "--without", "emi")
    assert run("-o", tmp_path, *QUICK, *options).exit_code == 0
    with xr.open_dataset(tmp_path / "truth.nc", engine="h5netcdf") as truth:
        assert truth.attrs["left_out"] == "emi"
        assert truth.attrs["gain"] == 4
        assert truth.depth.values[200] == pytest.approx(0.02, rel=1e-3)
        assert int(truth.light.values.max(axis=(0, 1)).argmax()) == 38
        assert float(truth.light.max()) == pytest.approx(3_500 * 10**-0.4, rel=0.02)


def test_preset_long_scales_with_the_groups(tmp_path):
    result = run("-o", tmp_path, "--preset", "long", "--ints", 1, "--groups", 50, "--segments", 1, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    with xr.open_dataset(tmp_path / "truth.nc", engine="h5netcdf") as truth:
        assert float(truth.light.max()) * 50 * 0.15904 == pytest.approx(50_000, rel=0.02)
        assert truth.attrs["saturation_group"] == -1


def test_overwrites_only_when_told(tmp_path):
    assert run("-o", tmp_path, *QUICK).exit_code == 0
    refused = run("-o", tmp_path, *QUICK)
    assert isinstance(refused.exception, OutputError)
    assert "--overwrite" in str(refused.exception)
    assert run("-o", tmp_path, *QUICK, "--overwrite").exit_code == 0


def test_unknown_component_writes_nothing(tmp_path):
    result = run("-o", tmp_path / "sim", *QUICK, "--without", "cosmics")
    assert isinstance(result.exception, ParameterError)
    assert not (tmp_path / "sim").exists()


def test_zero_groups_are_refused(tmp_path):
    assert isinstance(run("-o", tmp_path / "sim", "--groups", 0).exception, ParameterError)


def test_the_electronics_of_a_real_array(tmp_path):
    from detectorist.simulate.lrs.truth import drift_image

    assert run("-o", tmp_path, *QUICK, "--detector", "measured").exit_code == 0
    with xr.open_dataset(tmp_path / "truth.nc", engine="h5netcdf") as truth:
        assert truth.attrs["read_noise_dn"] == 4.2
        assert truth.drift_rows.shape == (2, 3, 416)
        rows = drift_image(truth, 1)[:, ::2].mean(axis=2) - truth.drift_rows.values[0, :, ::2]
        assert rows.std(axis=1).max() < 0.01  # nothing else differs between even rows
