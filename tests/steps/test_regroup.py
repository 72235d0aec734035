"""RegroupStep: more, shorter integrations, at the right times."""

import logging

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist import times
from detectorist.errors import ParameterError
from detectorist.stage_1 import RegroupStep
from detectorist.stage_1.regroup import split_times

FRAME_S = 0.15904


def give_times(ramp, first=1, resets=1):
    n_ints, n_groups = ramp.data.shape[:2]
    table = np.zeros(n_ints, times.TABLE_DTYPE)
    table["integration_number"] = first + np.arange(n_ints)
    for scale, shift in (("MJD_UTC", 0.0), ("BJD_TDB", 0.003)):
        begin = 61222.0 + shift + np.arange(n_ints) * (n_groups + resets) * FRAME_S / 86400
        for name, place in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
            table[f"int_{name}_{scale}"] = begin + place * n_groups * FRAME_S / 86400
    ramp.int_times = table
    ramp.meta.exposure.integration_start = first
    ramp.meta.exposure.integration_end = first + n_ints - 1
    ramp.meta.exposure.nresets_between_ints = resets


@pytest.mark.parametrize("n", [np.int64(5), np.uint8(5)])
def test_numbers_of_numpy_are_numbers(make_lrs_ramp, n):
    ramp = make_lrs_ramp(n_ints=1, n_groups=10)
    assert RegroupStep(n_groups=n).n_groups == 5
    assert RegroupStep.call(ramp, n_groups=n).data.shape[:2] == (2, 5)


@pytest.mark.parametrize(
    ("n_groups", "n", "parts", "left"), [(20, 10, 2, 0), (20, 6, 3, 2), (20, 20, 1, 0), (5, 1, 5, 0)]
)
@pytest.mark.parametrize("shape", [(416, 72), (64, 40)])
def test_groups_times_and_counts(make_lrs_ramp, n_groups, n, parts, left, shape, caplog):
    ramp = make_lrs_ramp(n_ints=3, n_groups=n_groups, ny=shape[0], nx=shape[1])
    give_times(ramp, first=4)
    ramp.meta.exposure.nints = 12
    ramp.meta.exposure.exposure_time = 12 * n_groups * FRAME_S
    ramp.groupdq[1, n - 1, 5, 5] = 4
    ramp.zeroframe = np.ones((3, *shape), np.float32)
    with caplog.at_level(logging.WARNING):
        got = RegroupStep.call(ramp, n_groups=n)
    assert got.data.shape == (3 * parts, n, *shape)
    for k in range(3 * parts):
        i, part = divmod(k, parts)
        assert_array_equal(got.data[k], ramp.data[i, part * n : (part + 1) * n])
    assert got.groupdq[parts, n - 1, 5, 5] == 4
    assert (got.groupdq == 4).sum() == 1
    assert_array_equal(got.zeroframe[:, 0, 0], np.tile([1] + [0] * (parts - 1), 3))
    exposure = got.meta.exposure
    assert (exposure.ngroups, exposure.nints) == (n, 12 * parts)
    assert (exposure.integration_start, exposure.integration_end) == (3 * parts + 1, 6 * parts)
    assert_allclose(exposure.integration_time, n * FRAME_S)
    assert_allclose(exposure.exposure_time, 12 * parts * n * FRAME_S)
    assert_array_equal(got.int_times["integration_number"], 3 * parts + 1 + np.arange(3 * parts))
    # Each part lasts its own groups, and the parts of an integration follow each other.
    lasts = (got.int_times["int_end_MJD_UTC"] - got.int_times["int_start_MJD_UTC"]) * 86400
    assert_allclose(lasts, n * FRAME_S, atol=2e-6)
    begin = np.array([61222.0 + (i * (n_groups + 1) + p * n) * FRAME_S / 86400 for i in range(3) for p in range(parts)])
    assert_allclose((got.int_times["int_start_MJD_UTC"] - begin) * 86400, 0, atol=2e-6)
    for scale in ("MJD_UTC", "BJD_TDB"):
        middle = (got.int_times[f"int_start_{scale}"] + got.int_times[f"int_end_{scale}"]) / 2
        assert_allclose((got.int_times[f"int_mid_{scale}"] - middle) * 86400, 0, atol=2e-6)
    warned = f"the last {left} groups of each integration are dropped"
    assert (warned in caplog.text) == (left > 0)


@pytest.mark.parametrize("n", [0, -1, 21])
def test_impossible_numbers_are_refused(make_lrs_ramp, n):
    message = rf"uncal.fits: n_groups is {n}, but the integrations have 20 groups \(1 to 20 are possible\)"
    with pytest.raises(ParameterError, match=message):
        RegroupStep.call(make_lrs_ramp(n_ints=1, n_groups=20), n_groups=n)


def test_result_goes_through_stock_steps(make_lrs_ramp, lrs_references, tmp_path):
    from jwst.jump import JumpStep
    from jwst.ramp_fitting import RampFitStep

    ramp = make_lrs_ramp(n_ints=2, n_groups=16)
    give_times(ramp)
    path = tmp_path / "jw1_mirimage_ramp.fits"
    RegroupStep.call(ramp, n_groups=8).save(str(path))
    _, rates = RampFitStep.call(JumpStep.call(str(path)))
    assert rates.data.shape == (4, 416, 72)
    assert len(rates.int_times) == 4
    # 300 DN per group on the trace.
    assert_allclose(np.nanmedian(rates.data[:, 100:300, 36], axis=1), 300 / FRAME_S, rtol=0.02)
    assert_allclose(times.integration_times(rates).spacing_s, 8 * FRAME_S, rtol=0.05)


def test_table_of_groups_follows(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=2, n_groups=7, ny=16, nx=16)
    give_times(ramp, first=3)
    rows = np.zeros(14, ramp.get_dtype("group"))
    rows["integration_number"] = np.repeat([3, 4], 7)
    rows["group_number"] = np.tile(np.arange(1, 8), 2)
    rows["number_of_gaps"] = np.arange(14)
    ramp.group = rows
    got = RegroupStep.call(ramp, n_groups=3).group
    assert_array_equal(got["integration_number"], np.repeat([5, 6, 7, 8], 3))
    assert_array_equal(got["group_number"], np.tile([1, 2, 3], 4))
    assert_array_equal(got["number_of_gaps"], [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])


def test_times_of_parts_by_hand():
    """8 s from 100 s, 9 of 10 groups used: three parts of 2.4 s, numbered on from those of integrations before."""
    table = np.zeros(2, times.TABLE_DTYPE)
    table["integration_number"] = [5, 6]
    for scale, shift in (("MJD_UTC", 0.0), ("BJD_TDB", 50.0)):
        table[f"int_start_{scale}"] = np.array([100.0, 200.0]) + shift
        table[f"int_end_{scale}"] = np.array([108.0, 208.0]) + shift
    split = split_times(table, 3, 0.3)
    assert list(split["integration_number"]) == [13, 14, 15, 16, 17, 18]
    assert_allclose(split["int_start_MJD_UTC"], [100.0, 102.4, 104.8, 200.0, 202.4, 204.8])
    assert_allclose(split["int_mid_MJD_UTC"], [101.2, 103.6, 106.0, 201.2, 203.6, 206.0])
    assert_allclose(split["int_end_BJD_TDB"], [152.4, 154.8, 157.2, 252.4, 254.8, 257.2])
    assert list(table["integration_number"]) == [5, 6]


def test_counts_of_a_header_that_lacks_most(make_lrs_ramp):
    """Without a first integration there is one; times that are not there are not made up."""
    ramp = make_lrs_ramp(n_ints=2, n_groups=6, ny=8, nx=8)
    exposure = ramp.meta.exposure
    exposure.nints = exposure.integration_start = exposure.integration_end = exposure.integration_time = None
    exposure.effective_exposure_time, exposure.measurement_time = 12.0, 10.0
    got = RegroupStep.call(ramp, n_groups=2).meta.exposure
    assert (got.nints, got.ngroups, got.integration_start, got.integration_end) == (6, 2, 1, 6)
    assert (got.integration_time, got.exposure_time) == (None, None)
    assert_allclose([got.effective_exposure_time, got.measurement_time], [12.0, 10.0])
