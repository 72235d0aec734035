"""A mode from a folder of its own gets everything that the machinery offers, with no other change."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "fourth_mode"


@pytest.fixture
def detectorist(tmp_path):
    """Return a function that runs the command with the mode installed: a package, and an entry point that names it."""
    installed = tmp_path / "installed" / "tiny_mode-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny_mode\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[detectorist.modes]\ntiny = tiny_mode.mode:TinyMode\n")
    path = os.pathsep.join([str(installed.parent), str(FOLDER), os.environ.get("PYTHONPATH", "")])

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "detectorist", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        )

    return run


@pytest.fixture
def raw(tmp_path):
    """A folder with a sound exposure, a long one and an empty one."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, text in {"a": "four", "b": "more than ten bytes", "c": ""}.items():
        (folder / f"{name}_uncal.txt").write_text(text)
    return folder


def test_it_has_help(detectorist):
    assert "text files: how long they are" in detectorist("run", "--help").stdout
    said = detectorist("run", "tiny", "--help").stdout
    for words in ("--times", "--workers", "--dry-run", "--json", "Example: detectorist run tiny"):
        assert words in said


def test_a_dry_run_does_nothing(detectorist, raw, tmp_path):
    done = detectorist("run", "tiny", str(raw), "-o", "out", "--dry-run", "--json")
    plan = json.loads(done.stdout)
    assert [job["name"] for job in plan["jobs"]] == ["a", "b", "c"]
    assert plan["configurations"][0]["steps"] == ["count"]
    assert not (tmp_path / "out").exists()


def test_it_runs_resumes_reports_and_tells_its_state(detectorist, raw, tmp_path):
    first = detectorist("run", "tiny", str(raw), "-o", "out", "--times", "2")
    assert first.returncode == 3
    assert "c unprocessable" in first.stderr
    assert "a: 8 bytes" in first.stdout
    assert (tmp_path / "out" / "a" / "length.txt").read_text() == "8"

    page = (tmp_path / "out" / "report.html").read_text()
    assert "Tiny text files" in page
    assert "Length of the text" in page
    assert "38 bytes are many (up to 10 is usual)" in page

    status = json.loads(detectorist("status", "out", "--json").stdout)
    assert {job["name"]: job["state"] for job in status["jobs"]} == {"a": "done", "b": "done", "c": "unprocessable"}

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    again = detectorist("run", "tiny", str(raw), "-o", "out", "--times", "2")
    assert "nothing to do" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == before

    (tmp_path / "out" / "a" / "length.txt").write_text("9")
    third = detectorist("run", "tiny", str(raw), "-o", "out", "--times", "2", "--json")
    started = [event["name"] for event in map(json.loads, third.stdout.splitlines()) if event["event"] == "started"]
    assert started == ["a"]
    assert (tmp_path / "out" / "a" / "length.txt").read_text() == "8"


def test_a_campaign_file_may_name_it(detectorist, raw, tmp_path):
    (tmp_path / "campaign.toml").write_text('mode = "tiny"\ninputs = ["raw/a_uncal.txt"]\noutput_dir = "out"\n')
    assert detectorist("run", "campaign.toml").returncode == 0
    assert (tmp_path / "out" / "a" / "length.txt").read_text() == "4"
