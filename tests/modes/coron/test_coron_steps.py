"""The steps of coronagraphy: what they take, return, record and refuse."""

import inspect

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from detectorist import entry_points, models, stage_1
from detectorist.algorithms.flicker.one_over_f import stripes_of_integrations, stripes_of_ramps
from detectorist.algorithms.ramps import mask_groups
from detectorist.algorithms.ramps.ktc import measure_ktc
from detectorist.algorithms.spectra import outliers
from detectorist.errors import AlreadyCorrected, InputError, ParameterError
from detectorist.stage_1 import MaskGroupsStep, RateintsOutliersStep, SubtractKtcStep, SubtractOneOverFStep

DNU, SAT, JUMP, OUTLIER = 1, 2, 4, 16
SHAPE = (72, 80)


def as_coronagraphy(model, instrument="NIRCAM", product="ramp"):
    meta = model.meta
    meta.telescope, meta.instrument.name = "JWST", instrument
    nircam = instrument == "NIRCAM"
    meta.instrument.detector = "NRCALONG" if nircam else "MIRIMAGE"
    meta.exposure.type = "NRC_CORON" if nircam else "MIR_4QPM"
    meta.exposure.group_time, meta.exposure.nframes, meta.exposure.groupgap = 4.28, 1, 0
    meta.exposure.frame_time = 4.28
    meta.exposure.noutputs = 1 if nircam else 4
    meta.subarray.name = "SUB320A335R" if nircam else "MASK1140"
    meta.subarray.xstart, meta.subarray.ystart = 501, 1601
    meta.subarray.xsize, meta.subarray.ysize = model.data.shape[-1], model.data.shape[-2]
    meta.subarray.fastaxis, meta.subarray.slowaxis = -1, 2
    meta.observation.date, meta.observation.time = "2026-07-01", "00:00:00.000"
    meta.filename = f"jw09999001001_02101_00001_{meta.instrument.detector.lower()}_{product}.fits"
    return model


def halo():
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]] - np.array([35.5, 39.5])[:, None, None]
    return 0.6 + 60 / (1 + (np.hypot(yy, xx) / 4) ** 2.6)


@pytest.fixture
def make_ramp(rng):
    def make(n_ints=3, n_groups=4, instrument="NIRCAM"):
        time = 4.28 * np.arange(1, n_groups + 1)[:, None, None]
        data = halo() * time + 35 * rng.normal(size=(n_ints, 1, *SHAPE))
        data = data + 9 * rng.normal(size=(n_ints, n_groups, *SHAPE))
        data += 6 * rng.normal(size=(n_ints, n_groups, SHAPE[0], 1))
        model = datamodels.RampModel(data=data.astype(np.float32))
        model.groupdq = np.zeros(data.shape, np.uint8)
        model.pixeldq = np.zeros(data.shape[-2:], np.uint32)
        return as_coronagraphy(model, instrument)

    return make


@pytest.fixture
def make_rates(rng):
    def make(n_ints=12, instrument="NIRCAM"):
        err = np.sqrt(0.25 + 0.02 * halo())
        data = halo() + 0.8 * rng.normal(size=(n_ints, SHAPE[0], 1)) + err * rng.normal(size=(n_ints, *SHAPE))
        model = datamodels.CubeModel(data=data.astype(np.float32))
        model.err = np.broadcast_to(err, data.shape).astype(np.float32)
        model.var_rnoise = (model.err**2).astype(np.float32)
        model.dq = np.zeros(data.shape, np.uint32)
        return as_coronagraphy(model, instrument, "rateints")

    return make


def test_ktc_is_subtracted_and_recorded(make_ramp, coron_references):
    ramp = make_ramp()
    before = ramp.data.copy()
    result = SubtractKtcStep.call(ramp)
    np.testing.assert_array_equal(ramp.data, before)
    scatter = result.data.mean(axis=1).std(axis=0)
    assert np.median(scatter) < 0.35 * np.median(before.mean(axis=1).std(axis=0))
    np.testing.assert_allclose(np.diff(result.data, axis=1), np.diff(before, axis=1), atol=0.02)
    record = models.records(result)["subtract_ktc"]
    assert record["state"] == "COMPLETE"
    assert 25 < record["ktc_rms_dn"] < 50
    assert record["ramps_unmeasured"] == 0
    with pytest.raises(AlreadyCorrected):
        SubtractKtcStep.call(result)


def test_offsets_of_a_single_group_stay(make_ramp, coron_references):
    """Without a slope every integration would become the median of all, with its light, and differ by nothing."""
    ramp = make_ramp()
    ramp.data, ramp.groupdq = ramp.data[:, :1], ramp.groupdq[:, :1]
    result = SubtractKtcStep.call(ramp)
    np.testing.assert_array_equal(result.data, ramp.data)
    record = models.records(result)["subtract_ktc"]
    assert record["state"] == "SKIPPED"
    assert "one group" in record["reason"]
    assert "ktc_rms_dn" not in record


def test_a_single_integration_does_not_tell_how_offsets_differ(make_ramp, coron_references):
    result = SubtractKtcStep.call(make_ramp(n_ints=1))
    record = models.records(result)["subtract_ktc"]
    assert record["state"] == "COMPLETE"
    assert "ktc_rms_dn" not in record  # it was 0.0, as if there were no kTC noise


def test_all_saturated_ramps_are_left_and_counted(make_ramp, coron_references):
    ramp = make_ramp()
    ramp.groupdq[:] = SAT
    result = SubtractKtcStep.call(ramp)
    np.testing.assert_array_equal(result.data, ramp.data)
    assert models.records(result)["subtract_ktc"]["ramps_unmeasured"] == ramp.data.shape[0] * np.prod(SHAPE)


def rows_rms(values):
    rows = values.mean(axis=-1)
    return (rows - rows.mean(axis=-1, keepdims=True)).std()


def test_stripes_of_ramps_go(make_ramp, coron_references):
    ramp = make_ramp()
    step = SubtractOneOverFStep()
    result = step.run(ramp)
    assert rows_rms(np.diff(result.data, axis=1) - halo() * 4.28) < 0.5 * rows_rms(
        np.diff(ramp.data, axis=1) - halo() * 4.28
    )
    assert step.rate_variance.shape == (3, *SHAPE)
    assert step.mean_variance.shape == SHAPE
    with pytest.raises(AlreadyCorrected):
        SubtractOneOverFStep.call(result)


@pytest.mark.parametrize("model_type", ["flicker", "savgol", "median", "mean"])
def test_stripes_of_rates_go_and_errors_follow(make_rates, model_type):
    rates = make_rates()
    result = SubtractOneOverFStep.call(rates, model_type=model_type)
    assert rows_rms(result.data - halo()) < 0.4 * rows_rms(rates.data - halo())
    assert isinstance(result, datamodels.CubeModel)
    pull = (result.data - halo()) / result.err
    assert 0.9 < 1.4826 * np.median(np.abs(pull)) < 1.1
    assert (result.err > 0).all()


def test_a_single_rate_and_a_single_integration(make_rates):
    cube = make_rates(n_ints=1)
    of_cube = SubtractOneOverFStep.call(cube)
    image = as_coronagraphy(datamodels.ImageModel(data=cube.data[0]), product="rate")
    image.err, image.dq = cube.err[0], cube.dq[0]
    of_image = SubtractOneOverFStep.call(image)
    np.testing.assert_allclose(of_image.data, of_cube.data[0], atol=1e-5)
    assert rows_rms((of_image.data - halo())[None]) < 0.6 * rows_rms((image.data - halo())[None])


def test_stripes_are_drawn(make_rates, make_ramp, coron_references, tmp_path):
    for model in (make_rates(n_ints=2), make_ramp(n_ints=2)):
        path = tmp_path / f"{model.data.ndim}.png"
        SubtractOneOverFStep.call(model, draw_stripes=True, figure_path=str(path))
        assert path.stat().st_size > 10000


def test_offsets_outliers_and_late_groups_are_drawn(make_rates, make_ramp, coron_references, tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("offsets", "outliers", "late_groups")]
    offsets, outliers, late = (str(path) for path in paths)
    SubtractKtcStep.call(make_ramp(n_ints=2), draw_offsets=True, figure_path=offsets)
    RateintsOutliersStep.call(make_rates(), draw_outliers=True, figure_path=outliers)
    late_groups = {"mask_method": "custom", "custom_group": 2, "draw_late_groups": True}
    MaskGroupsStep.call(make_ramp(n_ints=2), figure_path=late, **late_groups)
    assert all(path.stat().st_size > 10_000 for path in paths)


def test_integrations_without_a_usable_pixel_are_skipped(make_rates):
    rates = make_rates(n_ints=2)
    rates.data[:] = np.nan
    result = SubtractOneOverFStep.call(rates)
    assert models.state(result, "subtract_1overf") == "SKIPPED"


def test_unknown_model_type_is_refused(make_rates):
    with pytest.raises(Exception, match="model_type"):
        SubtractOneOverFStep.call(make_rates(), model_type="wavelet")


def test_full_frame_is_read_through_four_outputs(make_rates):
    from detectorist.stage_1.nircam_readout import readout_of

    rates = make_rates()
    rates.meta.subarray.name, rates.meta.exposure.noutputs = "FULL", 4
    readout = readout_of(rates)
    assert len(readout.outputs) == 4
    # FASTAXIS is -1: the first output, read that way, is the rightmost.
    assert [direction for *_, direction in readout.outputs] == [1, -1, 1, -1]
    rates.data = np.zeros((12, 72, 81), np.float32)
    rates.meta.exposure.noutputs = 5
    with pytest.raises(InputError, match="NOUTPUTS = 5"):
        readout_of(rates)


def test_outliers_are_flagged_in_rates(make_rates):
    rates = make_rates()
    rates.data[5, 10, 20] += 30.0
    step = RateintsOutliersStep()
    result = step.run(rates)
    assert result.dq[5, 10, 20] == OUTLIER | DNU
    assert (result.dq != 0).sum() == step.flagged.sum() == 1
    again = RateintsOutliersStep.call(result)
    np.testing.assert_array_equal(again.dq, result.dq)


@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
def test_outliers_are_flagged_in_ramps(make_ramp, make_rates, instrument):
    ramp, rates = make_ramp(n_ints=12, instrument=instrument), make_rates(instrument=instrument)
    rates.data[5, 10, 20] += 40.0
    ramp.data[5, 2:, 10, 20] += 40.0 * 4.28 * 3
    rates.data[6, 30, 40] += 40.0
    ramp.data[6, :, 30, 40] += 40.0 * 4.28 * np.arange(1, 5)
    result = RateintsOutliersStep().run(ramp, rates)
    assert list(result.groupdq[5, :, 10, 20]) == [0, 0, JUMP, 0]
    assert list(result.groupdq[6, :, 30, 40]) == [DNU] * 4
    assert (result.groupdq != 0).sum() == 5
    record = models.records(result)["apply_rateints_outliers"]
    assert (record["outliers"], record["outliers_in_one_group"]) == (2, 1)


def test_first_integration_of_miri_spoils_nothing(make_rates):
    rates = make_rates(instrument="MIRI")
    rates.data[0] = rates.data[0] * 1.1 + 20
    rates.data[4, 8, 8] += 30.0
    result = RateintsOutliersStep.call(rates)
    assert result.dq[4, 8, 8] == OUTLIER | DNU
    assert (result.dq != 0).sum() == 1


def test_too_few_integrations_are_skipped_and_said(make_rates):
    rates = make_rates(n_ints=4)
    rates.data[2, 5, 5] += 100
    result = RateintsOutliersStep.call(rates)
    assert models.records(result)["apply_rateints_outliers"]["reason"] == "4 integrations, 10 are needed"
    assert not result.dq.any()
    assert RateintsOutliersStep.call(rates, nint_min=4).dq[2, 5, 5]


def test_ramp_without_rates_is_refused(make_ramp, make_rates):
    with pytest.raises(InputError, match="second argument"):
        RateintsOutliersStep.call(make_ramp(n_ints=12))
    with pytest.raises(InputError, match="is not that of the rates"):
        RateintsOutliersStep().run(make_ramp(n_ints=11), make_rates())


@pytest.mark.parametrize("instrument", ["NIRCAM", "MIRI"])
def test_late_groups_of_a_reference_star_are_masked(make_ramp, instrument, tmp_path):
    science, reference = make_ramp(n_groups=8, instrument=instrument), make_ramp(n_groups=8, instrument=instrument)
    light = (10 * halo() * 4.28 * np.arange(1, 9)[:, None, None]).astype(np.float32)
    science.data += light
    reference.data += 2 * light
    path = tmp_path / "science_ramp.fits"
    science.save(path)
    for names in (str(path), [str(path)], f"['{path}']"):
        result = MaskGroupsStep.call(reference, science_files=names)
        record = models.records(result)["mask_groups"]
        assert record["last_group_faint"] == 3
    middle = (0, slice(None), SHAPE[0] // 2, SHAPE[1] // 2)
    np.testing.assert_array_equal(result.groupdq[middle], np.where(np.arange(8) > 3, DNU, 0))
    assert not result.groupdq[:, :, 0, 0].any()
    custom = MaskGroupsStep.call(reference, mask_method="custom", custom_group=5)
    np.testing.assert_array_equal(custom.groupdq[middle], np.where(np.arange(8) > 5, DNU, 0))


def test_masking_says_what_is_missing(make_ramp):
    with pytest.raises(ParameterError, match="custom_group"):
        MaskGroupsStep.call(make_ramp(), mask_method="custom")
    with pytest.raises(ParameterError, match="science_files"):
        MaskGroupsStep.call(make_ramp())


@pytest.mark.parametrize("step", [SubtractKtcStep, SubtractOneOverFStep])
def test_miri_has_no_such_noise(make_ramp, step):
    with pytest.raises(InputError, match="instrument is MIRI"):
        step.call(make_ramp(instrument="MIRI"))


def test_products_survive_saving(make_rates, tmp_path):
    result = RateintsOutliersStep.call(SubtractOneOverFStep.call(make_rates()))
    result.save(tmp_path / "out_rateints.fits")
    with datamodels.open(tmp_path / "out_rateints.fits") as again:
        assert models.state(again, "subtract_1overf") == "COMPLETE"
        assert models.records(again)["apply_rateints_outliers"]["n_ints"] == 12


@pytest.mark.parametrize(
    ("step", "functions"),
    [
        (SubtractKtcStep, [measure_ktc]),
        (SubtractOneOverFStep, [stripes_of_ramps, stripes_of_integrations]),
        (RateintsOutliersStep, [outliers.flag_outliers]),
        (MaskGroupsStep, [mask_groups.match_groups, mask_groups.late_groups]),
    ],
)
def test_steps_and_algorithms_have_the_same_defaults(step, functions):
    own = {line.split("=")[0].strip() for line in step.spec.splitlines() if "=" in line} - {"figure_path"}
    shared = set()
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            if name in own:
                assert getattr(step(), name) == parameter.default, name
                shared.add(name)
    assert {name for name in own - shared if not name.startswith("draw_")} <= {
        "custom_group",
        "science_files",
        "types",
        "mask_array",
    }


def test_strun_knows_them():
    known = {path.rsplit(".", 1)[1]: alias for path, alias, _ in entry_points.get_steps()}
    for name in ("SubtractKtcStep", "SubtractOneOverFStep", "RateintsOutliersStep", "MaskGroupsStep"):
        assert known[name] == getattr(stage_1, name).class_alias
        assert known[name] in models.STATE_KEYWORDS
