"""DropIntegrationsStep: what is left is a consistent exposure."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist import times
from detectorist.errors import ParameterError
from detectorist.stage_1 import DropIntegrationsStep

CYCLE_D = 8 * 0.15904 / 86400


def give_times(ramp, first=1, cycle_d=CYCLE_D, start=61222.0):
    """Write INT_TIMES of back-to-back integrations, numbered from `first`."""
    table = np.zeros(ramp.data.shape[0], times.TABLE_DTYPE)
    table["integration_number"] = first + np.arange(len(table))
    for scale, shift in (("MJD_UTC", 0.0), ("BJD_TDB", 0.003)):
        begin = start + shift + (table["integration_number"] - 1) * cycle_d
        for name, place in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
            table[f"int_{name}_{scale}"] = begin + place * cycle_d
    ramp.int_times = table
    ramp.meta.exposure.integration_start = first
    ramp.meta.exposure.integration_end = first + len(table) - 1


@pytest.fixture
def ramp(make_lrs_ramp):
    """Six integrations, 11 to 16 of an exposure of 20, with everything that counts integrations."""
    model = make_lrs_ramp(n_ints=6, n_groups=8, ny=64, nx=40)
    give_times(model, first=11)
    exposure = model.meta.exposure
    exposure.nints = 20
    exposure.exposure_time = exposure.effective_exposure_time = 20 * 8 * 0.15904
    model.zeroframe = np.arange(6, dtype=np.float32)[:, None, None] * np.ones((64, 40), np.float32)
    model.groupdq[3] = 4
    rows = np.zeros(6 * 8, model.get_dtype("group"))
    rows["integration_number"] = np.repeat(np.arange(11, 17), 8)
    rows["group_number"] = np.tile(np.arange(1, 9), 6)
    model.group = rows
    return model


@pytest.mark.parametrize(("drop", "kept"), [([0], [1, 2, 3, 4, 5]), ([1, -1, 5], [0, 2, 3, 4]), (2, [0, 1, 3, 4, 5])])
def test_arrays_times_and_counts_stay_consistent(ramp, drop, kept):
    step = DropIntegrationsStep(drop_integrations=drop)
    got = step.run(ramp)
    n = len(kept)
    assert_array_equal(got.data, ramp.data[kept])
    assert_array_equal(got.groupdq, ramp.groupdq[kept])
    assert_array_equal(got.zeroframe[:, 0, 0], kept)
    assert_array_equal(got.int_times["int_mid_BJD_TDB"], ramp.int_times["int_mid_BJD_TDB"][kept])
    assert_array_equal(got.int_times["integration_number"], 11 + np.arange(n))
    assert_array_equal(np.unique(got.group["integration_number"]), 11 + np.arange(n))
    exposure = got.meta.exposure
    assert (exposure.integration_start, exposure.integration_end) == (11, 10 + n)
    assert exposure.nints == 20 - (6 - n)
    assert_allclose(exposure.exposure_time, exposure.nints * 8 * 0.15904)
    assert_allclose(exposure.effective_exposure_time, exposure.nints * 8 * 0.15904)
    assert step.record["kept_numbers"] == [11 + k for k in kept]
    assert step.record["dropped_numbers"] == [11 + k for k in range(6) if k not in kept]


def test_the_rest_is_fitted_as_before(make_lrs_ramp, lrs_references, tmp_path):
    """Saved, reopened and run through stock steps, the integrations that stay give the slopes they gave."""
    from jwst.ramp_fitting import RampFitStep

    ramp = make_lrs_ramp(n_ints=4, n_groups=8)
    give_times(ramp)
    path = tmp_path / "jw1_mirimage_uncal.fits"
    DropIntegrationsStep.call(ramp, drop_integrations=[0, 2]).save(str(path))
    # Without jump detection, whose method depends on the number of integrations.
    _, whole = RampFitStep.call(ramp)
    _, part = RampFitStep.call(str(path))
    assert_array_equal(part.data, whole.data[[1, 3]])
    assert_array_equal(part.int_times["int_mid_MJD_UTC"], whole.int_times["int_mid_MJD_UTC"][[1, 3]])
    assert part.meta.exposure.nints == 2


def test_times_are_written_down_where_there_were_none(make_lrs_ramp, caplog):
    ramp = make_lrs_ramp(n_ints=4, n_groups=8)
    before = times.integration_times(ramp)
    assert before.reconstructed
    got = DropIntegrationsStep.call(ramp, drop_integrations=[0])
    after = times.integration_times(got)
    assert not after.reconstructed
    assert_array_equal(after.mjd_utc, before.mjd_utc[1:])
    assert "INT_TIMES is missing or empty; times are taken from the header" in caplog.text


@pytest.mark.parametrize("drop", [None, []])
def test_none_is_skipped(ramp, drop):
    got = DropIntegrationsStep.call(ramp, drop_integrations=drop)
    assert got.meta.cal_step.instance["drop_integrations"] == "SKIPPED"
    assert_array_equal(got.data, ramp.data)


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ([6], r"uncal.fits: drop_integrations contains 6, but there are 6 integrations \(-6 to 5 are possible\)"),
        (list(range(6)), "would drop all 6 integrations; at least one must stay"),
        ("all", "a list of integers is needed"),
    ],
)
def test_impossible_integrations_are_refused(ramp, drop, message):
    with pytest.raises(ParameterError, match=message):
        DropIntegrationsStep.call(ramp, drop_integrations=drop)


def test_dropping_one_after_the_other_is_dropping_both(ramp):
    both = DropIntegrationsStep.call(ramp, drop_integrations=[0, 1])
    one = DropIntegrationsStep.call(DropIntegrationsStep.call(ramp, drop_integrations=[0]), drop_integrations=[0])
    assert_array_equal(one.data, both.data)
    assert_array_equal(one.int_times["int_mid_MJD_UTC"], both.int_times["int_mid_MJD_UTC"])
    assert one.meta.exposure.nints == both.meta.exposure.nints
    assert isinstance(one, datamodels.RampModel)
