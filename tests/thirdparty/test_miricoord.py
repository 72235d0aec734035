"""Real references and real files of others."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist import crds_source, times
from detectorist.reference import GetIntegrationTimes, GetWavelengthMap

pytestmark = pytest.mark.thirdparty


@pytest.fixture
def miricoord_references(thirdparty, tmp_path):
    """A cache with miricoord's wavelengths and distortion in place of simulated ones."""
    from detectorist.simulate.lrs.references import build_cache

    files = {
        "specwcs": thirdparty / "miricoord_jwst_miri_specwcs_0003.fits",
        "distortion": thirdparty / "miricoord_jwst_miri_imager_distortion_flt9.asdf",
    }
    crds_source.use_references(build_cache(tmp_path / "crds", n_groups=5, files=files))


def test_wavelength_map_from_ground_references(thirdparty, miricoord_references):
    """The references are from the ground: up to 0.45 um off the flight map, but a map all the same."""
    from jwst.assign_wcs import AssignWcsStep
    from jwst.srctype import SourceTypeStep
    from stdatamodels.jwst import datamodels

    with datamodels.CubeModel(str(thirdparty / "eureka_ngts10_lrs_rateints.fits")) as rates:
        rates.meta.target.source_type_apt = "POINT"
        got = GetWavelengthMap.call(SourceTypeStep.call(AssignWcsStep.call(rates)))
    with datamodels.open(str(thirdparty / "eureka_ngts10_lrs_calints.fits")) as flight:
        flight_map = np.asarray(flight.wavelength)
    assert got.shape == flight_map.shape
    rows = slice(60, 370)
    assert np.isfinite(got[rows, 30:43]).all()
    assert_allclose(got[rows, 30:43], flight_map[rows, 30:43], atol=0.5)
    assert (np.diff(got[rows, 36]) < 0).all()


def test_wavelength_map_of_a_file_that_brings_its_wcs(thirdparty):
    from stdatamodels.jwst import datamodels

    path = thirdparty / "eureka_ngts10_lrs_calints.fits"
    with datamodels.CubeModel(str(path)) as model:
        expected = np.asarray(model.wavelength)
        model.meta.cal_step.srctype = "COMPLETE"
        got = GetWavelengthMap.call(model)
    inside = np.isfinite(got) & (expected > 0)
    assert inside.mean() > 0.3
    assert_allclose(got[inside], expected[inside], atol=1e-3)


def test_times_of_a_file_with_an_empty_table(thirdparty, caplog):
    """INT_TIMES has no rows: times from the header, integrations 1847 to 1850 of 300 groups."""
    table, duration = GetIntegrationTimes.call(str(thirdparty / "eureka_ngts10_lrs_rateints.fits"))
    assert_allclose(duration, 300 * 0.15904, rtol=1e-6)
    assert list(table["integration_number"]) == [1847, 1848, 1849, 1850]
    assert_allclose(table["int_mid_MJD_UTC"], 58484.70833333334 + (1846.5 + np.arange(4)) * duration / 86400, atol=1e-9)
    assert np.isnan(table["int_mid_BJD_TDB"]).all()
    assert "INT_TIMES is missing or empty" in caplog.text


def test_times_of_a_file_with_too_few_rows(caplog):
    """The LRS file inside the jwst package: 3 rows for 10 integrations."""
    from pathlib import Path

    import jwst
    from stdatamodels.jwst import datamodels

    path = Path(jwst.__file__).parent / "stpipe" / "tests" / "data" / "miri_data.fits"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with datamodels.CubeModel(str(path)) as model:
        got = times.integration_times(model)
    assert got.reconstructed
    assert got.reason == "INT_TIMES has 3 rows for 10 integrations"
    assert len(got.mjd_utc) == 10
    assert (np.diff(got.mjd_utc) > 0).all()
