"""Exposures of MIRI LRS as a campaign: good ones beside damaged ones, resumed, planned, predicted."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from stdatamodels.jwst import datamodels

from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import PlanRequest, make_jobs, make_plan
from detectorist.campaign.run import Execution, run_campaign
from detectorist.errors import InputError, ParameterError, ReferenceMissing

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def plan(lrs_exposure, tmp_path):
    """Return a function that plans the reduction of all files in tmp_path/raw."""

    def make(*settings, memory_bytes=0, **options):
        files = sorted((tmp_path / "raw").glob("*_uncal.fits"))
        request = PlanRequest(
            "lrs",
            files,
            tmp_path / "out",
            recipe="short",
            overrides=settings,
            references=str(lrs_exposure / "crds"),
            options=options,
        )
        return make_plan(make_jobs(request), tmp_path / "out", memory_bytes=memory_bytes)

    return make


@pytest.fixture
def raw(lrs_exposure, tmp_path):
    """Return a function that puts the first segment of the exposure into tmp_path/raw as an exposure of its own."""
    folder = tmp_path / "raw"
    folder.mkdir()
    source = sorted(lrs_exposure.glob("*_uncal.fits"))[0]

    def place(number):
        target = folder / source.name.replace("jw09999001", f"jw09999{number:03d}")
        shutil.copy(source, target)
        return target

    return place


def entries(folder):
    with Ledger(folder, read_only=True) as ledger:
        return ledger.entries()


def test_good_and_damaged_exposures(raw, plan, tmp_path):
    good, cut, other = raw(1), raw(2), raw(3)
    cut.write_bytes(cut.read_bytes()[:1_000_000])
    fits.setval(other, "NGROUPS", value=77)
    counts = run_campaign(plan(), Execution(workers=1))
    assert counts == {"done": 1, "unprocessable": 2, "crashed": 0, "skipped": 0}
    found = {entry.job.files[0]: entry for entry in entries(tmp_path / "out").values()}
    assert "is the file complete?" in found[str(cut)].record.message
    assert "the header says 77 groups" in found[str(other)].record.message
    done = found[str(good)].record
    assert {Path(product.path).name for product in done.products} >= {"stage_2_output.nc", "resolved.toml"}
    assert done.steps["exposure"]["n_integrations"] == 5
    (steps,) = [numbers for name, numbers in done.steps.items() if name != "exposure"]
    assert steps["drop_groups"]["groups"] == [9]
    assert not list((tmp_path / "out").rglob(".partial-*"))

    # A parameter of stage 2 does only stage 2 again.
    rates = next((tmp_path / "out").rglob("*_rateints.fits"))
    before = rates.stat().st_mtime_ns
    output = next((tmp_path / "out").rglob("stage_2_output.nc"))
    flux = xr.load_dataset(output, engine="h5netcdf")
    assert run_campaign(plan("extract_1d_box.aperture_left_width=3"), Execution(workers=1))["done"] == 1
    assert rates.stat().st_mtime_ns == before
    assert not flux["flux"].equals(xr.load_dataset(output, engine="h5netcdf")["flux"])


def test_bad_parameters_and_references_are_found_before_anything_starts(raw, plan, lrs_exposure, tmp_path):
    raw(1)
    with pytest.raises(ParameterError, match='did you mean "rejection_threshold"'):
        plan("jump.rejection_treshold=3")
    with pytest.raises(ParameterError, match="poly_order"):
        plan('clean_outliers.poly_order="four"')
    request = PlanRequest("lrs", sorted((tmp_path / "raw").iterdir()), tmp_path / "out", references=str(tmp_path))
    with pytest.raises(ReferenceMissing, match="server_config"):
        make_jobs(request)


def test_the_plan_names_steps_and_references(raw, lrs_exposure, tmp_path):
    raw(1)
    words = [str(path) for path in (tmp_path / "raw").iterdir()]
    words += ["-o", str(tmp_path / "out"), "--references", str(lrs_exposure / "crds"), "--dry-run", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "detectorist", "run", "lrs", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    plan = json.loads(done.stdout)
    (configuration,) = plan["configurations"]
    assert {"jump", "ramp_fit", "clean_outliers", "reference_pixel"} <= set(configuration["steps"])
    assert "group_background_subtract" not in configuration["steps"]
    assert configuration["references"]["gain"].startswith("sim_miri_gain")
    assert configuration["references"]["linearity"].startswith("sim_miri_linearity")
    assert configuration["references"]["dark"].startswith("sim_miri_dark")
    assert plan["jobs"][0]["memory_bytes"] > 1e8
    assert not (tmp_path / "out").exists()


def test_samples_that_are_not_numbers_are_flagged(make_lrs_ramp):
    from detectorist.reduction.inputs.headers import flag_missing_samples

    ramps = make_lrs_ramp(n_ints=2, n_groups=4, ny=6, nx=8)
    before = ramps.groupdq.copy()
    assert flag_missing_samples(ramps) == 0
    assert (ramps.groupdq == before).all()
    ramps.data[1, 2, 3, 4], ramps.data[0, 0, 0, 0] = float("nan"), float("inf")
    assert flag_missing_samples(ramps) == 2
    assert ramps.groupdq[1, 2, 3, 4] == 1
    assert ramps.groupdq[0, 0, 0, 0] == 1
    assert ramps.groupdq.sum() == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"exposure.ngroups": 7}, r"7 groups \(NGROUPS\), the array holds 8"),
        ({"exposure.integration_end": 9}, "9 integrations"),
        ({"exposure.integration_start": 0, "exposure.integration_end": 1}, "INTSTART is 0"),
        ({"subarray.ysize": 64}, "64 rows"),
        ({"subarray.xsize": 64}, "64 columns"),
        ({"exposure.group_time": -1.0}, "TGROUP is -1.0"),
        ({"exposure.nframes": 4}, "4 frames and a gap of 0"),
    ],
)
def test_headers_that_contradict_the_array(changes, words):
    from detectorist.reduction.inputs.headers import require_consistent

    meta = {
        "instrument.name": "MIRI",
        "instrument.detector": "MIRIMAGE",
        "exposure.integration_start": 1,
        "exposure.integration_end": 2,
        "exposure.ngroups": 8,
        "exposure.group_time": 0.15904,
        "exposure.frame_time": 0.15904,
        "exposure.nframes": 1,
        "exposure.groupgap": 0,
        "subarray.ystart": 529,
        "subarray.xstart": 1,
        "subarray.ysize": 416,
        "subarray.xsize": 72,
        "subarray.fastaxis": 1,
        "subarray.slowaxis": 2,
    }
    if words is None:
        require_consistent("x", meta, (2, 8, 416, 72))
        return
    with pytest.raises(InputError, match=words):
        require_consistent("x", {**meta, **changes}, (2, 8, 416, 72))


def test_missing_references_are_named(raw, lrs_exposure, tmp_path):
    from detectorist.reduction.needed_references import find_references

    crds = tmp_path / "crds"
    shutil.copytree(lrs_exposure / "crds", crds)
    dark = next((crds / "references").rglob("*dark*"))
    dark.unlink()
    found = find_references(raw(1), ["dark", "gain", "superbias"], str(crds))
    assert found["dark"] == f"missing: {dark.name} is not in the folder"
    assert found["gain"].startswith("sim_miri_gain")
    assert found["superbias"] == "N/A"


def test_chunks_are_chosen_by_memory(raw, plan, tmp_path):
    from detectorist.algorithms.ramps import groups
    from detectorist.modes.lrs import mode as lrs
    from detectorist.modes.lrs.mode import predict_memory
    from detectorist.reduction.inputs.exposure_parts import BLOCK_INTS
    from detectorist.reduction.inputs.ramp_sizes import RampSize

    assert lrs.BLOCK_INTS == BLOCK_INTS
    assert lrs.DECIDING_SAMPLES == groups.DECIDING_SAMPLES
    assert lrs.chooses_for_itself("best", ())
    assert lrs.chooses_for_itself(None, ())
    assert not lrs.chooses_for_itself("long", ())
    assert lrs.chooses_for_itself("short", ("drop_groups.drop_groups=auto",))
    long = RampSize(333, 100, 416, 72)
    assert predict_memory([long], None) > 5e9
    assert predict_memory([long], 16) < 1.5e9
    assert predict_memory([long], 8, decides=True) < 1.5e9
    raw(1)
    (planned,) = plan(memory_bytes=int(8e9)).jobs
    assert "chunk_ints" not in planned.job.options
    (planned,) = plan(memory_bytes=int(1e8)).jobs
    assert planned.job.options["chunk_ints"] == 4
    assert planned.note == "more memory than it may take, even so"
    (planned,) = plan("jump.find_showers=true", memory_bytes=int(1e8)).jobs
    assert "chunk_ints" not in planned.job.options
    assert planned.note == ("in one piece, although memory is short, since jump.find_showers looks at the whole frame")


@pytest.mark.parametrize(
    ("n_ints", "n_groups", "chunk_ints", "measured_mb"),
    [
        (4, 12, None, 365),
        (20, 12, None, 397),
        (12, 30, None, 414),
        (40, 20, None, 512),
        (80, 12, None, 563),
        (20, 12, 4, 375),
        (80, 12, 16, 427),
        (320, 12, 16, 449),
    ],
)
def test_predicted_memory_near_that_of_an_idle_worker(n_ints, n_groups, chunk_ints, measured_mb):
    """Measured peaks of the default recipe, kernels compiled before: a limit near them must not be overrun."""
    from detectorist.modes.lrs.mode import predict_memory
    from detectorist.reduction.inputs.ramp_sizes import RampSize

    predicted = predict_memory([RampSize(n_ints, n_groups, 416, 72)], chunk_ints, decides=True)
    assert 0.99 * measured_mb < predicted / 1e6 < 1.1 * measured_mb


#: A limit near the peak of an exposure of 20 integrations, and exposures that grow beyond it.
NEAR_LIMIT, GROWING_INTS = int(540e6), (20, 80, 320)


def test_chunks_keep_predicted_memory_from_growing(monkeypatch, tmp_path):
    """Under one limit the plan of 320 integrations of 12 groups takes as much memory as that of 20, within 15 %."""
    from detectorist.modes.job import Job
    from detectorist.modes.lrs import mode as lrs
    from detectorist.reduction.inputs.ramp_sizes import RampSize

    monkeypatch.setattr(lrs, "ramp_size", lambda path: RampSize(int(path.stem), 12, 416, 72))
    jobs = [Job(str(n), "lrs", (f"{n}.fits",), str(tmp_path)) for n in GROWING_INTS]
    fitted = [lrs.LrsMode().with_memory(job, NEAR_LIMIT) for job in jobs]
    assert [job.options.get("chunk_ints") for job, _ in fitted] == [None, 16, 8]
    assert not any(note for _, note in fitted)
    predicted = [lrs.LrsMode().predict(job).memory_bytes for job, _ in fitted]
    assert max(predicted) < 1.15 * min(predicted)
    assert max(predicted) <= NEAR_LIMIT


def lengthen(source, target, n_ints):
    """Write a series with the integrations of a shorter one over and over, one after the other in time."""
    with datamodels.open(source) as model:
        times = model.int_times
        model.data = np.concatenate([model.data] * (n_ints // len(times)))
        number, spacing = np.arange(n_ints), np.diff(times["int_mid_MJD_UTC"])[0]
        table = np.resize(times, n_ints)
        for name in table.dtype.names:
            table[name] = times[name][0] + number * (1 if name == "integration_number" else spacing)
        model.int_times = table
        model.meta.exposure.nints = model.meta.exposure.integration_end = n_ints
        target.parent.mkdir()
        model.save(target)
    return target


@pytest.mark.long
def test_measured_memory_hardly_grows_with_the_length_of_a_series(tmp_path):
    """Peaks of workers that reduce 20, 80 and 320 integrations under one limit, kernels compiled before."""
    from detectorist.simulate.lrs.scene import LrsScene

    shortest = GROWING_INTS[0]
    LrsScene().write(tmp_path / "raw", ints=shortest, groups=12, segments=1, seed=5)
    (source,) = (tmp_path / "raw").glob("*_uncal.fits")
    peaks = {}
    for n_ints in (shortest, *GROWING_INTS):  # the first one compiles
        raw, out = tmp_path / f"raw_{n_ints}" / source.name, tmp_path / f"out_{n_ints}"
        if not raw.exists():
            lengthen(source, raw, n_ints)
        shutil.rmtree(out, ignore_errors=True)  # else its stage 1 is reused
        request = PlanRequest("lrs", [raw], out, references=str(tmp_path / "raw" / "crds"))
        made = make_plan(make_jobs(request), out, memory_bytes=NEAR_LIMIT)
        assert run_campaign(made, Execution(workers=1, memory_limit=NEAR_LIMIT))["done"] == 1
        (entry,) = entries(out).values()
        peaks[n_ints] = entry.record.peak_bytes
    assert max(peaks.values()) < 1.15 * min(peaks.values()), peaks
    assert max(peaks.values()) < NEAR_LIMIT, peaks


def test_the_best_recipe_goes_in_chunks_too():
    from detectorist.modes.lrs.mode import reasons_against_chunks

    for recipe in ("best", "short", "long", None):
        assert reasons_against_chunks(recipe, ()) == ()


@pytest.mark.long
@pytest.mark.parametrize("recipe", ["best", "long"])
def test_a_hundred_integrations_in_chunks_are_those_of_the_whole(tmp_path, recipe):
    """Every array of every product, spectra included, bit for bit."""
    from detectorist.reduction.content_keys import data_hash
    from detectorist.simulate.lrs.scene import LrsScene

    raw = tmp_path / "raw"
    LrsScene().write(raw, ints=100, groups=45 if recipe == "long" else 20, segments=1, seed=5)
    files, products = sorted(raw.glob("*_uncal.fits")), {}
    for chunk_ints in (None, 8):
        out = tmp_path / f"out_{chunk_ints}"
        options = {"chunk_ints": chunk_ints} if chunk_ints else {}
        request = PlanRequest("lrs", files, out, recipe=recipe, references=str(raw / "crds"), options=options)
        counts = run_campaign(make_plan(make_jobs(request), out), Execution(workers=1))
        assert counts["done"] == 1
        (rates,) = out.rglob("*_rateints.fits")
        (spectra,) = out.rglob("stage_2_output.nc")
        products[chunk_ints] = data_hash(rates), xr.load_dataset(spectra, engine="h5netcdf")
    assert products[None][0] == products[8][0]
    xr.testing.assert_identical(products[None][1], products[8][1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("n_ints", "n_groups", "chunk_ints"), [(4, 8, None), (60, 60, None), (240, 5, None), (60, 60, 10)]
)
def test_predicted_memory_is_within_30_percent(tmp_path, n_ints, n_groups, chunk_ints):
    from detectorist.simulate.lrs.scene import LrsScene

    LrsScene().write(tmp_path / "raw", ints=n_ints, groups=n_groups, segments=1, seed=5)
    files = sorted((tmp_path / "raw").glob("*_uncal.fits"))
    options = {"chunk_ints": chunk_ints} if chunk_ints else {}
    references = str(tmp_path / "raw" / "crds")
    request = PlanRequest("lrs", files, tmp_path / "out", recipe="short", references=references, options=options)
    made = make_plan(make_jobs(request), tmp_path / "out")
    run_campaign(made, Execution(workers=1))
    (entry,) = entries(tmp_path / "out").values()
    assert entry.state == "done", entry.record.message
    assert made.jobs[0].prediction.memory_bytes == pytest.approx(entry.record.peak_bytes, rel=0.3)
    if chunk_ints:
        return  # scratch files are gone
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert made.jobs[0].prediction.disk_bytes == pytest.approx(written, rel=0.3)
