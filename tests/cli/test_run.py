"""`detectorist run`: one dialect for all modes, the old spellings too, and what becomes of them."""

import sys

import pytest
import typer
from typer.testing import CliRunner

from detectorist.cli import main
from detectorist.cli import run as module
from detectorist.cli.run import app, command_of
from detectorist.modes import load_mode, mode_names

COMMON = (
    "--output-dir", "-o", "--references", "--recipe", "--set", "--table", "--overwrite", "--force", "--workers", "-j",
    "--scheduler", "--memory-limit", "--chunk-ints", "--timeout", "--dry-run", "--json", "--quiet", "-q", "--verbose",
    "-v",
)  # fmt: skip


@pytest.fixture
def requested(monkeypatch, tmp_path):
    """Return a function that runs `run MODE`, and returns what was asked for instead of doing it."""
    seen = {}

    def conduct(request, execution, chunk_ints, **shown):
        seen.update(request=request, execution=execution, chunk_ints=chunk_ints, **shown)

    monkeypatch.setattr(module, "_conduct", conduct)
    monkeypatch.chdir(tmp_path)
    for name in ("jw1_uncal.fits", "jw2_uncal.fits"):
        (tmp_path / name).touch()

    def run(*words):
        seen.clear()
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return seen

    return run


@pytest.mark.parametrize("mode", mode_names())
def test_all_modes_share_their_options(mode):
    known = {name for option in command_of(load_mode(mode)).params for name in option.opts}
    assert set(COMMON) <= known


@pytest.mark.parametrize("mode", mode_names())
def test_a_folder_stands_for_its_files(requested, mode, tmp_path):
    found = requested(mode, str(tmp_path), "-o", "out")["request"].files
    assert sorted(path.name for path in found) == ["jw1_uncal.fits", "jw2_uncal.fits"]


@pytest.mark.parametrize("mode", mode_names())
def test_words_become_what_they_say(requested, mode):
    words = (
        "-o",
        "out",
        "--set",
        "jump.skip=true",
        "--set",
        "a.b=1",
        "-j",
        "3",
        "--chunk-ints",
        "8",
        "--dry-run",
        "-q",
    )
    seen = requested(mode, "jw1_uncal.fits", *words, "--references", "crds")
    assert seen["request"].overrides[-2:] == ["jump.skip=true", "a.b=1"]
    assert seen["execution"].workers == 3
    assert seen["chunk_ints"] == 8
    assert (seen["dry_run"], seen["quiet"], seen["as_json"], seen["verbose"]) == (True, True, False, False)


def test_force_is_an_old_word_for_overwrite(requested):
    for word in ("--force", "--overwrite"):
        assert requested("coron", "jw1_uncal.fits", "-o", "out", word)["overwrite"]
    assert not requested("coron", "jw1_uncal.fits", "-o", "out")["overwrite"]


@pytest.mark.parametrize("word", ["--maximum-cores", "--maximum_cores"])
def test_old_words_of_imaging(requested, word):
    found = requested("imaging", "jw1_uncal.fits", "-o", "out", word, "half", "--delete_interim")["request"].overrides
    assert found == ["delete_interim=true", 'jump.maximum_cores="half"', 'ramp_fit.maximum_cores="half"']


def test_old_words_of_coronagraphy(requested):
    words = ("--subdir", "first", "--skip", "ktc", "--outliers")
    request = requested("coron", "jw1_uncal.fits", "-o", "out", *words)["request"]
    assert request.subdir == "first"
    assert request.overrides == ["rate_int_outliers=true", "subtract_ktc.skip=true"]


def test_a_file_in_place_of_a_mode_is_a_campaign():
    command = typer.main.get_command(app)
    context = command.make_context("run", ["campaign.toml", "--dry-run"])
    assert [*context._protected_args, *context.args][0] == "campaign"


def test_links_that_lead_to_each_other_are_no_output_folder(tmp_path, monkeypatch, capsys):
    one, other = tmp_path / "one", tmp_path / "other"
    one.symlink_to(other)
    other.symlink_to(one)
    (tmp_path / "jw1_uncal.fits").touch()
    words = ["run", "imaging", str(tmp_path / "jw1_uncal.fits"), "-o", str(one / "out"), "--dry-run"]
    monkeypatch.setattr(sys, "argv", ["detectorist", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (2, 4)
    said = capsys.readouterr().err
    assert str(one) in said
    assert "unexpected" not in said
