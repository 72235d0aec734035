"""The LRS pipeline from raw ramps to spectra: contract of the output, reuse, provenance, one exposure in segments."""

import json
import shutil
import tomllib

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from detectorist import __version__
from detectorist.campaign import api
from detectorist.figures.time_series import OVERVIEW
from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.reduction.recipes.recipe_files import load_recipe
from detectorist.reduction.runner import Request

pytestmark = pytest.mark.filterwarnings("default")  # stock steps warn as they please


@pytest.fixture(scope="session")
def reduced(exposure, tmp_path_factory):
    """The exposure reduced as `detectorist run lrs` does it."""
    folder = tmp_path_factory.mktemp("reduced")
    files = sorted(exposure.glob("*_uncal.fits"), reverse=True)  # order must not matter
    (entry,) = api.reduce("lrs", files, folder, references=exposure / "crds").values()
    assert entry.state == "done", entry.record.message
    return folder


@pytest.fixture(scope="session")
def dataset(reduced):
    with xr.open_dataset(reduced / "stage_2" / "stage_2_output.nc", engine="h5netcdf") as opened:
        return opened.load()


def test_output_keeps_its_contract(dataset):
    n_ints = 8
    assert dict(dataset.sizes) == {"integration_number": n_ints, "wavelength": 386, "region_width": 5}
    assert np.isfinite(dataset["wavelength"]).all()
    assert (np.diff(dataset["wavelength"]) > 0).all()
    assert (np.diff(dataset["detector_row"]) < 0).all()
    expected = {
        "flux": "DN/s",
        "flux_error": "DN/s",
        "background": "DN/s",
        "x_shift": "pixel",
        "y_shift": "pixel",
        "y_shift_left": "pixel",
        "psf_sigma": "pixel",
        "n_outliers": "",
    }
    assert {name: dataset[name].attrs["units"] for name in expected} == expected
    assert dataset["wavelength"].attrs["units"] == "microns"
    assert dataset["flux"].dims == ("integration_number", "wavelength")
    assert dataset["n_outliers"].dims == ("integration_number", "wavelength", "region_width")
    assert list(dataset["integration_number"].values) == list(range(1, n_ints + 1))
    assert list(dataset["region_width"].values) == list(range(5))
    assert dataset.attrs["code"] == f"detectorist {__version__}"
    assert {"target", "program", "observation", "visit", "recipe", "crds_context", "jwst_version"} <= set(dataset.attrs)
    assert {"conventions", "history"} <= set(dataset.attrs)
    assert not {"author", "contact"} & set(dataset.attrs)
    assert {"quality", "exposure"} <= set(dataset.data_vars)
    assert {"time_bjd_tdb", "time_mjd_utc"} <= set(dataset.flux.coords)
    assert np.abs(dataset["time_bjd_tdb"] - 2400000.5 - dataset["time_mjd_utc"]).max() < 0.01  # whole Julian dates


def test_values_make_sense(dataset, exposure):
    useful = (dataset["wavelength"] > 5.2) & (dataset["wavelength"] < 11.5)
    assert np.isfinite(dataset["flux"].values[:, useful]).all()
    assert (dataset["flux_error"].values[:, useful] > 0).all()
    assert (np.diff(dataset["time_mjd_utc"]) > 0).all()
    assert np.abs(dataset["psf_sigma"] - 1.8).max() < 0.4
    assert np.isfinite(dataset["x_shift"]).all()
    assert np.isfinite(dataset["y_shift"]).all()
    assert (dataset["y_shift_left"] == dataset["y_shift"]).all()  # the default recipe does not align spectra


def test_a_shower_costs_a_group_and_leaves_no_light(exposure, dataset, tmp_path):
    """A patch of 150 DN across the trace in one group, more than the star's own light in faint rows."""
    rows, columns = np.mgrid[:416, :72]
    shower = 150 * np.exp(-0.5 * ((rows - 300) ** 2 + (columns - 41) ** 2) / 12**2)
    for source in sorted(exposure.glob("*_uncal.fits")):
        shutil.copy(source, tmp_path / source.name)
    first = min(tmp_path.glob("*_uncal.fits"))
    with fits.open(first, mode="update") as hdus:
        hdus["SCI"].data[2, 5:] += np.rint(shower).astype(np.uint16)
    files = sorted(tmp_path.glob("*_uncal.fits"))
    (entry,) = api.reduce("lrs", files, tmp_path / "out", references=exposure / "crds").values()
    assert entry.state == "done", entry.record.message
    hits = [steps["flag_showers"]["hits"] for name, steps in entry.record.steps.items() if name != "exposure"]
    assert [hit for part in hits for hit in part] == [[3, 5]]
    with xr.open_dataset(tmp_path / "out" / "stage_2" / "stage_2_output.nc", engine="h5netcdf") as opened:
        lit = np.abs(opened["detector_row"].values - 300) < 25
        change = (opened["flux"].values - dataset["flux"].values)[2, lit] / opened["flux_error"].values[2, lit]
    assert abs(change.mean()) < 0.5
    assert np.abs(change).max() < 4


def test_every_segment_has_its_rates_with_their_history(reduced):
    files = sorted((reduced / "stage_1").glob("*_rateints.fits"))
    assert len(files) == 2
    for path in files:
        header = fits.getheader(path)
        assert header["S_DRPGRP"] == "COMPLETE"
        assert any("drop_groups" in line for line in header["HISTORY"])
        assert header["CRDS_CTX"] == "jwst_sim.pmap"


def test_gain_of_ones_own_is_a_file_and_named_in_the_products(exposure, segments, tmp_path):
    settings = ("set_custom_gain.skip=false", "set_custom_gain.gain_value=4.0")
    reduce_exposure(Request(segments[:1], tmp_path, settings=settings, references=str(exposure / "crds")))
    gains = list((tmp_path / "references").glob("*_gain.fits"))
    assert len(gains) == 1
    assert (fits.getdata(gains[0]) == 4.0).all()
    header = fits.getheader(next((tmp_path / "stage_1").glob("*_rateints.fits")))
    assert header["R_GAIN"].endswith(gains[0].name)


def test_resolved_parameters_are_written(reduced):
    resolved = tomllib.loads((reduced / "resolved.toml").read_text())
    assert resolved["recipe"] == "default"
    recipe = load_recipe("lrs")
    for step, parameters in recipe.steps.items():
        got = {name: resolved["steps"][step][name] for name in parameters}
        # The groups that were chosen stand for "auto", so that the exposure can be reduced the same way once more.
        assert got == ({"drop_groups": [7]} if step == "drop_groups" else parameters), step
    assert recipe.parameters.items() <= resolved.items()
    assert resolved["steps"]["align_spectra"]["draw_trace_positions"] is False  # what no recipe names is there too
    assert resolved["references"]["context"] == "jwst_sim.pmap"
    assert "jwst" in resolved["versions"]


def test_figures_and_log_are_written(reduced):
    names = {path.name for path in (reduced / "figures").iterdir()}
    assert {"spectrum.png", "white_light.png", "light_curves_2d.png", "trace.png"} <= names
    assert names <= {f"{name}.png" for name in OVERVIEW}  # the places that are looked at before anything is made
    log = (reduced / "detectorist.log").read_text()
    assert "drop_groups" in log
    assert "clean_outliers" in log


def test_nothing_is_left_of_writing(reduced):
    assert [path for path in reduced.rglob(".partial-*")] == []


def states_of(folder):
    """Return what tells of every file in a folder whether it has been written again."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_does_nothing(reduced, exposure, segments):
    before = states_of(reduced)
    (entry,) = api.reduce("lrs", segments, reduced, references=exposure / "crds").values()
    assert entry.state == "done"
    assert states_of(reduced) == before


@pytest.fixture
def again(reduced, exposure, segments, tmp_path):
    """Return a function that reduces the exposure once more, into a copy of what was made of it."""
    folder = tmp_path / "copy"
    shutil.copytree(reduced, folder)

    def reduce(files=segments, **changes):
        return reduce_exposure(Request(files, folder, references=str(exposure / "crds"), **changes))

    return reduce


def rates_in(folder):
    return {path.name: path.stat().st_mtime_ns for path in sorted((folder / "stage_1").glob("*_rateints.fits"))}


def test_stage_1_that_would_come_out_the_same_is_kept(again, reduced, dataset, tmp_path):
    before = rates_in(tmp_path / "copy")
    got = again().spectra.dataset
    assert rates_in(tmp_path / "copy") == before
    xr.testing.assert_identical(got["flux"], dataset["flux"])
    xr.testing.assert_identical(got["flux_error"], dataset["flux_error"])


@pytest.mark.parametrize(
    "changes", [{"settings": ["jump.rejection_threshold=12"]}, {"overwrite": True}], ids=["parameter", "overwrite"]
)
def test_stage_1_that_would_come_out_differently_is_made_again(again, segments, tmp_path, changes):
    before = rates_in(tmp_path / "copy")
    again(segments[:1], **changes)
    after = rates_in(tmp_path / "copy")
    first, second = sorted(before)
    assert after[first] != before[first]
    assert after[second] == before[second]


def test_a_parameter_of_stage_2_makes_no_stage_1_again(again, dataset, tmp_path):
    before = rates_in(tmp_path / "copy")
    got = again(settings=["clean_outliers.outlier_threshold=3.5"]).spectra.dataset
    assert rates_in(tmp_path / "copy") == before
    assert not got["flux"].equals(dataset["flux"])


def test_rateints_are_a_start_too(reduced, exposure, dataset, tmp_path):
    rates = sorted((reduced / "stage_1").glob("*_rateints.fits"))
    got = reduce_exposure(Request(rates, tmp_path, references=str(exposure / "crds"))).spectra.dataset
    np.testing.assert_allclose(got["flux"], dataset["flux"], rtol=1e-6, equal_nan=True)
    assert not (tmp_path / "stage_1").exists()


def test_inputs_stay_as_they_were(exposure, segments, reduced):
    # The exposure was reduced by the fixture; its files still open and hold raw counts.
    for path in segments:
        with fits.open(path) as hdus:
            assert hdus["SCI"].data.dtype == np.uint16
            assert "S_DRPGRP" not in hdus[0].header


def test_the_pipeline_is_a_step_for_strun_and_call(exposure, segments, tmp_path, monkeypatch):
    from detectorist.crds_source import use_references
    from detectorist.modes.lrs.pipeline import LrsPipeline

    use_references(exposure / "crds")
    got = LrsPipeline.call(
        str(segments[0]),
        output_dir=str(tmp_path),
        steps={"drop_groups": {"drop_groups": [-1]}, "set_custom_gain": {"skip": True}, "emicorr": {"skip": True}},
    )
    assert got.dataset.sizes["integration_number"] == 4


def test_numbers_of_the_exposure_and_its_steps_are_written(reduced, dataset):
    record = json.loads((reduced / "record.json").read_text())
    numbers = record.pop("exposure")
    assert numbers["n_integrations"] == 8
    assert 0 < numbers["white_photon_ppm"] < numbers["white_expected_ppm"]
    assert not {"pull_width", "white_ratio"} & set(numbers)  # eight integrations tell the scatter too little
    assert numbers["x_rms_pix"] == pytest.approx(float(np.std(dataset["x_shift"])))
    assert len(record) == 2  # a block for each segment
    for steps in record.values():
        assert {"drop_groups", "clean_outliers", "background_subtract", "extract_1d_optimal", "align_spectra"} <= set(
            steps
        )
        assert all(numbers["state"] in ("COMPLETE", "SKIPPED") for numbers in steps.values())


def test_frames_are_kept_in_small(reduced):
    with xr.open_dataset(reduced / "stage_2" / "frames.nc", engine="h5netcdf") as frames:
        assert frames["clean"].shape == (416, 72)
        assert np.isfinite(frames["clean"]).all()
        # The trace is where the light is, and the background is gone beside it.
        assert frames["clean"].values[370, 34:40].max() > 20 * abs(np.median(frames["clean"].values[370, 50:68]))
        assert 0 < float(frames["replaced"].mean()) < 0.2
