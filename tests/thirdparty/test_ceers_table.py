"""The choices of CEERS epoch 1, 690 exposures: every row is matched by name and drives its exposure."""

import json
import os

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import ImageModel
from typer.testing import CliRunner

from detectorist.cli.app import app
from detectorist.modes.imaging.pipeline import ImagingPipeline
from detectorist.reduction.recipes.recipe_files import load_recipe

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.long]


@pytest.fixture
def table(thirdparty):
    return thirdparty / "ceers_epoch1_overrides.csv"


@pytest.fixture
def files(table, tmp_path):
    """A rate file of each name in the table; what is in them is the same."""
    folder = tmp_path / "field"
    folder.mkdir()
    model = ImageModel(data=np.ones((32, 32), np.float32))
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", "NIRCAM", "NRCB1"
    meta.instrument.filter, meta.exposure.type = "F200W", "NRC_IMAGE"
    model.save(folder / "one.fits")
    names = [line.split(",")[0] for line in table.read_text().splitlines()[1:]]
    paths = [folder / f"{name}_rate.fits" for name in names]
    for path in paths:
        os.link(folder / "one.fits", path)
    return paths


def plan(*words):
    """Return the jobs of `run imaging` by name, as a dry run prints them."""
    words = ["run", "imaging", *map(str, words), "--references", "none", "--dry-run", "--json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    return {job["name"]: job for job in json.loads(result.stdout)["jobs"]}


def test_every_row_drives_its_exposure(table, files, tmp_path):
    """Each exposure gets the recipe with its own choices; what is done with it then is tested elsewhere."""
    jobs = plan(files[0].parent / "*_rate.fits", "-o", tmp_path / "out", "--table", table)
    assert len(jobs) == 690
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    recipe = load_recipe("imaging")
    for name, scale, threshold in rows:
        changed = recipe.with_settings(jobs[name]["settings"])
        changed.check(ImagingPipeline)
        assert changed.steps["stripes"]["thresh"] == float(threshold)
        assert changed.steps["stripes"]["method"] == "median"
        assert changed.steps["wisps"].get("scale") == (float(scale) if scale else None)
    assert sum(any("wisps.scale" in setting for setting in job["settings"]) for job in jobs.values()) == 132
    assert jobs["jw01345052001_02201_00003_nrcb3"]["settings"] == [
        "wisps.scale=1.19",
        "stripes.thresh=0.1",
        "stripes.method=median",
    ]
    assert not (tmp_path / "out").exists()


def test_rows_of_exposures_that_are_not_there_do_no_harm(table, files, tmp_path):
    (job,) = plan(files[5], "-o", tmp_path / "out", "--table", table, "--set", "stripes.thresh=0.5").values()
    assert job["settings"][-1] == "stripes.thresh=0.5"  # what is said for all is stronger than the table
    assert len(job["settings"]) > 1
