"""NIRCam images from raw ramps to corrected rates, on a small simulated frame: against the truth, and as a contract."""

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from jwst.pipeline import Detector1Pipeline
from jwst.stpipe import Step
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist import models
from detectorist.errors import AlreadyCorrected
from detectorist.modes.imaging.pipeline import ImagingPipeline, stem_of
from detectorist.modes.imaging.reduction import ImagingRequest, reduce_imaging
from detectorist.simulate.imaging.scene import ImagingScene

pytestmark = pytest.mark.filterwarnings("default")  # stock steps warn as they please

STEM = "jw09999002001_02101_00001_nrcb4"


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A field through four outputs, without reference pixels: no drifts of the outputs, which only those can tell."""
    folder = tmp_path_factory.mktemp("field")
    scene = ImagingScene().with_detector(size=512, outputs=4).without("drift").with_("snowballs", per_s=1.5)
    scene.write(folder, seed=4)
    return folder


@pytest.fixture(scope="session")
def request_of(simulated):
    def make(folder, **changes):
        wanted = {
            "files": sorted(simulated.glob("*_uncal.fits")),
            "output_dir": folder,
            "references": str(simulated / "crds"),
            "wisp_templates": simulated / "wisps",
        }
        return ImagingRequest(**{**wanted, **changes})

    return make


@pytest.fixture(scope="session")
def reduced(request_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reduced")
    reduce_imaging(request_of(folder))
    return folder


@pytest.fixture(scope="session")
def truth(simulated):
    with xr.open_dataset(simulated / f"{STEM}_truth.nc", engine="h5netcdf") as opened:
        return opened.load()


@pytest.fixture(scope="session")
def rate(reduced):
    with ImageModel(reduced / f"{STEM}_rate.fits") as model:
        return {
            "data": np.array(model.data, float),
            "err": np.array(model.err, float),
            "dq": np.array(model.dq),
            "records": dict(models.records(model)),
        }


def clipped_spread(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.005), (0.02, 1.0)], ids=["sky", "stars and galaxies"])
def test_pixels_have_their_true_rate_within_their_errors(rate, truth, low, high):
    light = (truth.light - truth.wisp).values * truth.flat.values
    sources = truth.sources.values
    usable = (rate["dq"] == 0) & (sources > low) & (sources <= high)
    assert usable.sum() > 1_500
    pull = (rate["data"] - light)[usable] / rate["err"][usable]
    # The mean of the 1/f noise over the whole frame cannot be told from the sky without reference pixels.
    lost = truth.stripes.values.mean() / np.median(rate["err"][usable])
    assert abs(np.median(pull) - lost) < 0.1
    assert 0.95 < clipped_spread(pull) < 1.05


def test_stripes_are_gone(rate, truth, reduced):
    light = (truth.light - truth.wisp).values * truth.flat.values
    sky = (rate["dq"] == 0) & (truth.sources.values < 0.005)
    with ImageModel(reduced / f"{STEM}_rate_pre1f.fits") as model:
        before = np.array(model.data, float)

    def rows(image):
        return np.nanmean(np.where(sky, image - light, np.nan), axis=1).std()

    white = truth.expected_noise.values[sky].mean() / np.sqrt(512)
    left = np.sqrt(max(rows(rate["data"]) ** 2 - white**2, 0))
    noise = np.sqrt(rows(before) ** 2 - white**2)
    assert noise > 1.5 * white
    assert left < 0.4 * noise


def test_wisps_have_their_true_strength(rate, truth):
    record = rate["records"]["wisps"]
    assert record["state"] == "COMPLETE"
    pull = (record["scale"][0] - truth.attrs["wisp_strengths"][0]) / record["scale_error"][0]
    assert abs(pull) < 3.5
    assert record["scale_error"][0] < 0.05


def test_snowballs_are_found_where_they_are(rate, truth):
    events = np.array(rate["records"]["snowballs"]["events"])
    seen = truth.snowballs.values
    # Those that strike before the last group, whole within the frame, large enough to stand out.
    seen = seen[(seen[:, 1] < 8) & (seen[:, 5] > 5) & (np.abs(seen[:, 3:5] - 256).max(axis=1) < 250)]
    assert len(seen) > 0
    for _, group, _, y, x, radius, _ in seen:
        near = np.hypot(events[:, 2] - y, events[:, 3] - x) < radius
        assert np.any(near & (np.abs(events[:, 1] - group) <= 1))


def test_files_have_the_names_of_the_survey(reduced):
    names = {path.name for path in reduced.iterdir()}
    endings = (".fits", "_prewisp.fits", "_pre1f.fits", "_1fmask.fits", "_segm_cold.fits", "_wisp.pdf")
    assert {f"{STEM}_rate{ending}" for ending in endings} <= names
    assert {f"{STEM}_rateints.fits", "resolved.toml", "record.json", "detectorist.log"} <= names
    assert [path for path in reduced.rglob(".partial-*")] == []


def test_copies_are_from_before_each_correction(reduced):
    with (
        ImageModel(reduced / f"{STEM}_rate_prewisp.fits") as prewisp,
        ImageModel(reduced / f"{STEM}_rate_pre1f.fits") as pre1f,
        ImageModel(reduced / f"{STEM}_rate.fits") as final,
    ):
        assert [models.state(model, "wisps") for model in (prewisp, pre1f, final)] == [None, "COMPLETE", "COMPLETE"]
        assert [models.state(model, "stripes") for model in (prewisp, pre1f, final)] == [None, None, "COMPLETE"]
        assert not np.array_equal(prewisp.data, pre1f.data, equal_nan=True)
        assert not np.array_equal(final.data, pre1f.data, equal_nan=True)


def test_the_product_tells_what_was_done(reduced):
    header = fits.getheader(reduced / f"{STEM}_rate.fits")
    assert [header[key] for key in ("S_SNOWBL", "S_WISPS", "S_STRIPE")] == ["COMPLETE"] * 3
    history = " ".join(str(line) for line in header["HISTORY"])
    assert all(word in history for word in ("snowballs", "wisps", "stripes"))
    assert "S_FLAT" not in header
    record = json.loads((reduced / "record.json").read_text())[STEM]
    assert record["stripes"]["method"] == "flicker"
    resolved = tomllib.loads((reduced / "resolved.toml").read_text())
    assert resolved["steps"]["jump"]["expand_large_events"] is False
    assert resolved["exposures"][STEM]["steps"]["wisps"]["template_dir"].endswith("wisps")


def test_a_second_run_makes_nothing_again_and_a_changed_parameter_does(request_of, reduced, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(reduced, folder)
    target = folder / f"{STEM}_rate.fits"
    before = target.stat().st_mtime_ns
    reduce_imaging(request_of(folder))
    assert target.stat().st_mtime_ns == before
    reduce_imaging(request_of(folder, settings=["stripes.skip=true", "delete_interim=true"]))
    assert target.stat().st_mtime_ns != before
    assert "S_STRIPE" not in fits.getheader(target)


def test_rates_are_a_start_too(request_of, reduced, rate, tmp_path):
    start = tmp_path / "start" / f"{STEM}_rate.fits"
    start.parent.mkdir()
    shutil.copyfile(reduced / f"{STEM}_rate_prewisp.fits", start)
    reduce_imaging(request_of(tmp_path / "out", files=[start]))
    with ImageModel(tmp_path / "out" / f"{STEM}_rate.fits") as model:
        np.testing.assert_allclose(model.data, rate["data"], rtol=1e-4, atol=1e-5, equal_nan=True)
    with pytest.raises(AlreadyCorrected, match="wisps"):
        reduce_imaging(request_of(tmp_path / "again", files=[tmp_path / "out" / f"{STEM}_rate.fits"]))


def test_choices_of_single_exposures_win_over_the_recipe(request_of, reduced, tmp_path):
    start = tmp_path / f"{STEM}_rate.fits"
    shutil.copyfile(reduced / f"{STEM}_rate_prewisp.fits", start)
    choices = {STEM: ("wisps.scale=0.5", "stripes.thresh=0.3")}
    folder = tmp_path / "out"
    settings = ["stripes.save_patterns=true"]
    reduce_imaging(request_of(folder, files=[start], recipe="ceers", choices=choices, settings=settings))
    assert all((folder / f"{STEM}_rate_{pattern}.fits").is_file() for pattern in ("horiz", "vert"))
    record = json.loads((folder / "record.json").read_text())[STEM]
    assert record["wisps"]["scale"] == [0.5]
    assert record["stripes"]["method"] == "median"
    resolved = tomllib.loads((folder / "resolved.toml").read_text())
    assert resolved["exposures"][STEM]["settings"] == list(choices[STEM])
    assert resolved["exposures"][STEM]["steps"]["stripes"]["thresh"] == 0.3


def test_every_row_of_the_survey_s_table_is_accepted(thirdparty):
    from detectorist.cli.run_imaging import choices_for

    table = thirdparty / "ceers_epoch1_overrides.csv"
    rows = table.read_text().splitlines()[1:]
    files = [Path(f"{row.split(',')[0]}_uncal.fits") for row in rows]
    choices = choices_for(table, files)
    assert len(choices) == 690
    assert all(any("stripes.thresh" in setting for setting in settings) for settings in choices.values())
    assert sum(any("wisps.scale" in setting for setting in settings) for settings in choices.values()) == 132
    wanted = ("wisps.scale=1.19", "stripes.thresh=0.1", "stripes.method=median")
    assert choices["jw01345052001_02201_00003_nrcb3"] == wanted


def test_the_standard_pipeline_is_left_alone():
    before = dict(Detector1Pipeline.step_defs)
    ImagingPipeline()
    assert Detector1Pipeline.step_defs == before
    assert not {"snowballs", "wisps", "stripes"} & set(before)
    assert ImagingPipeline.step_defs["jump"] is not before["jump"]


def test_rates_of_the_integrations_are_corrected_as_well(reduced, rate):
    with CubeModel(reduced / f"{STEM}_rateints.fits") as rateints:
        np.testing.assert_array_equal(rateints.data[0], rate["data"].astype(np.float32))
        assert [models.state(rateints, name) for name in ("snowballs", "wisps", "stripes")] == ["COMPLETE"] * 3


def test_large_events_are_left_to_the_snowballs_step(request_of, reduced, tmp_path):
    """Parameters from CRDS, and those of users, turn the jump step's own rule on."""
    start = tmp_path / "start" / f"{STEM}_rate.fits"
    start.parent.mkdir()
    shutil.copyfile(reduced / f"{STEM}_rate_prewisp.fits", start)
    settings = ["jump.expand_large_events=true", "stripes.skip=true"]
    reduce_imaging(request_of(tmp_path, files=[start], settings=settings))
    resolved = tomllib.loads((tmp_path / "resolved.toml").read_text())
    assert resolved["steps"]["jump"]["expand_large_events"] is False
    assert "expand_large_events is turned off" in (tmp_path / "detectorist.log").read_text()


def test_one_ramp_fit_only(reduced):
    log = (reduced / "detectorist.log").read_text()
    assert log.count("Step ramp_fit running") == 1
    assert log.index("Step snowballs done") < log.index("Step ramp_fit running")


def test_a_parameter_file_of_stpipe_is_a_recipe(request_of, reduced, tmp_path):
    from detectorist.reduction.parameter_files import read_asdf, recipe_as_asdf
    from detectorist.reduction.recipe import load_recipe

    path = tmp_path / "mine.asdf"
    path.write_text(recipe_as_asdf("imaging", "ceers"))
    assert read_asdf(path).steps["snowballs"]["grow_radii"] == [7, 35]
    assert load_recipe("imaging", str(path)).steps["stripes"]["method"] == "median"
    pipeline = Step.from_config_file(str(path))  # as strun does
    assert isinstance(pipeline, ImagingPipeline)
    assert (pipeline.stripes.method, pipeline.snowballs.grow_radii) == ("median", [7, 35])
    start = tmp_path / f"{STEM}_rate.fits"
    shutil.copyfile(reduced / f"{STEM}_rate_prewisp.fits", start)
    reduce_imaging(request_of(tmp_path / "out", files=[start], recipe=str(path)))
    record = json.loads((tmp_path / "out" / "record.json").read_text())[STEM]
    assert record["stripes"]["method"] == "median"


def test_parameters_of_other_releases_are_left_out_of_parameter_files(tmp_path, caplog):
    from detectorist.reduction.parameter_files import known_to, read_asdf

    path = tmp_path / "old.asdf"
    Detector1Pipeline().export_config(path)
    text = path.read_text().replace("save_calibrated_ramp:", "save_forgotten_ramp: true\n  save_calibrated_ramp:", 1)
    path.write_text(text)
    with caplog.at_level("WARNING"):
        recipe = known_to(read_asdf(path), ImagingPipeline)
    assert "save_forgotten_ramp" in caplog.text
    recipe.check(ImagingPipeline)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        (f"{STEM}_uncal.fits", STEM),
        (f"{STEM}_rate.fits.gz", STEM),
        (f"{STEM}_rateints.fits", STEM),
        ("mine.fits", "mine"),
    ],
)
def test_names_of_products(name, stem):
    assert stem_of(name) == stem
