"""The end of a run: its exit code, and a line for each exposure that failed; and what a dry run says."""

import json
from types import SimpleNamespace

import pytest

from detectorist.campaign.events import FINISHED, PLANNED, Event
from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import Plan, PlanRequest
from detectorist.campaign.run import Execution
from detectorist.cli import conduct as conduct_module
from detectorist.cli.conduct import conduct, exit_code, failures
from detectorist.modes.job import CRASHED, DONE, SKIPPED, UNPROCESSABLE, Job, JobRecord


@pytest.mark.parametrize(
    ("counts", "code"),
    [
        ({}, 0),
        ({DONE: 3, SKIPPED: 1}, 0),
        ({DONE: 3, UNPROCESSABLE: 1}, 3),
        ({UNPROCESSABLE: 5, CRASHED: 1}, 4),
        ({DONE: 1, UNPROCESSABLE: 0, CRASHED: 0}, 0),
    ],
)
def test_the_worst_state_decides(counts, code):
    assert exit_code(counts) == code


@pytest.fixture
def folder(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("x", {})
        ledger.enter(Job(f"e{n:02d}", "lrs", (), str(tmp_path)) for n in range(14))
        for n in range(14):
            state = DONE if n < 2 else UNPROCESSABLE
            ledger.finish(JobRecord(f"e{n:02d}", state, message="" if state == DONE else f"bad {n}\nsecond line"))
    return tmp_path


def test_failures_are_told_in_a_line_each_up_to_a_limit(folder):
    lines = failures(folder)
    assert lines[0] == "e02: unprocessable: bad 2"
    assert len(lines) == 11
    assert lines[-1] == f"... and 2 more: detectorist status {folder}"


def test_only_those_asked_for_and_none_that_are_done(folder):
    assert failures(folder, {"e00", "e05"}) == ["e05: unprocessable: bad 5"]
    assert failures(folder, most=100)[-1] == "e13: unprocessable: bad 13"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_dry_run_names_what_is_left_out(monkeypatch, tmp_path, capsys, as_json):
    plan = Plan(tmp_path / "out", (), ("x_uncal.fits: target acquisition; left out",))
    monkeypatch.setattr("detectorist.campaign.plan.plan_run", lambda *args, **kwargs: plan)
    conduct(PlanRequest("fake", [], tmp_path / "out"), Execution(), dry_run=True, as_json=as_json)
    said = capsys.readouterr()
    assert "x_uncal.fits: target acquisition; left out" in (said.err if as_json else said.out)
    if as_json:
        assert json.loads(said.out)["jobs"] == []


def test_references_that_are_missing_for_one_reason_share_a_line():
    needed = [("flat", "a.fits"), ("mask", "missing: cut"), ("dark", "b.fits"), ("gain", "missing: cut")]
    lines = conduct_module._lines_of_references(needed)
    assert lines == ["  reference flat: a.fits", "  reference dark: b.fits", "  references mask, gain: missing: cut"]


@pytest.mark.parametrize(
    ("workers", "after"), [(2, [False, False, True]), (3, [False, True, True]), (1, [False, False, False])]
)
def test_the_report_is_loaded_once_a_core_is_idle(monkeypatch, workers, after):
    loaded = []
    monkeypatch.setattr(conduct_module, "load_report", loaded.append)
    told = []
    jobs = [SimpleNamespace(job=SimpleNamespace(mode="coron"))] * 4
    listen = conduct_module._loading_report(told.append, SimpleNamespace(jobs=jobs, to_run=jobs))
    listen(Event(PLANNED, numbers={"total": 4, "reused": 0, "workers": workers}))
    seen = []
    for _ in range(3):
        listen(Event(FINISHED))
        seen.append(loaded != [])
    assert seen == after
    listen(Event(FINISHED))  # the last: the report comes next, and loads what it needs
    assert loaded == [{"coron"}] * sum(after)
    assert len(told) == 5
