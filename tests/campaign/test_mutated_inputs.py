"""Damaged files: one sentence, no hang, no dead process, and no product that is wrong."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from mutations import mutations

from detectorist.campaign.job import CRASHED, DONE, Job
from detectorist.campaign.local_pool import LocalPool

pytestmark = pytest.mark.filterwarnings("default")

#: A reduction of the good file takes seconds.
TIMEOUT_S = 300
#: Changes of the counts themselves, which give other spectra and are no fault that anyone could see.
OTHER_COUNTS = ("fill", "retype", "reshape")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A small exposure in one file, and its references."""
    from detectorist.simulate.builder import LrsScene

    folder = tmp_path_factory.mktemp("good")
    LrsScene().write(folder, ints=3, groups=6, segments=1, seed=3)
    return folder


@pytest.fixture(scope="module")
def reduce(good):
    """Return a function that reduces a file in a worker of its own and returns what was reported."""
    pool = LocalPool(1, timeout_s=TIMEOUT_S)

    def run(path, folder):
        job = Job("x", "lrs", (str(path),), str(folder), recipe="short", references=str(good / "crds"))
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
