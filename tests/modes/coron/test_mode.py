"""Coronagraphy as a mode of campaigns."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits

from detectorist.campaign.plan import PlanRequest, make_jobs, make_plan
from detectorist.campaign.run import Execution, run_campaign
from detectorist.errors import ParameterError, ReferenceMissing
from detectorist.modes import group_exposures, load_mode
from detectorist.modes.job import Job

pytestmark = pytest.mark.filterwarnings("default")


def job(*settings, recipe=None):
    return Job("a", "coron", ("/nowhere/a_uncal.fits",), "/nowhere/out", recipe, tuple(settings))


def test_every_file_is_an_exposure():
    files = [Path("jw1_nrcalong_uncal.fits"), Path("jw2_mirimage_uncal.fits")]
    assert list(group_exposures(load_mode("coron"), files)) == ["jw1_nrcalong", "jw2_mirimage"]


def test_the_plan_names_steps():
    mode = load_mode("coron")
    steps = mode.steps_of(job("subtract_ktc.skip=true"))
    assert {"saturation", "jump", "ramp_fit"} <= set(steps)
    assert "subtract_ktc" not in steps
    assert mode.predict(job()).memory_bytes == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rate_int_outlier=true",), 'did you mean "rate_int_outliers"'),
        (("jump.rejection_treshold=5",), 'did you mean "rejection_threshold"'),
        (('jump.rejection_threshold="five"',), "rejection_threshold"),
        (("jmup.skip=true",), 'did you mean "jump"'),
        (('stage_1overf="pixels"',), "stage_1overf"),
    ],
)
def test_values_are_checked_before_anything_starts(words, message):
    with pytest.raises(ParameterError, match=message):
        load_mode("coron").steps_of(job(*words))


def test_ramps_without_references_are_refused_before_anything_starts():
    """Each of them crashed, and crds told of a server each time."""
    with pytest.raises(ReferenceMissing, match="references are none, but raw ramps need some"):
        load_mode("coron").check(replace(job(), references="none"))


def test_recipes():
    mode = load_mode("coron")
    assert "subtract_ktc" in mode.steps_of(job(recipe="spaceklip"))
    with pytest.raises(ParameterError, match='no recipe "best"'):
        mode.steps_of(job(recipe="best"))


@pytest.mark.long
def test_products_are_those_of_the_command(tmp_path):
    """Rates of both, one good exposure beside a damaged one, kept when they are there."""
    from detectorist.modes.coron.api import run_obs
    from detectorist.modes.coron.database import Database
    from detectorist.simulate.coron.scene import CoronScene

    raw = tmp_path / "raw"
    good, cut = CoronScene().write(raw, ints=2, groups=4, rolls=2, dithers=0, seed=1)[:2]
    expected = run_obs(Database(tmp_path / "expected", [good]), references=str(raw / "crds"), quiet=True)[0]
    cut.write_bytes(cut.read_bytes()[:300_000])
    request = PlanRequest("coron", [good, cut], tmp_path / "out", references=str(raw / "crds"))
    plan = make_plan(make_jobs(request), tmp_path / "out")
    assert run_campaign(plan, Execution(workers=1)) == {"done": 1, "unprocessable": 1, "crashed": 0, "skipped": 0}
    folder = tmp_path / "out" / "stage1"
    for path in expected.products:
        for name in ("SCI", "ERR", "DQ"):
            assert fits.getdata(path, name).tobytes() == fits.getdata(folder / path.name, name).tobytes()
    stem = good.name.removesuffix("_uncal.fits")
    assert "subtract_ktc" in json.loads((folder / f"{stem}_record.json").read_text())
    again = make_plan(make_jobs(request), tmp_path / "out")
    assert [one.reason for one in again.jobs] == ["up to date", "unprocessable as it is"]
    steps = load_mode("coron").steps_of(again.jobs[0].job)
    assert steps.index("superbias") < steps.index("jump") < steps.index("ramp_fit")
    assert "rscd" not in steps
    assert load_mode("coron").references_of(again.jobs[0].job)["superbias"].startswith("sim_")
