"""A wavelength map from a file: in micron, of the right shape, or refused with what was found."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel

from detectorist.errors import InputError, NoSuchFile
from detectorist.modes.lrs.wavelengths import place_of, read_wavelength_map

SHAPE = (12, 5)


@pytest.fixture
def write(tmp_path):
    def make(data, name="WAVELENGTH"):
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name=name)]).writeto(tmp_path / "w.fits", overwrite=True)
        return tmp_path / "w.fits"

    return make


def test_values_come_back_in_double_precision_and_gaps_stay(write):
    data = np.linspace(5, 12, 60).reshape(SHAPE).astype(np.float32)
    data[0] = np.nan
    found = read_wavelength_map(write(data), SHAPE)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, data.astype(float))


@pytest.mark.parametrize("shape", [(5, 12), (12, 6), (1, 12, 5)])
def test_another_shape_is_refused(write, shape):
    with pytest.raises(InputError, match=r"WAVELENGTH has shape .*; \(12, 5\) is needed"):
        read_wavelength_map(write(np.ones(shape)), SHAPE)


def test_a_file_without_wavelengths_is_refused(write):
    with pytest.raises(InputError, match="extensions are PRIMARY, LAMBDA; WAVELENGTH with data is needed"):
        read_wavelength_map(write(np.ones(SHAPE), name="LAMBDA"), SHAPE)
    with pytest.raises(InputError, match="WAVELENGTH has no finite value"):
        read_wavelength_map(write(np.full(SHAPE, np.nan)), SHAPE)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(NoSuchFile):
        read_wavelength_map(tmp_path / "none.fits", SHAPE)
    (tmp_path / "w.fits").write_text("words")
    with pytest.raises(InputError, match=r"w\.fits: not readable as a wavelength map"):
        read_wavelength_map(tmp_path / "w.fits", SHAPE)


@pytest.fixture
def rates():
    model = CubeModel(np.zeros((3, *SHAPE), np.float32))
    model.meta.wcsinfo.ra_ref, model.meta.subarray.xstart = 10.0, 1
    return model


def test_blocks_of_an_exposure_lie_at_one_place(rates):
    first, other = place_of(rates), rates.copy()
    other.meta.exposure.integration_start = 4
    other.data = np.ones((5, *SHAPE), np.float32)
    assert place_of(other) == first
    rates.meta.wcsinfo.s_region = "POLYGON ICRS"  # what assign_wcs adds is no part of it
    assert place_of(other) == first


@pytest.mark.parametrize("change", ["wcsinfo.ra_ref", "subarray.xstart"])
def test_another_pointing_or_subarray_is_another_place(rates, change):
    first = place_of(rates)
    rates[f"meta.{change}"] = 2
    assert place_of(rates) != first


def test_rates_with_a_wcs_of_their_own_have_none(rates):
    rates.meta.cal_step.assign_wcs = "COMPLETE"
    assert place_of(rates) is None
