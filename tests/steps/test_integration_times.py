"""Times of integrations: from the table, by number, or from the header with a warning."""

import logging

import numpy as np
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose, assert_array_equal

from detectorist import times
from detectorist.errors import InputError
from detectorist.reference import GetIntegrationTimes

FRAME_S = 0.15904


def table_of(numbers, cycle_s=2.0, bjd=True):
    """Return INT_TIMES rows for integrations with these numbers, `cycle_s` apart."""
    table = np.zeros(len(numbers), times.TABLE_DTYPE)
    table["integration_number"] = numbers
    for scale, shift in (("MJD_UTC", 0.0), ("BJD_TDB", 0.004)):
        if scale == "BJD_TDB" and not bjd:
            continue
        for name, place in (("start", 0.0), ("mid", 0.45), ("end", 0.9)):
            table[f"int_{name}_{scale}"] = 61222.0 + shift + (np.asarray(numbers) + place) * cycle_s / 86400
    return table


def test_table_and_median_spacing(make_lrs_ramp, caplog):
    ramp = make_lrs_ramp(n_ints=5, n_groups=8)
    ramp.int_times = table_of([1, 2, 3, 4, 5])
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        table, duration = GetIntegrationTimes.call(ramp)
    assert isinstance(duration, float)
    assert_allclose(duration, 2.0, atol=1e-5)
    assert_array_equal(table["int_mid_BJD_TDB"], table_of([1, 2, 3, 4, 5])["int_mid_BJD_TDB"])
    assert not caplog.records


def test_one_gap_does_not_change_the_duration(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=5, n_groups=8)
    table = table_of([1, 2, 3, 40, 41])
    table["integration_number"] = [1, 2, 3, 4, 5]
    ramp.int_times = table
    assert_allclose(GetIntegrationTimes.call(ramp)[1], 2.0, atol=1e-5)


@pytest.mark.parametrize("numbers", [range(1, 21), range(6, 11)])
def test_rows_of_the_segment_are_picked_by_number(make_lrs_rateints, numbers):
    """INT_TIMES may list the whole exposure."""
    rates = make_lrs_rateints(n_ints=5)
    rates.meta.exposure.integration_start, rates.meta.exposure.integration_end = 6, 10
    rates.int_times = table_of(list(numbers))
    got = times.integration_times(rates)
    assert not got.reconstructed
    assert_array_equal(got.mjd_utc, table_of([6, 7, 8, 9, 10])["int_mid_MJD_UTC"])
    assert_array_equal(got.table["integration_number"], [6, 7, 8, 9, 10])


@pytest.mark.parametrize("row", [0, 4, 7])
@pytest.mark.parametrize("wrong", [0.0, np.nan, -3.0, 59000.0, 1e9])
def test_one_wrong_value_costs_its_own_time(make_lrs_rateints, row, wrong, caplog):
    if (row, wrong) in ((7, 1e9), (0, 59000.0)):
        pytest.skip("there may be a gap before the last integration, or behind the first")
    rates = make_lrs_rateints(n_ints=8)
    rates.int_times = good = table_of(range(1, 9))
    spoilt = good.copy()
    spoilt["int_mid_BJD_TDB"][row] = spoilt["int_mid_MJD_UTC"][row] = wrong
    rates.int_times = spoilt
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        got = times.integration_times(rates)
    assert not got.reconstructed
    for found, name in ((got.mjd_utc, "int_mid_MJD_UTC"), (got.bjd_tdb, "int_mid_BJD_TDB")):
        assert np.flatnonzero(np.isnan(found)).tolist() == [row]
        assert_array_equal(np.delete(found, row), np.delete(good[name], row))
    assert f"no valid time for 1 of 8 integrations (number {row + 1})" in caplog.text


@pytest.mark.parametrize("late", [1, 2, 6])
def test_times_behind_a_gap_are_kept(make_lrs_rateints, late):
    rates = make_lrs_rateints(n_ints=20)
    table = table_of([*range(1, 21 - late), *range(101 - late, 101)])
    table["integration_number"] = range(1, 21)
    rates.int_times = table
    assert_array_equal(times.integration_times(rates).mjd_utc, table["int_mid_MJD_UTC"])


def test_rows_that_count_from_one_in_every_file(make_lrs_rateints):
    rates = make_lrs_rateints(n_ints=3)
    rates.meta.exposure.integration_start = 21
    rates.int_times = table_of([1, 2, 3])
    got = times.integration_times(rates)
    assert not got.reconstructed
    assert_array_equal(got.table["integration_number"], [21, 22, 23])


def test_missing_barycentric_times_are_nan(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=3, n_groups=8)
    ramp.int_times = table_of([1, 2, 3], bjd=False)
    got = times.integration_times(ramp)
    assert np.isnan(got.bjd_tdb).all()
    assert_allclose(got.spacing_s, 2.0, atol=1e-5)
    assert not got.reconstructed


def unordered():
    table = table_of([1, 2, 3, 4])
    table["int_mid_MJD_UTC"][2] = table["int_mid_MJD_UTC"][0]
    return table


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "INT_TIMES is missing or empty"),
        (np.zeros(0, times.TABLE_DTYPE), "INT_TIMES is missing or empty"),
        (table_of([1, 2]), "INT_TIMES has 2 rows for 4 integrations"),
        (np.zeros(4, times.TABLE_DTYPE), "missing or do not increase"),
        (unordered(), "missing or do not increase"),
    ],
)
def test_header_where_the_table_cannot_be_used(make_lrs_ramp, table, reason, caplog):
    ramp = make_lrs_ramp(n_ints=4, n_groups=8)
    exposure = ramp.meta.exposure
    exposure.integration_start, exposure.integration_end = 11, 14
    exposure.nresets_between_ints = 1
    exposure.start_time_tdb = exposure.start_time + 0.004
    if table is not None:
        ramp.int_times = table
    with caplog.at_level(logging.WARNING):
        got, duration = GetIntegrationTimes.call(ramp)
    assert reason in caplog.text
    assert "times are taken from the header" in caplog.text
    assert_allclose(duration, 9 * FRAME_S, rtol=1e-6)
    # Integration 11 begins ten cycles after the exposure; its middle is that of its eight groups.
    assert_allclose((got["int_mid_MJD_UTC"] - 61222.0) * 86400, (np.arange(10, 14) * 9 + 4) * FRAME_S, atol=1e-5)
    assert_allclose((got["int_mid_BJD_TDB"] - got["int_mid_MJD_UTC"]), 0.004, atol=1e-9)
    assert_allclose((got["int_end_MJD_UTC"] - got["int_start_MJD_UTC"]) * 86400, 8 * FRAME_S, atol=1e-5)


@pytest.mark.parametrize(("resets", "frames"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_the_exposure_starts_with_its_resets(make_lrs_ramp, resets, frames):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    exposure = ramp.meta.exposure
    exposure.nresets_between_ints, exposure.nresets_at_start = 1, resets
    found = times.integration_times(ramp).table
    assert_allclose(
        (found["int_start_MJD_UTC"] - exposure.start_time) / (FRAME_S / 86400), [frames, frames + 9], atol=1e-4
    )


def test_frames_are_skipped_between_groups_only(make_lrs_ramp):
    """As in the keyword dictionary: NGROUPS * NFRAMES + (NGROUPS - 1) * GROUPGAP frames, and the reset."""
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    exposure = ramp.meta.exposure
    exposure.nframes, exposure.groupgap, exposure.nresets_between_ints = 2, 3, 1
    exposure.group_time = 5 * FRAME_S
    assert_allclose(times.header_cycle_s(ramp), (8 * 2 + 7 * 3 + 1) * FRAME_S, rtol=1e-6)


def test_one_integration_lasts_what_the_header_says(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=1, n_groups=8)
    ramp.int_times = table_of([1])
    table, duration = GetIntegrationTimes.call(ramp)
    assert len(table) == 1
    assert_allclose(duration, 8 * FRAME_S)


def test_duration_from_what_the_header_has(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    exposure = ramp.meta.exposure
    exposure.group_time = exposure.frame_time = None
    assert_allclose(times.header_cycle_s(ramp), exposure.integration_time)
    exposure.integration_time = None
    assert_allclose(times.header_cycle_s(ramp), 0.1 * 86400 / 2, rtol=1e-6)
    exposure.end_time = None
    with pytest.raises(InputError, match=r"uncal.fits: the header has no TGROUP and NGROUPS, no EFFINTTM"):
        times.header_cycle_s(ramp)


def test_no_times_at_all_is_an_error(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=2, n_groups=8)
    ramp.meta.exposure.start_time = None
    with pytest.raises(InputError, match=r"uncal.fits: no usable INT_TIMES and no EXPSTART"):
        GetIntegrationTimes.call(ramp)


def test_save_results_writes_the_table(make_lrs_ramp, tmp_path):
    ramp = make_lrs_ramp(n_ints=3, n_groups=8)
    ramp.int_times = table_of([1, 2, 3])
    GetIntegrationTimes.call(ramp, save_results=True, output_dir=str(tmp_path))
    (path,) = tmp_path.glob("*_get_integration_times.fits")
    assert_array_equal(Table.read(path)["int_mid_MJD_UTC"], table_of([1, 2, 3])["int_mid_MJD_UTC"])


def test_simulated_times_are_read_to_the_millisecond(tmp_path):
    """Segments of a simulated exposure join without a gap, from the table and from the header."""
    from stdatamodels.jwst import datamodels

    from detectorist.simulate.lrs.scene import LrsScene

    files = LrsScene().write(tmp_path / "sim", ints=6, groups=4, segments=2, seed=1)
    mids, spacings = [], []
    for file in files:
        with datamodels.RampModel(str(file)) as ramp:
            found = times.integration_times(ramp)
            assert not found.reconstructed
            mids.extend(found.mjd_utc)
            spacings.append(found.spacing_s)
            ramp.int_times = None
            again = times.integration_times(ramp)
            assert again.reconstructed
            assert_allclose((again.mjd_utc - found.mjd_utc) * 86400, 0, atol=1e-3)
            assert_allclose(again.spacing_s, found.spacing_s, rtol=1e-3)
    assert_allclose(np.diff(mids) * 86400, spacings[0], atol=1e-3)


@pytest.mark.parametrize("column", ["int_mid_BJD_TDB", "int_mid_MJD_UTC"])
@pytest.mark.parametrize("wrong", [0.0, np.nan, -1.0])
def test_one_bad_row_costs_that_row(make_lrs_ramp, caplog, column, wrong):
    ramp = make_lrs_ramp(n_ints=5, n_groups=8)
    table = table_of([1, 2, 3, 4, 5])
    table[column][2] = wrong
    ramp.int_times = table
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        got, duration = GetIntegrationTimes.call(ramp)
    assert_allclose(duration, 2.0, atol=1e-5)
    assert np.isnan(got[column][2])
    good = [0, 1, 3, 4]
    for name in ("int_mid_BJD_TDB", "int_mid_MJD_UTC"):
        assert_array_equal(got[name][good], table_of([1, 2, 3, 4, 5])[name][good])
    assert [r.getMessage() for r in caplog.records] == [
        f"{ramp.meta.filename}: INT_TIMES has no valid time for 1 of 5 integrations (number 3): these times are NaN"
    ]
