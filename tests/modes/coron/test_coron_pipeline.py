"""Coron1Pipeline: every step in its order, better rates with right errors, and a standard pipeline left alone."""

import copy

import numpy as np
import pytest
from jwst.pipeline import Detector1Pipeline
from jwst.stpipe import Step
from stdatamodels.jwst import datamodels

from detectorist import entry_points, models, pipelines
from detectorist.errors import InputError, ParameterError
from detectorist.modes.coron.pipeline import RAMP_STEPS, Coron1Pipeline
from detectorist.modes.coron.steps import CoronRampFitStep, CoronRefPixStep, CoronSaturationStep
from detectorist.modes.coron.steps.ramp_fit import reached_by

from .conftest import BAD_PIXELS, GAIN, GROUP_TIME, RC_PIXELS

DNU, SAT, JUMP = 1, 2, 4
SEED_ORDER = {
    "NIRCAM": "group_scale dq_init saturation ipc superbias refpix linearity dark_current charge_migration jump "
    "subtract_ktc ramp_fit apply_rateints_outliers subtract_1overf gain_scale",
    "MIRI": "group_scale dq_init saturation ipc firstframe lastframe reset linearity rscd dark_current refpix "
    "charge_migration jump ramp_fit apply_rateints_outliers gain_scale",
}
#: No cosmic rays in these exposures: what the jump step would find is noise.
QUIET = {"jump": {"rejection_threshold": 50.0, "three_group_rejection_threshold": 50.0}}


def run(exposure, steps=None, **parameters):
    return Coron1Pipeline.call(exposure.model, steps={**QUIET, **(steps or {})}, **parameters)


def good(exposure):
    mask = np.ones(exposure.rate.shape, bool)
    for place in BAD_PIXELS:
        mask[place] = False
    return mask


def pull_width(values):
    return 1.4826 * np.nanmedian(np.abs(values))


@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
def test_every_step_in_its_order(make_exposure, coron_references, instrument, monkeypatch):
    called = []
    original = Step.run

    def spy(self, *args):
        called.append(self.name)
        return original(self, *args)

    monkeypatch.setattr(Step, "run", spy)
    run(make_exposure(instrument, n_ints=2), rate_int_outliers=True)
    expected = SEED_ORDER[instrument].split()
    assert [name for name in called if name in expected] == [*expected, "gain_scale"]
    known = {"Coron1Pipeline", *RAMP_STEPS[instrument], *expected}
    assert set(called) <= known


@pytest.mark.parametrize("where", ["ints", pytest.param("groups", marks=pytest.mark.long)])
def test_nircam_rates_are_better_and_errors_right(make_exposure, coron_references, where):
    exposure = make_exposure(n_ints=8, n_groups=6, flicker=8.0)
    before = run(exposure, {"subtract_1overf": {"skip": True}}, return_rateints=True)
    rateints = run(exposure, return_rateints=True, stage_1overf=where)
    rate = run(exposure, stage_1overf=where)
    keep = good(exposure)
    truth = exposure.rate

    def rows(model):
        left = np.where(keep, model.data - truth, np.nan)
        by_row = np.nanmean(left, axis=2)
        return np.nanstd(by_row - np.nanmean(by_row, axis=1, keepdims=True))

    assert rows(rateints) < 0.4 * rows(before)
    assert 0.9 < pull_width(((rateints.data - truth) / rateints.err)[:, keep]) < 1.1
    assert 0.85 < pull_width(((rate.data - truth) / rate.err)[keep]) < 1.15
    far = keep & (truth < 2)
    assert np.std((rate.data - truth)[far]) < np.std((before.data.mean(axis=0) - truth)[far])
    for model in (rate, rateints):
        assert models.state(model, "subtract_ktc") == "COMPLETE"
        assert models.state(model, "subtract_1overf") == "COMPLETE"
        assert model.meta.cal_step.ramp_fit == "COMPLETE"


def test_bright_pixels_keep_no_noise_that_their_weights_make(make_exposure, coron_references, monkeypatch):
    """The fit weights the groups of bright pixels otherwise: their 1/f noise is not that of their faint neighbours."""
    wrong = {"told": [], "not told": []}
    exposures = [make_exposure(n_ints=2, n_groups=10, flicker=20.0, brightness=8.0) for _ in range(4)]
    for name in wrong:
        if name == "not told":
            monkeypatch.setattr(CoronRampFitStep, "slopes_of", lambda self, ramp: None)
        for exposure in exposures:
            rateints = run(exposure, return_rateints=True)
            error = np.where(good(exposure), rateints.data - exposure.rate, np.nan)
            bright, faint = exposure.rate > 60, exposure.rate < 12
            wrong[name] += list(np.nanmean(error[:, bright], axis=1) - np.nanmean(error[:, faint], axis=1))
    assert np.std(wrong["told"]) < 0.75 * np.std(wrong["not told"])


def test_photon_noise_holds_no_stripes(make_exposure, coron_references):
    """A row that 1/f noise makes dark has no less photon noise than others."""
    exposure = make_exposure(n_ints=2, n_groups=8, flicker=20.0)
    rateints = run(exposure, return_rateints=True)
    faint = good(exposure) & (exposure.rate < 1.2)
    variance = np.where(faint & (rateints.dq & 1 == 0), rateints.var_poisson, np.nan)
    of_rows = np.nanmedian(variance, axis=(0, 2))
    told = faint.sum(axis=1) > 20
    # An upright line through eight groups has a seventh more than the last less the first.
    expected = np.median(exposure.rate[faint]) / (GAIN * 7 * GROUP_TIME) * 8 / 7
    assert np.nanmedian(of_rows[told]) == pytest.approx(expected, rel=0.2)
    assert np.nanstd(of_rows[told]) < 0.5 * expected


def test_miri_rates_and_the_standard_pipeline_agree(make_exposure, coron_references):
    exposure = make_exposure("MIRI", n_ints=3)
    ours = run(exposure, {"ramp_fit": {"complete_variances": False, "rc_pixels": "keep"}})
    stock = Detector1Pipeline.call(exposure.model, steps=QUIET)
    for name in ("data", "err", "var_poisson", "var_rnoise", "dq"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(stock, name), err_msg=name)
    ours = run(exposure)
    keep = good(exposure) & np.isfinite(ours.data)
    assert 0.9 < pull_width(((ours.data - exposure.rate) / ours.err)[keep]) < 1.15


def test_nircam_without_our_steps_is_the_standard_pipeline(make_exposure, coron_references):
    exposure = make_exposure(n_ints=2)
    off = {name: {"skip": True} for name in ("subtract_ktc", "subtract_1overf")}
    off["refpix"] = dict.fromkeys(("nlower", "nupper", "nleft", "nright"), 0)
    off["saturation"] = {"grow_diagonal": True}
    off["jump"] = {**QUIET.get("jump", {}), "destripe": False}
    off["ramp_fit"] = {"complete_variances": False, "rc_pixels": "keep"}
    ours = run(exposure, off)
    stock = Detector1Pipeline.call(exposure.model, steps=QUIET)
    for name in ("data", "err", "dq"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(stock, name), err_msg=name)


def test_standard_pipeline_is_unchanged_step_for_step(make_exposure, coron_references):
    step_defs = dict(Detector1Pipeline.step_defs)
    specs = {name: step.spec for name, step in step_defs.items()}
    fresh = Detector1Pipeline()
    parameters = copy.deepcopy(fresh.get_pars())
    exposure = make_exposure(n_ints=2, n_groups=4)
    first = Detector1Pipeline.call(exposure.model, steps=QUIET)
    run(exposure, {"saturation": {"flag_rcsat": True}}, rate_int_outliers=True)
    assert Detector1Pipeline.step_defs == step_defs
    assert list(Detector1Pipeline.step_defs) == list(step_defs)
    again = Detector1Pipeline()
    assert again.get_pars() == parameters
    for name, step in step_defs.items():
        assert type(getattr(again, name)) is step
        assert step.spec == specs[name]
    assert not hasattr(again, "subtract_ktc")
    second = Detector1Pipeline.call(exposure.model, steps=QUIET)
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.dq, second.dq)


@pytest.mark.parametrize("name", ["saturation", "refpix", "ramp_fit"])
def test_strun_runs_the_stock_step(name):
    from stpipe import _cmdline

    Coron1Pipeline()
    found = _cmdline._get_config_and_class(name)[0]
    assert found is Detector1Pipeline.step_defs[name]
    assert found.__module__.startswith("jwst.")


def test_strun_names_stay_stock():
    for step in (CoronSaturationStep, CoronRefPixStep, CoronRampFitStep):
        stock = step.stock
        assert step.class_alias == stock.class_alias
        assert step.__name__ not in {path.rsplit(".", 1)[1] for path, _, _ in entry_points.get_steps()}
    assert ("detectorist.pipelines.Coron1Pipeline", "calwebb_coron1", True) in entry_points.get_steps()
    assert pipelines.Coron1Pipeline is Coron1Pipeline
    assert Coron1Pipeline.class_alias == "calwebb_coron1"


@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
def test_saturation_in_a_cross_and_rc_pixels(make_exposure, coron_references, instrument):
    exposure = make_exposure(instrument, n_ints=1, outliers=[(0, 2, 30, 30, 55000.0)])
    model = exposure.model

    def flags(**parameters):
        from jwst.dq_init import DQInitStep

        ready = DQInitStep.call(model)
        return (CoronSaturationStep.call(ready, **parameters).groupdq & SAT) > 0

    square = flags(grow_diagonal=True)[0, 3]
    cross = flags(grow_diagonal=False)[0, 3]
    assert square[28:33, 28:33].sum() == 9
    assert cross[28:33, 28:33].sum() == 5
    assert flags(n_pix_grow_sat=0)[0, 3, 28:33, 28:33].sum() == 1
    np.testing.assert_array_equal(flags()[0, 3], square if instrument == "MIRI" else cross)
    with_rc = flags(flag_rcsat=True, grow_diagonal=False)
    for y, x in RC_PIXELS:
        assert with_rc[0, 0, y, x]
        assert with_rc[0, 0, y - 1 : y + 2, x - 1 : x + 2].sum() == 5
        assert not cross[y, x]


@pytest.mark.parametrize("rc_pixels", ["straight", "keep"])
def test_neighbours_that_an_rc_pixel_bends(make_exposure, coron_references, rc_pixels):
    exposure = make_exposure(n_ints=6, n_groups=8, flicker=0.0)
    y, x = RC_PIXELS[0]
    charge = 1 - np.exp(-np.arange(1, 9) / 1.5)
    exposure.model.data[:, :, y, x + 1] += 1500 * charge
    exposure.model.data[:, :, y + 5, x + 5] += 1500 * charge  # nobody knows why
    rate = run(exposure, {"ramp_fit": {"rc_pixels": rc_pixels}})
    beside = (rate.data - exposure.rate)[y, x + 1] / rate.err[y, x + 1]
    if rc_pixels == "straight":
        assert rate.dq[y, x + 1] & 1 or abs(beside) < 5
    else:
        assert beside > 5
    assert (rate.data - exposure.rate)[y + 5, x + 5] > 5 * rate.err[y + 5, x + 5]
    assert not any(rate.dq[y + dy, x + dx] & 1 for dy, dx in ((-1, 0), (1, 0), (0, -1), (1, 1)))


def test_ramps_too_short_to_bend_count_beside_saturated_rc_pixels_only():
    rc = np.zeros((5, 9), bool)
    rc[2, 2] = rc[2, 6] = True
    flags = np.zeros((2, 2, 5, 9), np.uint8)
    flags[1, 1, 2, 6] = 2
    assert reached_by(rc, flags).sum() == 4
    assert reached_by(rc, flags)[[1, 3, 2, 2], [6, 6, 5, 7]].all()
    assert reached_by(rc, np.zeros((2, 3, 5, 9), np.uint8)).sum() == 8


def test_saturation_clears_the_zero_frame(make_exposure, coron_references):
    exposure = make_exposure(n_ints=2)
    exposure.model.meta.exposure.zero_frame = True
    exposure.model.zeroframe = np.full((2, *exposure.rate.shape), 9000, np.float32)
    exposure.model.zeroframe[1, 40, 40] = 60000
    result = CoronSaturationStep.call(exposure.model)
    assert (result.zeroframe[1] == 0).sum() == 5
    assert (result.zeroframe[0] == 0).sum() == 0
    assert (exposure.model.zeroframe[1] == 0).sum() == 0


def test_reference_rows(make_exposure, coron_references):
    exposure = make_exposure(n_ints=4, flicker=0.0, drift=30.0)
    before = exposure.model.pixeldq.copy()
    result = CoronRefPixStep.call(exposure.model)
    assert result.meta.cal_step.refpix == "COMPLETE"
    np.testing.assert_array_equal(result.pixeldq, before)
    np.testing.assert_array_equal(result.groupdq, exposure.model.groupdq)
    steps = np.diff(result.data, axis=1).mean(axis=(2, 3)).std()
    assert steps < 0.2 * np.diff(exposure.model.data, axis=1).mean(axis=(2, 3)).std()
    quiet = CoronRefPixStep.call(make_exposure(n_ints=4, flicker=0.0).model)
    assert quiet.meta.cal_step.refpix in ("SKIPPED", "COMPLETE")
    with pytest.raises(ParameterError, match="do not fit into 72 rows"):
        CoronRefPixStep.call(exposure.model, nlower=50, nupper=50)


def test_an_aperture_at_the_edge_has_rows_of_its_own(make_exposure):
    from detectorist.modes.coron.steps.refpix import reference_border

    model = make_exposure().model
    assert reference_border(model) == (0, 0, 0, 0)
    model.meta.subarray.ystart = 1
    assert reference_border(model) == (4, 0, 0, 0)
    model.meta.subarray.ystart, model.meta.subarray.xstart = 2048 - 72 - 1, 3
    assert reference_border(model) == (0, 2, 2, 0)


@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
def test_outliers_are_fitted_again_and_only_they(make_exposure, coron_references, instrument):
    exposure = make_exposure(
        instrument, n_ints=11, n_groups=6, outliers=[(4, 3, 30, 30, 3000.0), (7, 2, 50, 20, 900.0)]
    )
    off = {"jump": {"skip": True}, "subtract_1overf": {"skip": True}}
    if instrument == "MIRI":
        del off["subtract_1overf"]
    plain = run(exposure, off, return_rateints=True)
    got = run(exposure, off, return_rateints=True, rate_int_outliers=True)
    assert models.records(got)["apply_rateints_outliers"]["outliers"] == 2
    different = ~np.isclose(plain.data, got.data, rtol=0, atol=0, equal_nan=True)
    assert sorted(zip(*np.nonzero(different), strict=True)) == [(4, 30, 30), (7, 50, 20)]
    for i, y, x in ((4, 30, 30), (7, 50, 20)):
        assert abs(plain.data[i, y, x] - exposure.rate[y, x]) > 10 * plain.err[i, y, x]
        assert abs(got.data[i, y, x] - exposure.rate[y, x]) < 5 * got.err[i, y, x]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("algorithm", ["OLS_C", "LIKELY"])
def test_refit_equals_a_fit_of_everything(make_exposure, coron_references, caplog, algorithm):
    exposure = make_exposure(n_ints=3, n_groups=6)
    ramp = exposure.model
    ramp.average_dark_current = np.full(exposure.rate.shape, 0.1, np.float32)
    rng = np.random.default_rng(1)
    step = CoronRampFitStep(algorithm=algorithm)
    rate, rateints = CoronRampFitStep(algorithm=algorithm).run(ramp.copy())
    changed = rng.random(exposure.rate.shape) < 0.02
    y, x = np.nonzero(changed)
    ramp.groupdq[1, 3, y, x] |= JUMP
    ramp.groupdq[2, :, y[:3], x[:3]] |= DNU
    full_rate, full_rateints = CoronRampFitStep(algorithm=algorithm).run(ramp.copy())
    caplog.set_level("INFO", logger="detectorist")
    caplog.clear()
    step.refit(ramp, rate, rateints, changed)
    assert "ramp_fit: compiled engine" in caplog.messages[-1]
    for name in ("data", "dq", "err", "var_poisson", "var_rnoise"):
        np.testing.assert_array_equal(getattr(rate, name), getattr(full_rate, name), err_msg=name)
        np.testing.assert_array_equal(getattr(rateints, name), getattr(full_rateints, name), err_msg=name)


@pytest.mark.long
def test_options(make_exposure, coron_references, tmp_path):
    exposure = make_exposure(n_ints=2)
    run(exposure, save_results=True, output_dir=str(tmp_path), save_calibrated_ramp=True)
    assert {path.name.rsplit("_", 1)[1] for path in tmp_path.glob("*.fits")} == {
        "rate.fits",
        "rateints.fits",
        "ramp.fits",
    }
    other = tmp_path / "all"
    run(exposure, save_results=True, output_dir=str(other), save_intermediates=True, return_rateints=True)
    names = " ".join(path.name for path in other.glob("*.fits"))
    for part in ("dq_init", "saturation", "subtract_ktc", "jump", "rate.", "rateints."):
        assert part in names
    with datamodels.open(next(other.glob("*_ktc.fits"))) as offsets:
        assert np.std(offsets.data - exposure.ktc) < 0.5 * np.std(exposure.ktc)
    with datamodels.open(next(other.glob("*_1overf.fits"))) as stripes:
        assert stripes.data.shape == exposure.ktc.shape
        assert stripes.data.std() > 0
    with datamodels.open(next(other.glob("*_rate.fits"))) as rate:
        assert models.state(rate, "subtract_1overf") == "COMPLETE"
        assert rate.meta.cal_step.ramp_fit == "COMPLETE"


@pytest.mark.long
def test_late_groups_of_a_reference_star(make_exposure, coron_references, tmp_path):
    science, reference = make_exposure(n_groups=8, brightness=10), make_exposure(n_groups=8, brightness=20)
    path = tmp_path / "science_uncal.fits"
    science.model.save(path)
    rate = run(reference, {"mask_groups": {"skip": False, "science_files": str(path)}})
    assert models.records(rate)["mask_groups"]["last_group_faint"] == 3
    assert models.state(run(science), "mask_groups") is None


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_likelihood_fit(make_exposure, coron_references):
    exposure = make_exposure(n_ints=2, n_groups=6)
    rate = run(exposure, {"ramp_fit": {"algorithm": "LIKELY"}})
    keep = good(exposure)
    assert abs(np.nanmedian((rate.data - exposure.rate)[keep])) < 0.2


@pytest.mark.long
def test_gain_scale_on_both(make_exposure, coron_references):
    exposure = make_exposure(n_ints=2)
    plain, plain_ints = run(exposure), run(exposure, return_rateints=True)
    exposure.model.meta.exposure.gain_factor = 2.0
    scaled, scaled_ints = run(exposure), run(exposure, return_rateints=True)
    for before, after in ((plain, scaled), (plain_ints, scaled_ints)):
        np.testing.assert_allclose(after.data, 2 * before.data, rtol=1e-5)
        np.testing.assert_allclose(after.err, 2 * before.err, rtol=1e-5)


@pytest.mark.long
def test_hopeless_exposures_are_survived(make_exposure, coron_references):
    saturated = make_exposure(n_ints=2)
    saturated.model.data[:] = 60000.0
    assert run(saturated) is None
    one = make_exposure(n_ints=1)
    assert np.isfinite(run(one).data[good(one)]).all()
    single_group = make_exposure(n_ints=2, n_groups=1)
    assert run(single_group).data.shape == one.rate.shape


def test_one_group_of_miri_is_refused(make_exposure, coron_references):
    exposure = make_exposure("MIRI", n_ints=2, n_groups=1)
    with pytest.raises(InputError, match=r"1 group per integration \(NGROUPS\); MIRI needs at least 2"):
        run(exposure)


def test_another_instrument_is_refused(make_exposure, coron_references):
    exposure = make_exposure()
    exposure.model.meta.instrument.name, exposure.model.meta.instrument.detector = "NIRISS", "NIS"
    with pytest.raises(InputError, match="instrument is NIRISS; NIRCAM or MIRI"):
        run(exposure)
