"""Tables of contrast and companions against values worked out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.modes.coron.subtraction.tables import TOGETHER, companion_table, contrast_table


def test_a_row_of_contrast_for_each_exposure_and_distance(make_exposure, make_target):
    table = contrast_table(make_target(make_exposure("a"), make_exposure("b", noise=2.0), star_flux=1000.0))
    assert list(table["exposure"]) == ["a"] * 3 + ["b"] * 3 + [TOGETHER] * 3
    assert_allclose(table["separation"], np.tile([4 * 0.063, 8 * 0.063, 12 * 0.063], 3))
    assert_allclose(table["limit"], [3.0] * 3 + [12.0] * 3 + [1.5] * 3)
    assert_allclose(table["contrast"], table["limit"] / 1000)
    assert_allclose(table["limit_flux"], table["limit"] * 1e-7)
    # Between its places, 0.6 at 4 pixels and 1.0 at 12, the throughput runs on a straight line.
    assert_allclose(table["throughput"], [0.6, 0.8, 1.0] * 3)
    assert [str(table[name].unit) for name in ("separation", "limit_flux")] == ["arcsec", "Jy"]


def test_without_the_star_s_flux_there_is_no_contrast(make_exposure, make_target):
    assert np.isnan(contrast_table(make_target(make_exposure()))["contrast"]).all()


def test_the_mean_of_two_exposures_by_hand(make_exposure, make_target):
    """Errors of 1 and 2 weigh 0.8 and 0.2; angles of 359 and 4 degrees have their mean at 0."""
    first = make_exposure("a", companions=[(0.5, 359.0, 10.0, 1.0)])
    second = make_exposure("b", angle=30.0, companions=[(0.6, 4.0, 20.0, 2.0)], noise=2.0)
    table = companion_table(make_target(first, second, star_flux=400.0))
    assert list(table["exposure"]) == ["a", "b", TOGETHER]
    assert_allclose(table["separation"], [0.5, 0.6, 0.52])
    assert_allclose(table["position_angle"] % 360, [359.0, 4.0, 0.0], atol=1e-9)
    assert_allclose(table["flux"], [10.0, 20.0, 12.0])
    error = np.sqrt(0.64 * 1 + 0.04 * 4)
    assert_allclose(table["flux_error"], [1.0, 2.0, error])
    assert_allclose(table["snr"], [10.0, 10.0, 12.0 / error])
    assert_allclose(table["contrast"], [0.025, 0.05, 0.03])
    assert_allclose(table["flux_jy"], [1e-6, 2e-6, 1.2e-6])
    assert_allclose(table["throughput"], [0.8, 0.9, 0.82])
    # 0.2 pixel, the mean of 0.1 and 0.3 along columns and rows, on both.
    assert_allclose(table["separation_error"][:2], 0.2 * 0.063)
    assert_allclose(table["position_angle_error"][:2], np.degrees(0.2 * 0.063 / np.array([0.5, 0.6])))
    assert_allclose(table["separation_error"][2], 0.2 * 0.063 * np.sqrt(0.64 + 0.04))
    assert np.isnan([table["x"][2], table["y"][2]]).all()


def test_places_are_those_of_the_image(make_exposure, make_target):
    exposure = make_exposure(angle=90.0, companions=[(5 * 0.063, 90.0, 1.0, 0.1)])
    table = companion_table(make_target(exposure))
    assert_allclose([table["x"][0], table["y"][0]], [15, 20])


def test_an_exposure_that_does_not_cover_a_companion_has_no_row(make_exposure, make_target):
    first = make_exposure("a", companions=[(0.5, 10.0, 10.0, 1.0), None])
    second = make_exposure("b", companions=[None, None])
    table = companion_table(make_target(first, second))
    assert [(row["companion"], row["exposure"]) for row in table] == [(1, "a"), (1, TOGETHER)]
    assert table["flux_error"][1] == table["flux_error"][0]


def test_without_companions_the_table_has_columns_and_units(make_exposure, make_target):
    table = companion_table(make_target(make_exposure()))
    assert len(table) == 0
    assert table.colnames[:3] == ["companion", "exposure", "separation"]
    assert str(table["position_angle"].unit) == "deg"


def test_tables_name_images_and_settings(make_exposure, make_target):
    target = make_target(make_exposure("a"), companions=((1.0, 40.0),), most_modes=3)
    for table in (contrast_table(target), companion_table(target)):
        assert table.meta["exposures"] == ["a_cal.fits"]
        assert table.meta["references"] == ["r1_cal.fits"]
        assert table.meta["unit"] == "MJy/sr"
        assert table.meta["fwhm_arcsec"] == pytest.approx(0.126)
        assert table.meta["settings"]["companions"] == [[1.0, 40.0]]
        assert table.meta["settings"]["most_modes"] == 3
