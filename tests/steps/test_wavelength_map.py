"""GetWavelengthMap: the wavelength of every pixel, from the WCS that the stock steps assign."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.errors import InputError, ParameterError
from detectorist.reference import GetWavelengthMap


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Raw files and references of a small simulated exposure."""
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("wavelengths")
    LrsScene().write(folder, ints=2, groups=3, segments=1, seed=1)
    return folder


@pytest.fixture
def rates(files, make_lrs_rateints, lrs_references):
    """Rates with the header of a simulated file."""
    from stdatamodels.jwst import datamodels

    model = make_lrs_rateints(n_ints=2)
    with datamodels.RampModel(str(next(files.glob("*_uncal.fits")))) as raw:
        model.update(raw)
    return model


@pytest.fixture
def with_wcs(rates):
    from jwst.assign_wcs import AssignWcsStep
    from jwst.srctype import SourceTypeStep

    return SourceTypeStep.call(AssignWcsStep.call(rates))


def test_flight_wavelengths(with_wcs):
    """Known wavelengths (micron) at column 36 of flight data, by row, to a tenth of a pixel's width or so."""
    step = GetWavelengthMap()
    got = step.run(with_wcs)
    assert got.shape == (416, 72)
    for row, um in [
        (50, 13.445),
        (100, 12.690),
        (150, 11.855),
        (200, 10.918),
        (250, 9.847),
        (300, 8.568),
        (350, 6.939),
    ]:
        assert_allclose(got[row, 36], um, atol=0.02)
    column = got[20:380, 36]
    assert (np.diff(column) < 0).all()
    assert_allclose(step.record["longest_um"], np.nanmax(got))
    assert step.record["outside"] == np.isnan(got).sum()


def test_it_is_what_the_wcs_gives(with_wcs):
    got = GetWavelengthMap.call(with_wcs)
    for row, column in [(100, 36), (300, 20), (250, 50)]:
        assert_allclose(got[row, column], with_wcs.meta.wcs(column, row)[2], equal_nan=True)


def test_columns_are_trimmed(with_wcs):
    whole = GetWavelengthMap.call(with_wcs)
    got = GetWavelengthMap.call(with_wcs, trim_col_start=20, trim_col_end=50)
    assert_array_equal(got, whole[:, 20:50])


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [(50, 20, "trim_col_start is 50 and trim_col_end is 20"), (-1, 5, "trim_col_start is -1"), (80, 90, "72 columns")],
)
def test_impossible_columns_are_refused(with_wcs, start, end, message):
    with pytest.raises(ParameterError, match=message):
        GetWavelengthMap.call(with_wcs, trim_col_start=start, trim_col_end=end)


def test_save(with_wcs, tmp_path):
    expected = GetWavelengthMap.call(with_wcs, save=True, save_path=str(tmp_path / "map.fits"))
    GetWavelengthMap.call(with_wcs, save=True, save_path=str(tmp_path))
    GetWavelengthMap.call(with_wcs, save_results=True, output_dir=str(tmp_path / "out"))
    (in_folder,) = tmp_path.glob("jw*_wavelengthmap.fits")
    (as_result,) = (tmp_path / "out").glob("jw*_wavelengthmap.fits")
    for path in (tmp_path / "map.fits", in_folder, as_result):
        assert_array_equal(fits.getdata(path), expected)
        assert fits.getheader(path)["BUNIT"] == "um"


def test_steps_that_are_missing_are_named(rates, lrs_references):
    from jwst.assign_wcs import AssignWcsStep

    with pytest.raises(InputError, match=r"assign_wcs has not been run .*AssignWcsStep and SourceTypeStep first"):
        GetWavelengthMap.call(rates)
    with pytest.raises(InputError, match=r"srctype has not been run .*SourceTypeStep first"):
        GetWavelengthMap.call(AssignWcsStep.call(rates))


def test_wcs_survives_a_file(with_wcs, tmp_path):
    expected = GetWavelengthMap.call(with_wcs)
    path = tmp_path / "jw1_rateints.fits"
    with_wcs.save(str(path))
    assert_array_equal(GetWavelengthMap.call(str(path)), expected)
