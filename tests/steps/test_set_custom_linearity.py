"""SetCustomLinearity: simulated long ramps come out straight through the stock linearity step."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.algorithms.ramps.linearity import correct_linearity
from detectorist.errors import ParameterError
from detectorist.reference import SetCustomLinearity

FIT = {"row_idx_start_used": 300, "row_idx_end_used": 386}
#: Groups that the recipe for long ramps uses.
USED = np.arange(10, 99)


@pytest.fixture(scope="module")
def long_ramps(tmp_path_factory):
    """The file of a simulated segment of long ramps."""
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("long")
    return LrsScene.for_long_ramps(100).write(folder, ints=4, groups=100, segments=1, seed=7)[0]


def departure_pct(ramps):
    """Return departures of ramps (n_groups, n_pixels) from straight lines over the used groups, % of their rise."""
    line = np.polynomial.polynomial.polyfit(USED, ramps[USED], 1)
    left = ramps[USED] - np.polynomial.polynomial.polyval(USED, line).T
    return 100 * left / (ramps[USED[-1]] - ramps[USED[0]])


def test_stock_linearity_straightens_the_ramps(long_ramps, lrs_references, tmp_path):
    """At most 0.1 % of the signal is left, of ramps as bright as those of the trace, without their noise."""
    from jwst.linearity import LinearityStep

    from detectorist.simulate.lrs.scene import LrsScene

    reference = SetCustomLinearity.call(str(long_ramps), **FIT)
    path = tmp_path / "linearity.fits"
    reference.save(str(path))
    scene = LrsScene.for_long_ramps(100)
    with datamodels.RampModel(str(long_ramps)) as ramp:
        data = ramp.data[:1].copy()
        truth = {}
        for column in range(34, 39):
            # As bright as rows 300 to 385 of this column, measured without noise by the detector of the scene.
            slopes = (data[0, 98] - data[0, 10])[300:386, column] / 88
            slopes = np.clip(slopes, *np.quantile(slopes, [0.05, 0.98])) * 1.03
            linear = slopes * np.arange(1, 101)[:, None]
            truth[column] = scene.detector.pedestal_dn + scene.nonlinearity.curve().measured(linear)
            data[0, :, 300:386, column] = truth[column]
        ramp.data = data
        ramp.groupdq = np.zeros(data.shape, np.uint8)
        corrected = LinearityStep.call(ramp, override_linearity=str(path))
        in_memory = LinearityStep.call(ramp, override_linearity=reference)
    assert_array_equal(in_memory.data, corrected.data)
    # Reference columns are left alone.
    assert_array_equal(corrected.data[..., :4], data[..., :4])
    assert max(departure_pct(measured).std(axis=0).max() for measured in truth.values()) > 0.3
    for column in truth:
        after = departure_pct(corrected.data[0, :, 300:386, column].astype(float))
        assert after.std(axis=0).max() < 0.1
        assert np.abs(after).max() < 0.2


def test_the_stock_step_computes_what_we_fitted(long_ramps, lrs_references):
    from jwst.dq_init import DQInitStep
    from jwst.linearity import LinearityStep

    step = SetCustomLinearity(**FIT)
    reference = step.run(str(long_ramps))
    ramp = DQInitStep.call(str(long_ramps))
    corrected = LinearityStep.call(ramp, override_linearity=reference)
    ours = correct_linearity(ramp.data[..., 4:], np.array(step.record["coefficients"]))
    fine = (ramp.pixeldq[:, 4:] & 1) == 0
    assert_allclose(corrected.data[..., 4:][..., fine], ours[..., fine], rtol=3e-6)


def test_model_validates_and_reopens(long_ramps, tmp_path):
    reference = SetCustomLinearity.call(str(long_ramps), **FIT)
    reference.validate()
    path = tmp_path / "linearity.fits"
    reference.save(str(path))
    with datamodels.open(str(path)) as again:
        assert isinstance(again, datamodels.LinearityModel)
        assert again.coeffs.shape == (5, 1024, 1032)
        assert again.meta.subarray.xsize == 1032
        assert_array_equal(again.dq, 0)
        assert_array_equal(again.coeffs[:, :, :4], 0)
        assert_array_equal(again.coeffs[0], 0)
        assert_array_equal(again.coeffs[1, :, 4:], 1)
        for output in range(4):
            own = again.coeffs[:, :, 4 + output :: 4]
            assert_array_equal(own, np.broadcast_to(own[:, :1, :1], own.shape))


def test_its_defaults_run_on_long_ramps(long_ramps):
    step = SetCustomLinearity()
    step.run(str(long_ramps))
    assert max(step.record["left_pct"]) < 0.1
    assert sum(step.record["ramps_used"]) > 600


def test_short_ramps_are_refused_with_the_numbers(make_lrs_ramp):
    with pytest.raises(ParameterError, match=r"uncal.fits: group_idx_start_fit = 10 and group_idx_end_fit = 40"):
        SetCustomLinearity.call(make_lrs_ramp(n_ints=1, n_groups=20))
    with pytest.raises(ParameterError, match=r"uncal.fits: rows 350 to 386 .* the 60 rows"):
        SetCustomLinearity.call(make_lrs_ramp(n_ints=1, n_groups=50, ny=60))


def test_figure_is_written(long_ramps, tmp_path):
    path = tmp_path / "linearity.png"
    SetCustomLinearity.call(str(long_ramps), draw_corrections=True, figure_path=str(path), **FIT)
    assert path.stat().st_size > 10_000
