"""Files that our simulator has never seen."""

from pathlib import Path

import h5py
import jwst
import numpy as np
import pytest

from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.modes.lrs.spectra_variables import NO_FLUX, TIME_FROM_HEADER
from detectorist.reduction.runner import Request

pytestmark = [pytest.mark.thirdparty, pytest.mark.filterwarnings("default")]


@pytest.fixture(autouse=True)
def no_crds(monkeypatch):
    for name in ("CRDS_PATH", "CRDS_SERVER_URL", "CRDS_CONTEXT"):
        monkeypatch.delenv(name, raising=False)


def test_spectrum_agrees_with_an_independent_extraction(thirdparty, tmp_path):
    """Eureka extracted the same rates: 17 pixels about the trace, in electrons.

    The ratio of the two is the gain: it does not change with wavelength, as it would if background or aperture
    differed. It comes out as 5.43 e-/DN; the reference that was used then (gain_0008) holds 5.5, 1.3 % more.
    """
    request = Request(
        [thirdparty / "eureka_ngts10_lrs_rateints.fits"],
        tmp_path,
        recipe="exotic-short",
        settings=[
            f"wavelength_map={thirdparty / 'eureka_ngts10_lrs_calints.fits'}",
            "extract_1d_box.trace_position=gaussian_fits",
            "extract_1d_box.aperture_left_width=8",
            "extract_1d_box.aperture_right_width=8",
        ],
    )
    dataset = reduce_exposure(request).spectra.dataset
    assert dataset.sizes["integration_number"] == 4
    assert (dataset["quality"].values & TIME_FROM_HEADER).all()
    assert (np.diff(dataset["time_mjd_utc"]) > 0).all()
    assert "times are from the header" in (tmp_path / "detectorist.log").read_text()

    with h5py.File(thirdparty / "eureka_miri_S3_SpecData.h5") as file:
        um, electrons = file["wave_1d"][...], np.median(file["stdspec"][...], axis=0)
    rows = np.flatnonzero(np.isfinite(dataset["wavelength"].values))
    rows = rows[np.argsort(dataset["wavelength"].values[rows])]
    exposure_s = 47.712
    ours = exposure_s * np.median(dataset["flux"].values, axis=0)[rows]
    ours = np.interp(um, dataset["wavelength"].values[rows], ours)
    useful = (um > 5) & (um < 12)
    assert np.corrcoef(ours[useful], electrons[useful])[0, 1] > 0.9999
    ratio = electrons / ours
    by_micron = [np.median(ratio[(um >= low) & (um < low + 1)]) for low in range(5, 12)]
    np.testing.assert_allclose(np.median(ratio[useful]), 5.43, rtol=0.01)
    np.testing.assert_allclose(by_micron, np.median(ratio[useful]), rtol=0.012)


def test_rates_that_need_references_say_so(thirdparty, tmp_path):
    from detectorist.errors import ReferenceMissing

    with pytest.raises(ReferenceMissing, match="no source of reference files is set"):
        reduce_exposure(Request([thirdparty / "eureka_ngts10_lrs_rateints.fits"], tmp_path))


@pytest.mark.parametrize("recipe", ["default", "exotic-short"])
def test_the_file_in_the_jwst_package_is_reduced_in_spite_of_its_defects(tmp_path, recipe):
    """INT_TIMES has 3 rows for 10 integrations, ERR holds thousands of NaN, SCI spans millions."""
    path = Path(jwst.__file__).parent / "stpipe" / "tests" / "data" / "miri_data.fits"
    dataset = reduce_exposure(Request([path], tmp_path, recipe=recipe)).spectra.dataset
    assert dataset.sizes["integration_number"] == 10
    useful = ((dataset["wavelength"] > 5.2) & (dataset["wavelength"] < 11.5)).values
    assert useful.sum() > 200
    flux, error = dataset["flux"].values[:, useful], dataset["flux_error"].values[:, useful]
    # Where the trace itself was not measured, in a cluster of flagged pixels, there is no flux and a bit says so.
    unmeasured = ~np.isfinite(flux)
    assert unmeasured.sum() <= 4
    assert ((dataset["quality"].values[:, useful][unmeasured] & NO_FLUX) > 0).all()
    assert (error[~unmeasured] > 0).all()
    # Spectra of the same star agree from one integration to the next, with defects left out.
    scatter = np.nanstd(flux / np.nanmedian(flux, axis=0), axis=0)
    assert np.median(scatter) < 0.02
    assert dataset["flux"].attrs["units"] == "MJy/sr"
