"""`detectorist destripe | snowballs`: what the options become, without a correction being run."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from detectorist.cli.app import app
from detectorist.errors import NoSuchFile, ParameterError
from detectorist.modes.imaging import rate_correction, reduction
from detectorist.modes.imaging.single_steps import parameters_of_rate_step
from detectorist.reduction.inputs import headers

NAME = "jw1_nrca3_rate.fits"


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Requests that reach the corrections; the working folder is empty but for `calibrated` with a rate."""
    requests = []

    def correct(request):
        requests.append(request)
        record = {"reason": "too few pixels"} if request.parameters.get("apply_flat") is False else {}
        return SimpleNamespace(source=request.file, target=None if record else Path("out.fits"), record=record)

    monkeypatch.setattr(rate_correction, "correct_rate_file", correct)
    monkeypatch.chdir(tmp_path)
    Path("calibrated").mkdir()
    Path("calibrated", NAME).touch()
    return requests


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "method", "thresh"),
    [
        ((), "flicker", None),
        (("--thresh", 0.2), "median", 0.2),
        (("--thresh", 0), "median", 0.0),
        (("--method", "median"), "median", None),
        (("--method", "flicker"), "flicker", None),
    ],
)
def test_a_threshold_chooses_the_method(asked, words, method, thresh):
    result = run("destripe", NAME, *words)
    assert result.exit_code == 0, result.output
    (request,) = asked
    assert request.step == "stripes"
    assert (request.parameters["method"], request.parameters.get("thresh")) == (method, thresh)
    assert (request.parameters["save_patterns"], request.parameters["save_mask"]) == (False, True)
    assert (request.output_dir, request.input_dir, request.in_place) == (Path("calibrated"), Path("calibrated"), False)


def test_a_threshold_for_flicker_is_refused_before_anything_is_read(asked):
    error = run("destripe", "nowhere.fits", "--thresh", 0.2, "--method", "flicker").exception
    assert isinstance(error, ParameterError)
    assert "--thresh is for the median method" in str(error)
    assert asked == []


@pytest.mark.parametrize("command", ["destripe", "snowballs"])
def test_a_file_in_neither_folder_is_named(asked, command):
    error = run(command, "nowhere_rate.fits").exception
    assert isinstance(error, NoSuchFile)
    assert str(error) == "nowhere_rate.fits: no such file"
    assert asked == []


@pytest.mark.parametrize("in_place", [True, False])
def test_an_earlier_mask_lies_beside_the_product(asked, in_place):
    """Also where the file was found in the input folder: that is the one that is overwritten."""
    Path("other").mkdir()
    Path("other", NAME).touch()
    Path("other" if in_place else "calibrated", "jw1_nrca3_rate_1fmask.fits").touch()
    assert run("destripe", NAME, "--input-dir", "other", *(["--in-place"] * in_place)).exit_code == 0
    (request,) = asked
    folder = "other" if in_place else "calibrated"
    assert request.parameters["mask_file"] == f"{folder}/jw1_nrca3_rate_1fmask.fits"
    assert request.parameters["save_mask"] is False
    assert request.file == (Path("other") / NAME if in_place else Path(NAME))


def test_a_mask_that_is_given_is_stronger_than_an_earlier_one(asked):
    Path("calibrated", "jw1_nrca3_rate_1fmask.fits").touch()
    run("destripe", NAME, "--mask-file", "mine.fits")
    assert asked[0].parameters["mask_file"] == "mine.fits"


def test_what_was_written_or_why_not_is_said(asked):
    assert "wrote out.fits" in run("destripe", NAME).output
    assert "left alone: too few pixels" in run("destripe", NAME, "--no-flat").output
    assert run("destripe", NAME, "--quiet").output == ""


def test_parameters_of_a_rate_step():
    assert parameters_of_rate_step(None, False) == {"apply_flat": True}
    assert parameters_of_rate_step(Path("m.fits"), True) == {"apply_flat": False, "mask_file": "m.fits"}


@pytest.mark.parametrize("delete", [True, False])
def test_snowballs_run_stage_1_without_wisps_and_stripes(monkeypatch, tmp_path, delete):
    requests = []
    monkeypatch.setattr(headers, "require_sound", lambda path: None)
    monkeypatch.setattr(
        reduction, "reduce_exposure", lambda one: requests.append(one) or SimpleNamespace(rate="x_rate.fits")
    )
    (tmp_path / "a_uncal.fits").touch()
    words = ["--method", "ceers", "--maximum_cores", "half", *(["--delete_interim"] * delete)]
    result = run("snowballs", tmp_path / "a_uncal.fits", "-o", tmp_path / "out", *words)
    assert result.exit_code == 0, result.output
    (request,) = requests
    settings = dict(one.split("=") for one in request.settings)
    assert settings == {
        "snowballs.method": '"ceers"',
        "jump.maximum_cores": '"half"',
        "ramp_fit.maximum_cores": '"half"',
        "wisps.skip": "true",
        "stripes.skip": "true",
        "delete_interim": "true" if delete else "false",
        "save_calibrated_ramp": "false" if delete else "true",
    }
    assert request.prefix == "a_"
    assert "wrote x_rate.fits" in result.output
