"""SetCustomGain: a full-frame reference that stock steps cut any subarray out of."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.errors import ParameterError
from detectorist.reference import SetCustomGain
from detectorist.stage_1 import DropGroupsStep


def test_default_is_that_of_bell_et_al(make_lrs_ramp):
    gain = SetCustomGain.call(make_lrs_ramp(n_ints=1, n_groups=3))
    assert isinstance(gain, datamodels.GainModel)
    assert gain.data.shape == (1024, 1032)
    assert_array_equal(gain.data, np.float32(3.1))


@pytest.mark.parametrize("value", [0, -3.1, float("nan"), float("inf")])
def test_impossible_gains_are_refused(make_lrs_ramp, value):
    with pytest.raises(ParameterError, match=r"gain_value is .*: a positive number of electrons per DN is needed"):
        SetCustomGain.call(make_lrs_ramp(n_ints=1, n_groups=3), gain_value=value)


def test_the_input_stays_and_is_not_copied(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=1, n_groups=3)
    data = ramp.data
    SetCustomGain.call(ramp, gain_value=4)
    assert ramp.data is data
    assert not ramp.meta.hasattr("detectorist")


def test_it_validates_saves_and_reopens(make_lrs_ramp, tmp_path):
    gain = SetCustomGain.call(make_lrs_ramp(n_ints=1, n_groups=3), gain_value=4.2)
    gain.validate()
    path = tmp_path / "gain.fits"
    gain.save(str(path))
    with datamodels.open(str(path)) as again:
        again.validate()
        assert isinstance(again, datamodels.GainModel)
        assert_array_equal(again.data, np.float32(4.2))
        frame = again.meta.subarray
        assert (frame.xstart, frame.ystart, frame.xsize, frame.ysize) == (1, 1, 1032, 1024)


@pytest.mark.parametrize(
    ("place", "handed_over"),
    [
        ("slitless", "model"),
        ("elsewhere", "file"),
        pytest.param("slitless", "file", marks=pytest.mark.long),
        pytest.param("elsewhere", "model", marks=pytest.mark.long),
    ],
)
def test_as_override_in_stock_steps(make_lrs_ramp, lrs_references, tmp_path, handed_over, place):
    """Jump, ramp fit and gain scale take it; the Poisson variance follows the gain."""
    from jwst.gain_scale import GainScaleStep
    from jwst.jump import JumpStep
    from jwst.ramp_fitting import RampFitStep

    ramp = make_lrs_ramp(n_ints=1, n_groups=8, ny=40, nx=72)
    ramp.meta.subarray.name = "SLITLESSPRISM"
    if place == "elsewhere":
        ramp.meta.subarray.xstart, ramp.meta.subarray.ystart = 301, 101
    noise = datamodels.ReadnoiseModel(data=np.full((40, 72), 8.0, np.float32))
    noise.meta.subarray = ramp.meta.subarray.instance
    noise.meta.instrument.name = "MIRI"
    noise_path = tmp_path / "noise.fits"
    noise.save(str(noise_path))
    variances = []
    for value in (2.0, 4.0):
        gain = SetCustomGain.call(ramp, gain_value=value)
        if handed_over == "file":
            gain.save(str(tmp_path / f"gain{value}.fits"))
            gain = str(tmp_path / f"gain{value}.fits")
        jumped = JumpStep.call(ramp, override_gain=gain, override_readnoise=str(noise_path), expand_large_events=False)
        _, rates = RampFitStep.call(jumped, override_gain=gain, override_readnoise=str(noise_path))
        scaled = GainScaleStep.call(rates, override_gain=gain)
        assert scaled.meta.cal_step.ramp_fit == "COMPLETE"
        variances.append(np.nanmedian(rates.var_poisson[0, :, 34:39]))
    assert_allclose(variances[0] / variances[1], 2.0, rtol=0.02)


def test_the_same_gain_serves_after_dropping_groups(make_lrs_ramp, lrs_references):
    """One model for several steps, as the scripts use it: none of them changes it."""
    from jwst.jump import JumpStep
    from jwst.ramp_fitting import RampFitStep

    ramp = make_lrs_ramp(n_ints=1, n_groups=8)
    gain = SetCustomGain.call(ramp)
    before = gain.data.copy()
    ramp = DropGroupsStep.call(ramp, drop_groups=[0, -1])
    _, rates = RampFitStep.call(JumpStep.call(ramp, override_gain=gain), override_gain=gain)
    assert_array_equal(gain.data, before)
    assert np.isfinite(rates.data).mean() > 0.9
