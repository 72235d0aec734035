"""Help is quick, complete and shows how."""

import re
import resource
import subprocess
import sys

import pytest
import typer


def detectorist(*words):
    return subprocess.run(
        [sys.executable, "-m", "detectorist", *words],
        capture_output=True,
        text=True,
        check=False,
    )


def commands(command, words=()):
    """Yield (words, command) of a command and of everything below it, as `--help` would be asked for."""
    yield words, command
    if hasattr(command, "list_commands"):
        context = command.make_context(" ".join(words), ["--help"], resilient_parsing=True)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*words, name))


def test_every_command_and_group_shows_an_example_that_is_a_command_of_it():
    from detectorist.cli.app import app

    found = dict(commands(typer.main.get_command(app)))
    assert {("run", "lrs"), ("run", "imaging"), ("run", "coron"), ("recipe", "show"), ("simulate", "lrs")} <= set(found)
    for words, command in found.items():
        told = re.search(r"Example: (detectorist[^\n]*)", command.help or "")
        assert told, f"{' '.join(words)}: no example"
        assert told[1].split()[1 : 1 + len(words)][:1] == list(words[:1]), f"{words}: {told[1]}"


def test_commands_are_listed_in_the_order_of_their_headings():
    from detectorist.cli.app import app
    from detectorist.cli.help import HEADINGS

    group = typer.main.get_command(app)
    names = group.list_commands(group.make_context("", ["--help"], resilient_parsing=True))
    listed = [name for headed in HEADINGS.values() for name in headed]
    assert names[: len(listed)] == listed
    assert {"spectrum", "subtract", "wisps", "destripe", "snowballs"} == set(names[len(listed) :])


def test_paragraphs_of_help_have_no_line_breaks_of_the_source():
    from detectorist.cli.app import app

    for words, command in commands(typer.main.get_command(app)):
        for paragraph in (command.help or "").split("\n\n"):
            assert "\n" not in paragraph.strip(), f"{' '.join(words)}: {paragraph}"


def test_help_is_shown_by_the_command_itself():
    done = detectorist("run", "lrs", "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert "Example" in done.stdout


def test_help_is_quick():
    heavy = "('jwst', 'numba', 'scipy', 'numpy', 'astropy', 'pydantic')"
    code = f"import sys; from detectorist.cli.app import app; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
    detectorist("--help")  # byte-compiles
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    detectorist("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # CPU time: .35 s on an idle machine, some more where several processes share caches.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.8


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
