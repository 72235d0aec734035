"""Damaged files: one sentence, no hang, no dead process, and no product that is wrong."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from hypothesis import HealthCheck, Phase, given, settings
from mutations import mutations

from detectorist.campaign.local_pool import LocalPool
from detectorist.modes.job import CRASHED, DONE, Job

pytestmark = pytest.mark.filterwarnings("default")

#: A reduction of the good file takes seconds.
TIMEOUT_S = 300
#: Changes of the counts themselves, which give other spectra and are no fault that anyone could see.
OTHER_COUNTS = ("fill", "retype", "reshape")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small exposure in one file, and its references."""
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("good")
    LrsScene().write(folder, ints=3, groups=6, segments=1, seed=3)
    return folder


@pytest.fixture(scope="module")
def reduce(good, reduce_job):
    """Return a function that reduces a file and returns what was reported."""

    def run(path, folder):
        return reduce_job(Job("x", "lrs", (str(path),), str(folder), recipe="short", references=str(good / "crds")))

    return run


@pytest.fixture(scope="module")
def reduce_job():
    """Return a function that does a job in a worker of its own and returns what was reported."""
    pool = LocalPool(1, timeout_s=TIMEOUT_S)

    def run(job):
        pool.start(job)
        while True:
            for event in pool.wait(1.0):
                if event.kind != "progress":
                    return event

    yield run
    pool.close()


@pytest.fixture(scope="module")
def raw_file(good):
    return next(good.glob("*_uncal.fits"))


@pytest.fixture(scope="module")
def expected(reduce, raw_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    event = reduce(raw_file, folder)
    assert event.value.state == DONE, event.value.message
    return open_spectra(folder)


def open_spectra(folder):
    with xr.open_dataset(folder / "stage_2" / "stage_2_output.nc", engine="h5netcdf") as dataset:
        return dataset.load()


def require_right(mutation, found, expected):
    """Check a product that was made from a damaged file."""
    np.testing.assert_array_equal(found["wavelength"], expected["wavelength"])
    assert found.sizes["integration_number"] == expected.sizes["integration_number"]
    assert (np.diff(found["time_mjd_utc"]) > 0).all()
    useful = ((expected["wavelength"] > 5.2) & (expected["wavelength"] < 11.5)).values
    ratio = found["flux"].values[:, useful] / expected["flux"].values[:, useful]
    if mutation.kind == "fill" and not np.isfinite(mutation.value) and np.isfinite(ratio).any():
        # A sample that is not a number is left out: nothing is fitted through a zero in its place.
        assert abs(np.nanmedian(ratio) - 1) < 0.05, mutation
    if mutation.kind in OTHER_COUNTS:
        return
    assert abs(np.nanmedian(ratio) - 1) < 0.02, mutation
    assert np.nanmedian(found["flux_error"].values / expected["flux_error"].values) == pytest.approx(1, abs=0.1)


def check(mutation, raw_file, reduce, expected):
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / raw_file.name
        mutation.apply(raw_file, path)
        event = reduce(path, folder / "out")
        assert event.kind == "record", f"{mutation}: its process {event.value}"
        record = event.value
        assert "Traceback" not in record.message
        if record.state == DONE:
            require_right(mutation, open_spectra(folder / "out"), expected)
        else:
            assert record.message, mutation
            assert record.state != CRASHED, f"{mutation}: unforeseen: {record.error} {record.message}"
            assert not list((folder / "out").rglob("*.nc"))
    finally:
        shutil.rmtree(folder)


def many(n):
    """Return settings for `n` mutations, the same in every run; a failure is not shrunk, which would take hours."""
    return settings(
        max_examples=n,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@many(6)
@given(mutation=mutations)
def test_damaged_files(mutation, raw_file, reduce, expected):
    check(mutation, raw_file, reduce, expected)


@pytest.mark.long
def test_many_damaged_files(raw_file, reduce, expected):
    """All of them are tried before the test fails: one fault often hides others."""
    faults = []

    @many(300)
    @given(mutation=mutations)
    def try_all(mutation):
        try:
            check(mutation, raw_file, reduce, expected)
        except AssertionError as error:
            faults.append(f"{mutation}: {error}")

    try_all()
    assert not faults, "\n\n".join(faults)


@pytest.fixture(scope="module", params=["imaging", "coron"])
def image(request, tmp_path_factory):
    """Return (job without files, raw file) of a small exposure in the mode of the parameter."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "imaging":
        from detectorist.simulate.imaging.scene import ImagingScene

        scene = ImagingScene().with_detector(size=64, outputs=1, pattern="SHALLOW4").without("wisps")
        scene.write(folder, groups=5, seed=3)
        settings = ("stripes.skip=true",)
    else:
        from detectorist.simulate.coron.scene import MiriCoronScene

        MiriCoronScene().write(folder, ints=2, groups=5, rolls=1, dithers=0, seed=3)
        settings = ()
    raw = sorted(folder.glob("*_uncal.fits"))[0]
    return Job("x", request.param, (), "", settings=settings, references=str(folder / "crds")), raw


def read_rate(folder):
    (path,) = folder.glob("*_rate.fits")
    return fits.getdata(path, "SCI")


#: In an image of 64 pixels a block of zeros is a third of a group, reference pixels included: other counts.
OTHER_IMAGES = (*OTHER_COUNTS, "zero_block")


def is_foreseen(record):
    """Return whether what a job ended with is a sentence of ours; a subarray without references may have them later."""
    if record.state == DONE:
        return True
    return bool(record.message) and (record.state != CRASHED or record.error == "ReferenceMissing")


@pytest.mark.long
def test_many_damaged_images(image, reduce_job, tmp_path):
    """Sixty of each mode: what is not refused has the rates of the good file."""
    template, raw = image
    event = reduce_job(replace(template, files=(str(raw),), output_dir=str(tmp_path / "good")))
    assert event.value.state == DONE, event.value.message
    expected = read_rate(tmp_path / "good")
    faults = []

    @many(60)
    @given(mutation=mutations)
    def try_all(mutation):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        path = folder / raw.name
        mutation.apply(raw, path)
        event = reduce_job(replace(template, files=(str(path),), output_dir=str(folder / "out")))
        record = event.value
        if event.kind != "record" or not is_foreseen(record):
            faults.append(f"{mutation}: {getattr(record, 'error', '')} {getattr(record, 'message', record)}")
        elif record.state == DONE and mutation.kind not in OTHER_IMAGES:
            found = read_rate(folder / "out")
            known = np.isfinite(found) & np.isfinite(expected)
            if found.shape != expected.shape or known.mean() < 0.5:
                faults.append(f"{mutation}: a rate of shape {found.shape}, {known.mean():.0%} of it known")
            elif np.median(np.abs(found - expected)[known]) > 0.02 * np.median(np.abs(expected[known])):
                faults.append(f"{mutation}: other rates")
        shutil.rmtree(folder)

    try_all()
    assert not faults, "\n\n".join(faults)
