"""How a run is shown: lines in a log file, JSON for machines, nothing when quiet."""

import json

import pytest

from detectorist.campaign import events
from detectorist.campaign.events import Event
from detectorist.cli.events_view import counted, line_of, shown

EVENTS = [
    Event(events.PLANNED, time=0.0, numbers={"total": 3, "reused": 1, "workers": 2}),
    Event(events.COMPILING, time=0.5, numbers={"done": 0, "total": 90, "workers": 2}),
    Event(events.COMPILING, time=0.6, numbers={"done": 1, "total": 90}),
    Event(events.STARTED, "a", time=1.0),
    Event(events.PROGRESS, "a", "half", time=2.0, numbers={"done": 1, "total": 2}),
    Event(events.RETRIED, "a", "a worker died", time=3.0),
    Event(events.FINISHED, "a", "too few groups", time=4.0, numbers={"state": "unprocessable", "seconds": 1.25}),
    Event(events.ENDED, time=5.0, numbers={"done": 2, "unprocessable": 1}),
]


def test_lines_of_a_log_without_progress_and_end(capsys):
    with shown() as report:
        for event in EVENTS:
            report(event)
    lines = [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "3 exposures, 1 up to date, 2 at a time",
        "compiling 90 functions for this machine (once; 2 at a time)",
        "a started",
        "a retried: a worker died",
        "a unprocessable in 1.2 s: too few groups",
    ]


def test_json_holds_every_event_with_its_numbers(capsys):
    with shown(as_json=True) as report:
        for event in EVENTS:
            report(event)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in told] == [event.kind for event in EVENTS]
    assert told[4] == {"event": "progress", "name": "a", "text": "half", "time": 2.0, "done": 1, "total": 2}


def test_quiet_shows_nothing(capsys):
    with shown(quiet=True) as report:
        for event in EVENTS:
            report(event)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", [":smile:", "[red]x[/red]", "a" * 300])
def test_names_are_shown_as_they_are(name, capsys):
    with shown() as report:
        report(Event(events.STARTED, name))
    assert capsys.readouterr().err.endswith(f" {name} started\n")
    assert name in line_of(Event(events.STARTED, name))


def test_counts_leave_out_what_is_not_there():
    assert counted({"done": 3, "unprocessable": 0, "crashed": 1}) == "3 done, 1 crashed"
    assert counted({}) == "nothing to do"
