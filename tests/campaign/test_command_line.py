"""`run CAMPAIGN.toml`, `status` and `retry`: what they print, and the codes they leave with."""

import json
import os
import sys

import pytest

from detectorist.cli import main
from detectorist.errors import InputError, NoSuchFile, OutputError, ParameterError, PlaceTaken, ReferenceMissing

MODE = "fake_mode:FakeMode"


@pytest.fixture
def detectorist(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command and returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["detectorist", *words])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return left.value.code or 0, said.out, said.err

    return run


@pytest.fixture
def write(tmp_path, raw):
    def run(text="", **exposures):
        raw(**exposures)
        (tmp_path / "campaign.toml").write_text(
            f'mode = "{MODE}"\ninputs = ["raw/*_uncal.txt"]\noutput_dir = "out"\n{text}\n'
        )

    return run


@pytest.mark.parametrize(
    ("exposures", "code"),
    [
        ({"a": "x", "b": "y"}, 0),
        ({"a": "x", "b": "bad"}, 3),
        ({"a": "crash", "b": "bad"}, 4),
        ({"a": "nothing"}, 0),
    ],
)
def test_exit_codes(detectorist, write, exposures, code):
    write(**exposures)
    found, out, err = detectorist("run", "campaign.toml")
    assert found == code
    assert "products in" in out
    assert f" {len(exposures)} exposure" in err.splitlines()[0]


def test_options_stand_before_or_behind_the_file(detectorist, write):
    write(a="x")
    assert detectorist("run", "-j", "1", "campaign.toml")[0] == 0
    assert detectorist("run", "campaign.toml", "--set", "fake.level=3", "-q") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "fkae.level=3"], 'no step "fkae"'),
        (["--memory-limit", "lots"], '"lots": a size'),
        (["-j", "2", "--scheduler", "tcp://x:1"], "give one of the two"),
    ],
)
def test_bad_arguments(detectorist, write, tmp_path, words, sentence):
    write(a="x")
    code, _, err = detectorist("run", "campaign.toml", *words)
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_typo_in_the_file(detectorist, write):
    write("[execution]\nworker = 2", a="x")
    code, _, err = detectorist("run", "campaign.toml")
    assert code == 2
    assert 'did you mean "workers"' in err


def test_one_line_per_event_without_a_terminal(detectorist, write):
    write(a="x y", b="bad")
    _, out, err = detectorist("run", "campaign.toml", "-j", "1")
    lines = [line.split(" ", 1)[1] for line in err.splitlines()]
    assert lines[0] == "2 exposures, 1 at a time"
    assert lines[1] == "a started"
    assert lines[2].startswith("a done in ")
    assert lines[4].endswith("s: the data are bad")
    assert len(lines) == 5
    assert out.count("1 done, 1 unprocessable") == 1
    assert err.count("the data are bad") == 1


def test_quiet_hides_no_failure(detectorist, write):
    write(a="x y", b="bad")
    code, out, err = detectorist("run", "campaign.toml", "-q")
    assert (code, out, err) == (3, "", "b: unprocessable: the data are bad\n")


def test_events_for_machines(detectorist, write):
    write(a="x y", b="bad")
    code, out, _ = detectorist("run", "campaign.toml", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert {event["event"] for event in events} == {"planned", "started", "progress", "finished", "ended"}
    finished = {event["name"]: event for event in events if event["event"] == "finished"}
    assert finished["a"]["state"] == "done"
    assert finished["a"]["peak_bytes"] > 1e6
    assert finished["b"]["text"] == "the data are bad"


def test_the_plan(detectorist, write, tmp_path):
    write(a="x", b="y")
    code, out, _ = detectorist("run", "campaign.toml", "--dry-run")
    assert code == 0
    assert "2 of 2 exposures to run" in out
    assert "about 2 kB to be written" in out
    assert not (tmp_path / "out").exists()
    detectorist("run", "campaign.toml")
    (tmp_path / "raw" / "b_uncal.txt").write_text("changed")
    _, out, _ = detectorist("run", "campaign.toml", "--dry-run", "--json")
    plan = json.loads(out)
    assert [(job["name"], job["needed"], job["reason"]) for job in plan["jobs"]] == [
        ("a", False, "up to date"),
        ("b", True, "input changed"),
    ]


def test_choices_per_exposure(detectorist, write, tmp_path):
    (tmp_path / "choices.csv").write_text("exposure,level\na,5\n")
    write('[exposures]\ntable = "choices.csv"\ncolumns = { level = "fake.level" }', a="x", b="x")
    detectorist("run", "campaign.toml")
    first = {name: (tmp_path / "out" / name / "first.txt").read_text() for name in "ab"}
    assert first["a"] != first["b"]
    _, out, _ = detectorist("run", "campaign.toml", "--dry-run", "--json")
    assert [job["settings"] for job in json.loads(out)["jobs"]] == [["fake.level=5"], []]
    (tmp_path / "choices.csv").write_text("exposure,level\naa,5\n")
    code, _, err = detectorist("run", "campaign.toml")
    assert code == 2
    assert "match no exposure: aa" in err
    write('[exposures]\ntable = "choices.csv"\nunmatched = "ignore"\ncolumns = { level = "fake.level" }', a="x")
    assert detectorist("run", "campaign.toml")[0] == 0


def test_status_and_retry(detectorist, write, tmp_path):
    write(a="x", b="bad", c="crash")
    detectorist("run", "campaign.toml")
    code, out, _ = detectorist("status", "out")
    assert code == 0
    assert "not running; the last run began" in out
    assert "3 exposures: 1 done, 1 unprocessable, 1 crashed" in out
    assert "crashed       c: unforeseen" in out
    assert "  done" not in out
    assert "  done          a" in detectorist("status", "out", "--all")[1]
    jobs = json.loads(detectorist("status", "out", "--json")[1])["jobs"]
    assert {job["name"]: job["state"] for job in jobs} == {"a": "done", "b": "unprocessable", "c": "crashed"}
    (tmp_path / "raw" / "c_uncal.txt").write_text("better")
    code, _, err = detectorist("retry", "out")
    assert code == 3
    assert "2 exposures" in err
    assert "a started" not in err


def test_status_of_a_folder_without_campaign(detectorist, tmp_path):
    code, _, err = detectorist("status", str(tmp_path))
    assert code == 2
    assert "no campaign has been run in this folder" in err


def test_output_that_cannot_be_written(detectorist, write, tmp_path):
    write(a="x")
    (tmp_path / "out").write_text("a file where the folder should be")
    code, _, err = detectorist("run", "campaign.toml")
    assert code == 4
    assert "cannot be written" in err


def test_bars_on_a_terminal():
    """Events in any order leave the bars in a sound state."""
    import io

    from rich.console import Console

    from detectorist.campaign.events import Event
    from detectorist.cli.events_view import _Bars

    screen = io.StringIO()
    with _Bars(Console(file=screen, force_terminal=True, width=120)) as bars:
        bars(Event("planned", numbers={"total": 2, "reused": 0, "workers": 1}))
        bars(Event("started", "a"))
        bars(Event("progress", "a", "a: jump", numbers={"done": 1, "total": 2}))
        bars(Event("progress", "b", "late", numbers={"done": 1, "total": 2}))
        bars(Event("retried", "a", "its process died"))
        bars(Event("started", "a"))
        bars(Event("finished", "a", "", numbers={"state": "done", "seconds": 1.0}))
        bars(Event("ended", numbers={"done": 1}))
        assert bars._progress.tasks[0].completed == 1
        assert len(bars._progress.tasks) == 1
    assert "its process died" in screen.getvalue()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("x"), 2),
        (NoSuchFile("x"), 2),
        (ReferenceMissing("x"), 2),
        (InputError("x"), 3),
        (PlaceTaken("x"), 3),
        (OutputError("x"), 4),
        (RuntimeError("x"), 4),
        (OSError(36, "File name too long", "x"), 4),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_codes_of_errors_that_end_a_command(detectorist, monkeypatch, error, code):
    def fail():
        raise error

    monkeypatch.setattr("detectorist.cli.app.app", fail)
    assert detectorist("status", "out")[0] == code


def test_what_the_system_says_of_a_file_is_one_sentence(detectorist):
    code, _, err = detectorist("export", "exotic", "x" * 300)
    assert (code, err) == (4, f"error: {'x' * 300}: File name too long\n")


@pytest.mark.parametrize("words", [("wisps",), ("destripe",), ("snowballs",)])
def test_names_in_another_encoding(detectorist, tmp_path, words):
    """Said before anything is read: products and logs could not hold them."""
    name = os.fsdecode(b"caf\xe9_rate.fits")
    (tmp_path / name).write_text("x")
    code, _, err = detectorist(*words, name)
    assert (code, "Traceback" in err) == (2, False)
    assert "caf\\udce9_rate.fits: its name is not valid UTF-8; rename it, or choose another one" in err


def test_a_name_that_only_a_library_cannot_write(detectorist, monkeypatch):
    monkeypatch.setattr("detectorist.cli.app.app", lambda: os.fsdecode(b"\xe9").encode())
    code, _, err = detectorist("spectrum", os.fsdecode(b"caf\xe9"))
    assert (code, err) == (2, "error: caf\\udce9: its name is not valid UTF-8; rename it, or choose another one\n")
    code, _, err = detectorist("spectrum", "cafe")
    assert code == 4
    assert "please report it" in err
