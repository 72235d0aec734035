"""Help is quick, complete and shows how."""

import subprocess
import sys
import time

import pytest

COMMANDS = [
    (),
    ("run",),
    ("run", "lrs"),
    ("simulate",),
    ("simulate", "lrs"),
    ("recipe",),
    ("recipe", "show"),
    ("demo",),
]


def detectorist(*words):
    return subprocess.run(
        [sys.executable, "-c", "from detectorist.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "detectorist")
def test_every_command_has_help(words):
    done = detectorist(*words, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert "Example" in done.stdout


def test_help_is_quick():
    heavy = "('jwst', 'numba', 'scipy')"
    code = f"import sys; from detectorist.cli.app import app; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
    detectorist("--help")  # byte-compiles
    start = time.perf_counter()
    detectorist("--help")
    # Half a second on an idle machine; the machine that runs tests is not idle.
    assert time.perf_counter() - start < 2.0


def test_version():
    from detectorist import __version__

    assert detectorist("--version").stdout.strip() == f"detectorist {__version__}"


def test_recipe_show_prints_comments():
    assert "# the last frame is pulled down" in detectorist("recipe", "show", "lrs", "short").stdout


MISSING = [
    ("run", "lrs", "no_uncal.fits", "-o", "out"),
    ("run", "imaging", "no_uncal.fits", "-o", "out"),
    ("run", "coron", "no_uncal.fits", "-o", "out"),
    ("run", "no.toml"),
    ("destripe", "no_rate.fits", "-o", "out"),
    ("wisps", "no_rate.fits", "-o", "out"),
    ("snowballs", "no_uncal.fits", "-o", "out", "--references", "none"),
    ("inspect", "no.fits"),
    ("report", "nowhere"),
    ("status", "nowhere"),
]


@pytest.mark.parametrize("words", MISSING, ids=lambda words: " ".join(words[:2]))
def test_a_missing_file_is_a_bad_argument_and_said_once(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = detectorist(*words)
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
