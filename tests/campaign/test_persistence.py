"""Exposures of one detector in the order of time: each flags what still glows from those before it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import PlanRequest, make_jobs, make_plan, plan_retry
from detectorist.campaign.run import Execution, run_campaign
from detectorist.campaign.worker import run_job
from detectorist.errors import ParameterError
from detectorist.modes.job import Job

pytestmark = pytest.mark.filterwarnings("default")
FAKE = "fake_mode:FakeMode"

#: Two detectors; times in s. On a: c waits for nothing new after b, since 900 s have passed.
SERIES = {
    "z": "det=a at=0 leaves=1",
    "b": "det=a at=200 leaves=2",
    "c": "det=a at=1500 leaves=3",
    "d": "det=a at=1700 leaves=4",
    "e": "det=b at=100 leaves=5",
    "f": "det=b at=300 leaves=6",
}
WAITS = {"z": (), "b": ("z",), "c": (), "d": ("c",), "e": (), "f": ("e",)}


def plan_of(campaign, time_s=1000.0, **kwargs):
    return make_plan(campaign.jobs(persistence_time_s=time_s, **kwargs), campaign.out)


def run(campaign, workers=1, time_s=1000.0, **kwargs):
    campaign.events.clear()
    return run_campaign(plan_of(campaign, time_s), Execution(workers=workers, **kwargs), report=campaign.events.append)


def received(campaign):
    """Return what every exposure found of earlier ones."""
    return {path.parent.name: path.read_text() for path in sorted(campaign.out.rglob("received.txt"))}


def test_each_waits_for_the_earlier_ones_of_its_detector(campaign, raw):
    raw(**SERIES)
    plan = plan_of(campaign)
    assert {planned.job.name: planned.job.after for planned in plan.jobs} == WAITS
    assert [planned.job.name for planned in plan.jobs] == ["z", "e", "b", "f", "c", "d"]
    assert {planned.job.after for planned in plan_of(campaign, time_s=0).jobs} == {()}


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_what_is_found_does_not_depend_on_workers(campaign, raw, workers):
    raw(**{name: f"{words} sleep=0.05" for name, words in SERIES.items()})
    assert run(campaign, workers)["done"] == 6
    assert received(campaign) == {"z": "", "b": "1", "c": "", "d": "3", "e": "", "f": "5"}
    finished = [event.name for event in campaign.events if event.kind == "finished"]
    for name, others in WAITS.items():
        assert all(finished.index(other) < finished.index(name) for other in others)
    with Ledger(campaign.out, read_only=True) as ledger:
        entries = ledger.entries()
    assert {name: entry.job.after for name, entry in entries.items()} == WAITS
    assert [len(entries[name].record.inputs) for name in "bz"] == [2, 1]
    run(campaign, workers)
    assert campaign.started() == []


def test_an_earlier_exposure_that_comes_later_to_the_campaign(campaign, raw):
    raw(**{name: SERIES[name] for name in "bcd"})
    run(campaign)
    assert received(campaign)["b"] == ""
    raw(z=SERIES["z"])
    run(campaign)
    assert campaign.started() == ["z", "b"]
    assert received(campaign)["b"] == "1"


def test_exposures_of_an_earlier_run_count_too(campaign, raw):
    files = raw(**{name: SERIES[name] for name in "zb"})
    run_campaign(
        make_plan(make_jobs(PlanRequest(FAKE, files[1:], campaign.out, persistence_time_s=1e3)), campaign.out),
        Execution(1),
    )
    request = PlanRequest(FAKE, files[:1], campaign.out, persistence_time_s=1e3)
    run_campaign(make_plan(make_jobs(request), campaign.out), Execution(1))
    assert received(campaign) == {"z": "", "b": "1"}


def test_only_what_comes_out_differently_is_done_again(campaign, raw):
    raw(**SERIES)
    run(campaign)
    (campaign.raw / "z_uncal.txt").write_text(SERIES["z"] + " other words")
    assert [one.job.name for one in plan_of(campaign).jobs if one.perhaps] == ["b"]
    run(campaign)
    assert campaign.started() == ["z"]  # it leaves what it left before
    (campaign.raw / "z_uncal.txt").write_text(SERIES["z"].replace("leaves=1", "leaves=7"))
    run(campaign)
    assert campaign.started() == ["z", "b"]
    assert received(campaign)["b"] == "7"


def test_one_that_fails_leaves_nothing_and_retry_takes_its_followers_along(campaign, raw):
    raw(**{**SERIES, "z": "crash " + SERIES["z"]})
    assert run(campaign)["crashed"] == 1
    assert received(campaign)["b"] == ""
    (campaign.raw / "z_uncal.txt").write_text(SERIES["z"])
    campaign.events.clear()
    run_campaign(plan_retry(campaign.out), Execution(1), report=campaign.events.append)
    assert campaign.started() == ["z", "b"]
    assert received(campaign)["b"] == "1"


def test_a_worker_that_dies_does_not_block_those_that_wait(campaign, raw):
    raw(**{**SERIES, "z": "die_once " + SERIES["z"]})
    assert run(campaign, workers=2)["done"] == 6
    assert received(campaign)["b"] == "1"


def test_a_mode_that_does_not_know_how(tmp_path, campaign, raw):
    with pytest.raises(ParameterError, match="mode lrs does not use earlier exposures"):
        make_jobs(PlanRequest("lrs", [tmp_path / "x_uncal.fits"], tmp_path / "out", persistence_time_s=10.0))


def test_option_and_file(raw, tmp_path, monkeypatch, capsys):
    from detectorist.cli import main

    raw(**SERIES)
    table = f'mode = "{FAKE}"\ninputs = ["raw/*"]\noutput_dir = "out"\npersistence_time = 1000\n'
    (tmp_path / "campaign.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    found = {}
    for words in ([], ["--persistence-time", "0"]):
        monkeypatch.setattr(sys, "argv", ["detectorist", "run", "campaign.toml", "--dry-run", "--json", *words])
        with pytest.raises(SystemExit):
            main()
        jobs = json.loads(capsys.readouterr().out)["jobs"]
        found[len(words)] = {job["name"]: tuple(job["after"]) for job in jobs}
    assert found[0] == WAITS
    assert set(found[2].values()) == {()}


def test_images_are_given_one_table_of_all_that_was_left(tmp_path):
    from detectorist.modes import load_mode
    from detectorist.modes.imaging import mode as imaging
    from detectorist.modes.imaging.saturated import write_saturated
    from detectorist.stage_1.flag_persistence import TABLE_DTYPE, read_saturated

    left = [
        write_saturated(np.array(rows, TABLE_DTYPE), tmp_path / name)
        for name, rows in {"a_saturated.fits": [(1, 2, 61000.0)], "b_saturated.fits": [(3, 4, 61000.1)]}.items()
    ]
    job = Job("c", "imaging", ("c_uncal.fits",), str(tmp_path), left=tuple(str(path) for path in left))
    (setting,) = imaging._what_was_left(job)
    assert setting == f'flag_persistence.earlier="{tmp_path}/c_earlier_saturated.fits"'
    assert list(read_saturated(tmp_path / "c_earlier_saturated.fits")["ROW"]) == [1, 3]
    mode = load_mode("imaging")
    settings = (*mode.persistence_settings(4000), setting)
    assert "flag_persistence" in mode.steps_of(replace(job, settings=settings, references="none"))
    assert "flag_persistence" not in mode.steps_of(replace(job, references="none"))


@pytest.fixture(scope="module")
def exposures(tmp_path_factory):
    """Three exposures an hour apart on one detector; in the first, a disk saturates that is dark in the others."""
    from detectorist.simulate.imaging.scene import ImagingScene

    folder = tmp_path_factory.mktemp("imaging")
    left_out = ("wisps", "stars", "galaxies", "snowballs", "cosmic_rays", "flicker", "bad_pixels")
    scene = ImagingScene().with_detector(size=64, outputs=1, pattern="SHALLOW4").without(*left_out)
    scene.write(folder, groups=5, exposures=3, seed=3)
    rows, columns = np.mgrid[:64, :64]
    disk = np.hypot(rows - 30, columns - 40) < 5
    first = sorted(folder.glob("*_uncal.fits"))[0]
    with fits.open(first, mode="update") as hdus:
        data = hdus["SCI"].data.copy()
        data[:, 2:, disk] = 65535
        hdus["SCI"].data = data
    return folder, disk


@pytest.fixture
def jobs(exposures, tmp_path):
    """Return a function that gives the jobs of the series."""

    def make(out, time_s):
        folder, _ = exposures
        files = sorted(folder.glob("*_uncal.fits"))
        skip = ("stripes.skip=true",)  # its kernels take longer to load than all the rest
        references = str(folder / "crds")
        return make_jobs(
            PlanRequest(
                "imaging", files, tmp_path / out, references=references, persistence_time_s=time_s, overrides=skip
            )
        )

    return make


def image(job, extension):
    return fits.getdata(Path(job.output_dir) / f"{job.name}_rate.fits", extension)


@pytest.mark.long
def test_an_injected_core_is_flagged_in_the_next_image(exposures, jobs):
    _, disk = exposures
    first, second, third = jobs("out", 4000.0)
    assert (second.after, third.after) == ((first.name,), (second.name,))
    record = run_job(first)
    assert record.state == "done", record.message
    (left,) = (product.path for product in record.products if product.path.endswith("_saturated.fits"))
    record = run_job(replace(second, left=(str(Path(first.output_dir) / left),)))
    assert record.state == "done", record.message
    assert record.steps["flag_persistence"]["n_lost"] >= disk.sum()
    flagged = (image(second, "DQ") & 32) > 0
    # Pixels beside saturated ones count as saturated too.
    grown = np.array([np.roll(disk, (y - 1, x - 1), (0, 1)) for y, x in np.ndindex(3, 3)]).any(axis=0)
    assert not ((image(first, "DQ") & 32) > 0).any()
    assert flagged[disk].all()
    assert not flagged[~grown].any()
    assert (image(second, "DQ")[disk] & 1).all()
    assert np.isnan(image(second, "SCI")[disk]).all()
    assert np.isfinite(image(second, "SCI")[~grown]).all()


@pytest.mark.long
def test_two_workers_give_the_images_of_one(exposures, jobs, tmp_path):
    _, disk = exposures
    plans = {workers: make_plan(jobs(f"out{workers}", 1e4), tmp_path / f"out{workers}") for workers in (1, 2)}
    for workers, plan in plans.items():
        assert run_campaign(plan, Execution(workers=workers))["done"] == 3
    for one, two in zip(plans[1].jobs, plans[2].jobs, strict=True):
        for name in ("SCI", "ERR", "DQ"):
            assert image(one.job, name).tobytes() == image(two.job, name).tobytes()
    assert [bool((image(one.job, "DQ")[disk] & 32).all()) for one in plans[1].jobs] == [False, True, True]
    # What saturated two hours ago glows no more.
    plan = make_plan(jobs("out", 4000.0), tmp_path / "out")
    run_campaign(plan, Execution(workers=2))
    assert not (image(plan.jobs[2].job, "DQ") & 32).any()
