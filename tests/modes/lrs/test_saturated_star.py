"""A star that saturates from the first group on, whole reductions: its light is measured elsewhere or not at all."""

import shutil

import numpy as np
import pytest
import xarray as xr
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.modes.lrs.spectra_variables import NO_FLUX, SATURATED
from detectorist.reduction.runner import Request

pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.long]  # its short sibling: test_nuisance, at rates
#: Rows, columns that are saturated in every group: all of the trace, its core, and one column at its side. The recipe
#: gives up their neighbours too, to which charge has spilled.
WHOLE = (slice(330, 343), slice(29, 44))
CORE = (slice(346, 358), slice(34, 39))
PIXEL = (slice(362, 378), slice(39, 40))
BESIDE = np.r_[300:328, 381:388]


@pytest.fixture(scope="module")
def spectra(exposure, tmp_path_factory):
    """Flux, error and quality by row of the detector, and the true spectra."""
    folder = tmp_path_factory.mktemp("saturated")
    files = [folder / path.name for path in sorted(exposure.glob("*_uncal.fits"))]
    for path in files:
        shutil.copy(exposure / path.name, path)
        with Level1bModel(path) as model:
            data = model.data.copy()
            for rows, columns in (WHOLE, CORE, PIXEL):
                data[:, :, rows, columns] = 65535
            model.data = data
            model.save(str(path))
    reduced = reduce_exposure(Request(files, folder / "out", references=str(exposure / "crds")))
    found = reduced.spectra.dataset.set_index(wavelength="detector_row").sortby("wavelength")
    with xr.open_dataset(exposure / "truth.nc", engine="h5netcdf") as truth:
        return found.load(), truth["spectrum"].values.copy()


@pytest.mark.parametrize("rows", [WHOLE[0], CORE[0]], ids=["whole trace", "core"])
def test_rows_without_most_of_their_light_have_no_flux_and_say_so(spectra, rows):
    found, _ = spectra
    there = found.sel(wavelength=slice(rows.start, rows.stop - 1))
    assert there.sizes["wavelength"] == rows.stop - rows.start
    assert np.isnan(there.flux).all()
    assert np.isnan(there.flux_error).all()
    assert ((there.quality.values & (NO_FLUX | SATURATED)) == (NO_FLUX | SATURATED)).all()


def test_rows_that_lost_a_sixth_of_their_light_have_the_flux_of_the_rest(spectra):
    """The profile of pixels that no integration measured is that of other rows: good to a seventh of what was lost.

    Here hardly a row of the window is whole; where half of them are, it is good to a fiftieth (test_profile).
    """
    found, truth = spectra
    rows = np.arange(PIXEL[0].start, PIXEL[0].stop)
    lost, whole = found.sel(wavelength=rows), found.sel(wavelength=BESIDE)
    aperture = np.median(whole.flux.values / truth[:, BESIDE])
    ratio = lost.flux.values / (aperture * truth[:, rows])
    noise = (lost.flux_error.values / lost.flux.values).mean(axis=0) / np.sqrt(len(ratio))
    assert (np.abs(ratio.mean(axis=0) - 1) < 0.17 / 7 + 3 * noise).all()
    assert abs(ratio.mean() - 1) < 0.17 / 7
    assert ((lost.quality.values & SATURATED) > 0).all()
    # Fewer photons than rows of about the same brightness, and not many fewer.
    near, lost = found.sel(wavelength=slice(381, 387)), lost.sel(wavelength=slice(371, None))
    noise, usual = (np.median(each.flux_error.values / np.sqrt(each.flux.values)) for each in (lost, near))
    assert 1.03 < noise / usual < 1.4


def test_rows_beside_are_as_ever(spectra):
    found, truth = spectra
    beside = found.sel(wavelength=BESIDE)
    pulls = beside.flux.values - np.median(beside.flux.values / truth[:, BESIDE]) * truth[:, BESIDE]
    pulls = pulls / beside.flux_error.values
    assert abs(pulls.mean()) < 4 / np.sqrt(pulls.size)
