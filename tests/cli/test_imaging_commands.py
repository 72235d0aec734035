"""`detectorist snowballs | wisps | destripe | run imaging`: options of the survey's scripts, in both spellings."""

import json
import re

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from detectorist.campaign.exposures import read_choices_as
from detectorist.cli.app import app
from detectorist.errors import InputError, ParameterError
from detectorist.modes import mode_names
from detectorist.modes.imaging.command import COLUMNS, IMPLIED, locate


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (("wisps",), ("--fit-scaling", "--fit_scaling", "--scale", "--in-place", "--output-dir", "--mask-file")),
        (("wisps", "template"), ("--output-dir", "--references", "--no-flat", "--overwrite")),
        (("destripe",), ("--thresh", "--save-patterns", "--save_patterns", "--in-place", "--output-dir")),
        (("snowballs",), ("--maximum-cores", "--delete-interim", "--input-dir", "--output-dir", "--method")),
        (("run", "imaging"), ("--wisp-templates", "--references", "--table", "--recipe", "--delete-interim", "--set")),
    ],
)
def test_options(command, options, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = plain(run(*command, "--help").output)
    assert "Example: detectorist" in text
    assert [option for option in options if option not in text] == []


def test_help_of_wisps_names_the_other_command():
    text = plain(run("wisps", "--help").output)
    assert "--fit-scaling" in text
    assert "detectorist wisps template --help" in text
    assert text.count("Usage:") == 1
    assert plain(run("wisps").output).strip() == text.strip()


@pytest.mark.parametrize("words", [("nowhere_rate.fits", "--scale", "0.7"), ("--scale", "0.7", "nowhere_rate.fits")])
def test_options_stand_before_or_behind_the_file(words, tmp_path):
    result = run("wisps", *words, "-o", tmp_path)
    assert isinstance(result.exception, InputError)
    assert "nowhere_rate.fits: no such file" in str(result.exception)


@pytest.fixture
def rate(tmp_path):
    """A rate with rows that are offset, as the only NIRCam-like product that is made in an instant."""
    from stdatamodels.jwst.datamodels import ImageModel

    rng = np.random.default_rng(1)
    data = 0.3 + 0.02 * rng.normal(size=(96, 96)) + 0.02 * rng.normal(size=(96, 1))
    model = ImageModel(data=data.astype(np.float32))
    model.err, model.dq = np.full((96, 96), 0.02, np.float32), np.zeros((96, 96), np.uint32)
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", "NIRCAM", "NRCA3"
    meta.instrument.filter, meta.exposure.type, meta.exposure.noutputs = "F200W", "NRC_IMAGE", 1
    meta.subarray.name = "GENERIC"
    path = tmp_path / "jw01345001001_10201_00001_nrca3_rate.fits"
    model.save(str(path))
    return path


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("spelling", ["--save-patterns", "--save_patterns"])
def test_destripe_with_a_threshold_is_the_survey_s_way(rate, tmp_path, spelling):
    out = tmp_path / "calibrated"
    result = run("destripe", rate, "-o", out, "--thresh", 0.15, spelling, "--references", "none")
    assert result.exit_code == 0, result.output
    stem = rate.name.removesuffix(".fits")
    endings = ("", "_pre1f", "_1fmask", "_horiz", "_vert")
    assert {f"{stem}{ending}.fits" for ending in endings} <= {path.name for path in out.iterdir()}
    assert f"read {rate}" in result.output.replace("\n", "")
    assert "median" in str(fits.getheader(out / rate.name)["HISTORY"])
    rows = fits.getdata(out / rate.name, "SCI").mean(axis=1)
    assert rows.std() < 0.3 * fits.getdata(rate, "SCI").mean(axis=1).std()


@pytest.mark.filterwarnings("default")
def test_a_source_mask_is_used_again(rate, tmp_path):
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :40] = 1
    out = tmp_path / "calibrated"
    out.mkdir()
    fits.PrimaryHDU(mask).writeto(out / f"{rate.name.removesuffix('.fits')}_1fmask.fits")
    result = run("destripe", rate, "-o", out, "--method", "median", "--references", "none")
    assert result.exit_code == 0, result.output
    assert "source mask" in result.output
    np.testing.assert_array_equal(fits.getdata(out / f"{rate.name.removesuffix('.fits')}_1fmask.fits"), mask)


@pytest.mark.parametrize(
    "words",
    [
        ("wisps", "--fit_scaling", "--scale", 0.7),
        ("destripe", "--thresh", 0.2, "--method", "flicker"),
    ],
)
def test_options_that_exclude_each_other(rate, words):
    result = run(words[0], rate, *words[1:])
    assert isinstance(result.exception, ParameterError)


def test_files_are_looked_for_in_the_input_folder(tmp_path):
    folder = tmp_path / "uncals"
    folder.mkdir()
    (folder / "a_uncal.fits").touch()
    (tmp_path / "b_uncal.fits").touch()
    assert locate(tmp_path / "a_uncal.fits", folder) == folder / "a_uncal.fits"
    assert locate(tmp_path / "b_uncal.fits", folder) == tmp_path / "b_uncal.fits"


def test_a_table_of_choices_has_the_survey_s_columns_or_names_of_parameters(tmp_path):
    table = tmp_path / "choices.csv"

    def settings(text, name="jw1_nrca3"):
        table.write_text(text)
        return read_choices_as(table, COLUMNS, IMPLIED).settings_for(name)

    survey = "exposure,wisp_scale,mask_threshold\njw1_nrca3,0.8,0.15\njw1_nrca1,,0.8\n"
    assert settings(survey) == ("wisps.scale=0.8", "stripes.thresh=0.15", "stripes.method=median")
    assert settings(survey, "jw1_nrcb1") == ()
    chosen = "exposure,stripes.method,mask_threshold\njw1_nrca3,flicker,0.2\n"
    assert settings(chosen) == ("stripes.method=flicker", "stripes.thresh=0.2")
    assert settings("exposure,stripes.method\njw1_*,median\n", "jw1_nrcb1") == ("stripes.method=median",)
    with pytest.raises(ParameterError, match="threshold"):
        settings("exposure,threshold\njw1_nrca3,0.2\n")


def test_a_dry_run_shows_settings_from_weak_to_strong(rate, tmp_path):
    table = tmp_path / "choices.csv"
    table.write_text("exposure,wisp_scale\njw01345001001_10201_00001_nrca3,0.8\nanother_nrca1,0.9\n")
    words = ["run", "imaging", rate, "-o", tmp_path / "out", "--references", "none", "--table", table, "--dry-run"]
    result = run(*words, "--json", "--wisp-templates", tmp_path, "--set", "stripes.vertical=false")
    assert result.exit_code == 0, result.output
    (job,) = json.loads(result.stdout)["jobs"]
    assert job["name"] == "jw01345001001_10201_00001_nrca3"
    assert job["settings"] == [
        f'wisps.template_dir="{tmp_path}"',
        "wisps.scale=0.8",
        "stripes.vertical=false",
    ]
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("default")
@pytest.mark.long
def test_a_field_as_a_campaign(rate, tmp_path):
    other = rate.with_name("jw01345001001_10201_00002_nrca3_rate.fits")
    other.write_bytes(rate.read_bytes())
    out = tmp_path / "out"
    result = run(
        "run", "imaging", rate, other, "-o", out, "--references", "none", "--workers", 1, "--set", "wisps.skip=true"
    )
    assert result.exit_code == 0, result.output
    assert "2 done" in result.output
    for path in (rate, other):
        assert fits.getheader(out / path.name)["S_STRIPE"] == "COMPLETE"


def test_recipe_as_a_parameter_file_of_stpipe():
    result = run("recipe", "show", "imaging", "ceers", "--asdf")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("#ASDF")
    assert "class: detectorist.modes.imaging.pipeline.ImagingPipeline" in result.output
    assert "ceers" in run("recipe", "list", "imaging").output
    every = run("recipe", "list").output.splitlines()
    assert [line.split()[:2] for line in every if "default" in line] == [[mode, "default"] for mode in mode_names()]
