"""NIRCam images from raw ramps to corrected rates, on a small simulated frame: against the truth, and as a contract."""

import json
import shutil
import tomllib

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from jwst.pipeline import Detector1Pipeline
from jwst.stpipe import Step
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist import models
from detectorist.campaign import api
from detectorist.campaign.ledger import Ledger
from detectorist.errors import AlreadyCorrected
from detectorist.modes.imaging.command import template_setting
from detectorist.modes.imaging.pipeline import ImagingPipeline
from detectorist.modes.imaging.reduction import reduce_exposure
from detectorist.reduction.runner import Request

pytestmark = pytest.mark.filterwarnings("default")  # stock steps warn as they please

STEM = "jw09999002001_02101_00001_nrcb4"


@pytest.fixture(scope="session")
def reduce(simulated):
    """Return a function that reduces the exposure, or files that are given, as `detectorist run imaging` does it."""

    def run(folder, files=None, *settings, **changes):
        files = files or sorted(simulated.glob("*_uncal.fits"))
        settings = (template_setting(simulated / "wisps"), *settings)
        found = api.reduce("imaging", files, folder, settings=settings, references=simulated / "crds", **changes)
        (entry,) = found.values()
        assert entry.state == "done", entry.record.message
        return entry

    return run


@pytest.fixture(scope="session")
def reduced(reduce, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reduced")
    reduce(folder)
    return folder


def beside(folder, name):
    """Return the path of what is written beside the products."""
    return folder / f"{STEM}_{name}"


def record_in(folder):
    return json.loads(beside(folder, "record.json").read_text())


def resolved_in(folder):
    return tomllib.loads(beside(folder, "resolved.toml").read_text())


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
    assert {f"{STEM}_{name}" for name in ("rateints.fits", "resolved.toml", "record.json", "detectorist.log")} <= names
    assert [path for path in reduced.rglob(".partial-*")] == []


def test_products_are_known_by_their_names(reduced):
    """What another program writes beside them during a run, under a name that begins alike, is none of them."""
    with Ledger(reduced, read_only=True) as ledger:
        (entry,) = ledger.entries().values()
    told = {product.path for product in entry.record.products}
    there = {path.name for path in reduced.glob(f"{STEM}_*")} - {f"{STEM}_detectorist.log"}
    assert told == there


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
    assert record_in(reduced)["stripes"]["method"] == "flicker"
    resolved = resolved_in(reduced)
    assert resolved["recipe"] == "default"
    assert resolved["steps"]["jump"]["expand_large_events"] is False
    assert resolved["steps"]["wisps"]["template_dir"].endswith("wisps")
    assert resolved["references"]["context"] == "jwst_sim.pmap"


def test_a_second_run_makes_nothing_again_and_a_changed_parameter_does(reduce, reduced, tmp_path):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in reduced.iterdir()}
    reduce(reduced)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in reduced.iterdir()} == before
    start = rate_before_wisps(reduced, tmp_path)
    target = tmp_path / "out" / f"{STEM}_rate.fits"
    reduce(tmp_path / "out", [start])
    assert fits.getheader(target)["S_STRIPE"] == "COMPLETE"
    reduce(tmp_path / "out", [start], "stripes.skip=true")
    assert "S_STRIPE" not in fits.getheader(target)


def rate_before_wisps(reduced, folder):
    """Return a rate to start from, as another folder would hold it."""
    start = folder / "start" / f"{STEM}_rate.fits"
    start.parent.mkdir()
    shutil.copyfile(reduced / f"{STEM}_rate_prewisp.fits", start)
    return start


def test_rates_are_a_start_too(reduce, reduced, rate, simulated, tmp_path):
    reduce(tmp_path / "out", [rate_before_wisps(reduced, tmp_path)])
    made = tmp_path / "out" / f"{STEM}_rate.fits"
    with ImageModel(made) as model:
        np.testing.assert_allclose(model.data, rate["data"], rtol=1e-4, atol=1e-5, equal_nan=True)
    with pytest.raises(AlreadyCorrected, match="wisps"):
        reduce_exposure(
            Request(
                [made],
                tmp_path / "again",
                settings=[template_setting(simulated / "wisps")],
                references=simulated / "crds",
            )
        )
    assert not list((tmp_path / "again").glob("*.fits"))


def test_choices_of_single_exposures_win_over_the_recipe(reduce, reduced, tmp_path):
    table = tmp_path / "choices.csv"
    table.write_text(f"exposure,wisps.scale,stripes.thresh\n{STEM},0.5,0.3\n")
    folder, start = tmp_path / "out", rate_before_wisps(reduced, tmp_path)
    reduce(folder, [start], "stripes.save_patterns=true", recipe="ceers", table=table)
    assert all((folder / f"{STEM}_rate_{pattern}.fits").is_file() for pattern in ("horiz", "vert"))
    record, resolved = record_in(folder), resolved_in(folder)
    assert record["wisps"]["scale"] == [0.5]
    assert record["stripes"]["method"] == "median"
    assert {"wisps.scale=0.5", "stripes.thresh=0.3"} <= set(resolved["settings"])
    assert resolved["steps"]["stripes"]["thresh"] == 0.3


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


def test_large_events_are_left_to_the_snowballs_step(reduce, reduced, tmp_path):
    """Parameters from CRDS, and those of users, turn the jump step's own rule on."""
    start = rate_before_wisps(reduced, tmp_path)
    reduce(tmp_path / "out", [start], "jump.expand_large_events=true", "stripes.skip=true")
    assert resolved_in(tmp_path / "out")["steps"]["jump"]["expand_large_events"] is False
    assert "expand_large_events is turned off" in beside(tmp_path / "out", "detectorist.log").read_text()


def test_one_ramp_fit_only(reduced):
    log = beside(reduced, "detectorist.log").read_text()
    assert log.count("Step ramp_fit running") == 1
    assert log.index("Step snowballs done") < log.index("Step ramp_fit running")


def test_a_parameter_file_of_stpipe_is_a_recipe(reduce, reduced, tmp_path):
    from detectorist.reduction.recipes.parameter_files import read_asdf
    from detectorist.reduction.recipes.recipe_export import recipe_as_asdf
    from detectorist.reduction.recipes.recipe_files import load_recipe

    path = tmp_path / "mine.asdf"
    path.write_text(recipe_as_asdf("imaging", "ceers"))
    assert read_asdf(path).steps["snowballs"]["grow_radii"] == [7, 35]
    assert load_recipe("imaging", str(path)).steps["stripes"]["method"] == "median"
    pipeline = Step.from_config_file(str(path))  # as strun does
    assert isinstance(pipeline, ImagingPipeline)
    assert (pipeline.stripes.method, pipeline.snowballs.grow_radii) == ("median", [7, 35])
    reduce(tmp_path / "out", [rate_before_wisps(reduced, tmp_path)], recipe=str(path))
    assert record_in(tmp_path / "out")["stripes"]["method"] == "median"


def test_parameters_of_other_releases_are_left_out_of_parameter_files(tmp_path, caplog):
    from detectorist.reduction.recipes.parameter_files import known_to, read_asdf

    path = tmp_path / "old.asdf"
    Detector1Pipeline().export_config(path)
    text = path.read_text().replace("save_calibrated_ramp:", "save_forgotten_ramp: true\n  save_calibrated_ramp:", 1)
    path.write_text(text)
    with caplog.at_level("WARNING"):
        recipe = known_to(read_asdf(path), ImagingPipeline)
    assert "save_forgotten_ramp" in caplog.text
    recipe.check(ImagingPipeline)
