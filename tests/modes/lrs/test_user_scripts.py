"""Complete scripts of users of ExoTiC-MIRI run with the package's name changed, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

SCRIPTS = Path(__file__).parent / "user_scripts"


def run(script, exposure, out, n_groups):
    from detectorist.crds_source import SERVERLESS

    env = os.environ | {
        "CRDS_PATH": str(exposure / "crds"),
        "CRDS_SERVER_URL": SERVERLESS,
        "CRDS_CONTEXT": "jwst_sim.pmap",
        "CRDS_READONLY_CACHE": "1",
    }
    done = subprocess.run(
        [sys.executable, SCRIPTS / script, exposure, out, str(n_groups)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with xr.open_dataset(out / "stage_2" / "stage_2_output.nc", engine="h5netcdf") as opened:
        return opened.load()


def assert_same_as_recipe(got, recipe, exposure, folder):
    """The pipeline runs the same steps with the same values: the spectra are the same."""
    from detectorist.modes.lrs.reduction import reduce_exposure
    from detectorist.reduction.runner import Request

    files = sorted(exposure.glob("*_uncal.fits"))
    request = Request(files, folder, recipe=recipe, references=str(exposure / "crds"))
    ours = reduce_exposure(request).spectra.dataset
    rows = ours["detector_row"].values  # scripts write all rows, in the order of the detector
    np.testing.assert_allclose(got["flux"].values[:, rows], ours["flux"].values, rtol=1e-5, equal_nan=True)


@pytest.mark.long
def test_bright(exposure, tmp_path):
    got = run("lrs_bright.py", exposure, tmp_path / "script", 8)
    assert got.sizes["integration_number"] == 8
    assert_same_as_recipe(got, "exotic-short", exposure, tmp_path / "ours")


def test_faint(tmp_path):
    from detectorist.simulate.lrs.scene import LrsScene

    raw = tmp_path / "raw"
    LrsScene.for_long_ramps(60).write(raw, ints=2, groups=60, segments=2, seed=5)
    got = run("lrs_faint.py", raw, tmp_path / "script", 60)
    useful = (got["wavelength"] > 5.2) & (got["wavelength"] < 11.5)
    assert got.sizes["integration_number"] == 2
    assert np.isfinite(got["flux"].values[:, useful]).all()
    assert (np.median(got["flux"].values[:, useful], axis=0) > 0).all()
    assert_same_as_recipe(got, "exotic-long", raw, tmp_path / "ours")
