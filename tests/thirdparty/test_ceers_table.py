"""The choices of CEERS epoch 1, 690 exposures: every row is matched by name and drives its exposure."""

import os
import tomllib

import numpy as np
import pytest
from stdatamodels.jwst.datamodels import ImageModel

from detectorist.campaign.plan import PlanRequest, make_jobs
from detectorist.cli.run_imaging import choices_for, read_table
from detectorist.modes.imaging import reduction as imaging_reduction
from detectorist.modes.imaging.reduction import ImagingRequest, Reduced, reduce_imaging

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


def test_every_row_is_listed_with_what_it_chooses(table, files, tmp_path, monkeypatch):
    """Each exposure gets the recipe with its own choices; what is done with it then is tested elsewhere."""
    recipes = {}

    def reduce_one(request, recipe, source, exposure):
        recipes[exposure.stem] = recipe
        return Reduced(tmp_path / exposure.path.name, {})

    monkeypatch.setattr(imaging_reduction, "_reduce_one", reduce_one)
    request = ImagingRequest(files, tmp_path, references="none", choices=choices_for(table, files))
    assert len(reduce_imaging(request)) == 690
    listed = tomllib.loads((tmp_path / "resolved.toml").read_text())["exposures"]
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    assert list(listed) == [name for name, _, _ in rows]
    for name, scale, threshold in rows:
        steps = listed[name]["steps"]
        assert steps["stripes"]["thresh"] == recipes[name].steps["stripes"]["thresh"] == float(threshold)
        assert steps["stripes"]["method"] == "median"
        assert steps["wisps"].get("scale") == (float(scale) if scale else None)
    assert sum("scale" in one["steps"]["wisps"] for one in listed.values()) == 132


def test_a_campaign_makes_a_job_of_every_row(table, files, tmp_path):
    request = PlanRequest("imaging", files, tmp_path, choices=read_table(table), references="none")
    jobs = {job.name: job.settings for job in make_jobs(request)}
    assert len(jobs) == 690
    assert jobs["jw01345052001_02201_00003_nrcb3"] == (
        "wisps.scale=1.19",
        "stripes.thresh=0.1",
        "stripes.method=median",
    )
