"""`detectorist status`: how far a run is, from its ledger alone."""

import json

import pytest
from typer.testing import CliRunner

from detectorist.campaign.ledger import Ledger
from detectorist.cli.app import app
from detectorist.modes.job import CRASHED, DONE, UNPROCESSABLE, Job, JobRecord


def record(name, state, message="", start=100.0, end=104.0, peak=1_530_000_000):
    return JobRecord(name, state, message=message, started=start, finished=end, peak_bytes=peak)


@pytest.fixture
def folder(tmp_path):
    """A run of which two exposures are done, one is refused, one has crashed and one waits."""
    states = {"a": DONE, "b": DONE, "c": UNPROCESSABLE, "d": CRASHED}
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("detectorist run tiny", {"detectorist": "1"})
        ledger.enter(Job(name, "lrs", (), str(tmp_path)) for name in (*states, "e"))
        for name, state in states.items():
            end = 104.0 if name == "a" else 102.0
            ledger.finish(record(name, state, "" if state == DONE else f"{name} is bad\nmore", end=end))
        ledger.end_run()
    return tmp_path


def status(*words):
    result = CliRunner().invoke(app, ["status", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_counts_means_and_what_failed(folder):
    lines = status(folder).splitlines()
    assert lines[0].startswith("not running; the last run began")
    assert lines[0].endswith("and ended")
    assert "5 exposures" in lines[1]
    assert "2 done" in lines[1]
    assert lines[2] == "done in 3.0 s each on average; largest peak memory 1.53 GB"
    assert [line.split() for line in lines[3:]] == [
        ["crashed", "d:", "d", "is", "bad"],
        ["unprocessable", "c:", "c", "is", "bad"],
    ]


def test_all_lists_every_exposure(folder):
    assert len(status(folder, "--all").splitlines()) == 3 + 5


def test_json_is_the_ledger(folder):
    told = json.loads(status(folder, "--json"))
    assert told["running"] is False
    assert told["run"]["command"] == "detectorist run tiny"
    assert {job["name"]: job["state"] for job in told["jobs"]}["c"] == UNPROCESSABLE
