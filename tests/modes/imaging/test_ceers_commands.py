"""The three commands of the CEERS scripts, one after the other on a folder, with the options they were given."""

import os
import shutil

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from stdatamodels.jwst.datamodels import ImageModel
from typer.testing import CliRunner

from detectorist import models
from detectorist.cli.app import app

#: As STScI's templates of 2022 were named.
TEMPLATE = "wisps_nrcb4_f200w.fits"

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def folder(simulated, tmp_path, monkeypatch):
    """A folder as the scripts find it: uncals/, wisp_templates/, and the work done beside them."""
    (path,) = simulated.glob("*_uncal.fits")
    (tmp_path / "uncals").mkdir()
    shutil.copy(path, tmp_path / "uncals")
    (tmp_path / "wisp_templates").mkdir()
    shutil.copy(simulated / "wisps" / TEMPLATE, tmp_path / "wisp_templates")
    monkeypatch.chdir(tmp_path)
    return path.name.removesuffix("_uncal.fits"), simulated / "crds"


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def sci(name):
    return fits.getdata(f"calibrated/{name}.fits", "SCI").astype(float)


def test_one_after_the_other(folder, simulated):
    """What is left is what each has subtracted, step by step; and the files that the scripts left are there."""
    stem, references = folder
    told = run("snowballs", f"{stem}_uncal.fits", "--references", references)
    assert f"wrote calibrated/{stem}_rate.fits" in told
    first = sci(f"{stem}_rate")
    told = run("wisps", f"{stem}_rate.fits", "--fit_scaling", "--references", references)
    assert f"read calibrated/{stem}_rate.fits" in told
    told = run("destripe", f"{stem}_rate.fits", "--save_patterns", "--references", references)
    assert f"read calibrated/{stem}_rate.fits" in told
    made = set(os.listdir("calibrated"))
    endings = ("", "_prewisp", "_pre1f", "_1fmask", "_horiz", "_vert", "_segm_cold")
    assert {f"{stem}_rate{ending}.fits" for ending in endings} <= made
    assert {f"{stem}_rateints.fits", f"{stem}_ramp.fits", f"{stem}_rate_wisp.pdf"} <= made

    header = fits.getheader(f"calibrated/{stem}_rate.fits")
    assert [header[card] for card in ("S_SNOWBL", "S_WISPS", "S_STRIPE")] == ["COMPLETE"] * 3
    assert "S_FLAT" not in header
    np.testing.assert_array_equal(sci(f"{stem}_rate_prewisp"), first)
    with ImageModel(f"calibrated/{stem}_rate.fits") as model:
        wisp = models.records(model)["wisps"]
    with xr.open_dataset(simulated / f"{stem}_truth.nc", engine="h5netcdf") as truth:
        assert abs(wisp["scale"][0] - truth.attrs["wisp_strengths"][0]) < 4 * wisp["scale_error"][0]
    striped = sci(f"{stem}_rate_pre1f")
    assert np.nanmax(first - striped) > 0
    pattern = sum(fits.getdata(f"calibrated/{stem}_rate_{way}.fits").astype(float) for way in ("horiz", "vert"))
    left = striped - pattern - sci(f"{stem}_rate")
    assert np.isfinite(left).mean() > 0.98
    assert np.nanmax(np.abs(left)) < 2e-5

    for command, options in (("wisps", ("--fit_scaling",)), ("destripe", ("--save_patterns",))):
        result = CliRunner().invoke(app, [command, f"{stem}_rate.fits", *options, "--references", str(references)])
        assert "it would subtract twice" in str(result.exception)


def test_with_values_given_by_hand(folder):
    stem, references = folder
    run("snowballs", f"{stem}_uncal.fits", "--delete_interim", "--maximum_cores", "none", "--references", references)
    assert not {f"{stem}_rateints.fits", f"{stem}_ramp.fits"} & set(os.listdir("calibrated"))
    run("wisps", f"{stem}_rate.fits", "--scale", 0.7, "--references", references)
    run("destripe", f"{stem}_rate.fits", "--thresh", 0.15, "--references", references)
    with ImageModel(f"calibrated/{stem}_rate.fits") as model:
        records = models.records(model)
    assert records["wisps"]["scale"] == [0.7]
    assert records["stripes"]["method"] == "median"
