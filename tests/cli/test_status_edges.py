"""`detectorist status | retry`: a run that goes on, one that was interrupted, folders without any."""

import json

import pytest
from typer.testing import CliRunner

from detectorist.campaign import lock
from detectorist.campaign.ledger import Ledger
from detectorist.cli.app import app
from detectorist.errors import NoSuchFile
from detectorist.modes.job import CRASHED, DONE, SKIPPED, Job, JobRecord


@pytest.fixture
def folder(tmp_path):
    """A run that did not end: one exposure has crashed, one was skipped for it."""
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("detectorist run lrs", {"detectorist": "1"})
        ledger.enter(Job(name, "lrs", (), str(tmp_path)) for name in "ab")
        ledger.finish(JobRecord("a", CRASHED, message="odd \x1b[31mword\nTraceback: long"))
        ledger.finish(JobRecord("b", SKIPPED, message="a failed"))
    return tmp_path


def status(*words):
    result = CliRunner().invoke(app, ["status", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_run_without_an_end_was_interrupted(folder):
    lines = status(folder).splitlines()
    assert lines[0].endswith("and was interrupted")
    assert lines[1] == "2 exposures: 1 crashed, 1 skipped"


def test_a_run_that_goes_on_is_said_with_its_process(folder, monkeypatch):
    monkeypatch.setattr(lock, "is_held", lambda where: where == folder)
    assert status(folder).startswith("running since ")
    assert "(process " in status(folder)
    assert json.loads(status(folder, "--json"))["running"] is True


def test_control_characters_of_a_message_are_written_out(folder):
    (line,) = [one for one in status(folder).splitlines() if "crashed       a" in one]
    assert line.endswith(r"a: odd \x1b[31mword")


def test_skipped_exposures_are_listed_on_demand(folder):
    assert "a failed" not in status(folder)
    assert "skipped       b: a failed" in status(folder, "--all")


def test_nothing_is_running_once_its_run_was_killed(tmp_path, monkeypatch):
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("detectorist run lrs", {})
        ledger.enter([Job("a", "lrs", (), str(tmp_path))])
        ledger.start("a")
    lines = status(tmp_path).splitlines()
    assert lines[0].endswith("and was interrupted")
    assert lines[1:] == ["1 exposure: 1 not finished", "  not finished  a"]
    monkeypatch.setattr(lock, "is_held", lambda where: True)
    assert status(tmp_path).splitlines()[1:] == ["1 exposure: 1 running", "  running       a"]


def test_one_exposure_is_one(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("detectorist run lrs", {})
        ledger.enter([Job("a", "lrs", (), str(tmp_path))])
        ledger.end_run()
    assert status(tmp_path).splitlines()[1] == "1 exposure: 1 waiting"


def test_a_ledger_before_its_first_run(tmp_path):
    Ledger(tmp_path).close()
    assert status(tmp_path).splitlines() == ["not running; no run has begun yet", "0 exposures: nothing to do"]


@pytest.mark.parametrize("command", ["status", "retry", "report"])
def test_a_folder_without_a_run_is_named(command, tmp_path):
    """All three call it a bad argument."""
    error = CliRunner().invoke(app, [command, str(tmp_path)]).exception
    assert isinstance(error, NoSuchFile)
    assert str(error).startswith(f"{tmp_path}: no")
    assert "ledger.sqlite" in str(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "retry", "report"])
def test_a_folder_that_is_not_there_is_said(command, tmp_path):
    error = CliRunner().invoke(app, [command, str(tmp_path / "typo")]).exception
    assert isinstance(error, NoSuchFile)
    assert "typo: no such folder" in str(error)


def test_a_run_that_needs_no_retry_is_said_with_what_is_done(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("detectorist run lrs", {})
        ledger.enter([Job("a", "lrs", ("a_uncal.fits",), str(tmp_path))])
        ledger.finish(JobRecord("a", DONE))
        ledger.end_run()
    result = CliRunner().invoke(app, ["retry", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output == f"nothing to retry: 1 done; products in {tmp_path}\n"
