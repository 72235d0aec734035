"""The step around the profile model: parameters, what is written back, what is recorded."""

import inspect
import logging

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from detectorist import models
from detectorist.algorithms.spectra.profile import clean_outliers
from detectorist.errors import InputError, ParameterError
from detectorist.stage_2 import CleanOutliersStep

#: Pixels (row, column) spoilt in every integration of `spoilt`.
HIT, FLAGGED, MISSING = (200, 36), (250, 34), (100, 35)


@pytest.fixture
def spoilt(make_lrs_rateints):
    """Three integrations with one outlier, one flagged pixel and one NaN each."""
    model = make_lrs_rateints(n_ints=3)
    model.data[:, *HIT] += 300
    model.dq[:, *HIT] = 16
    model.data[:, *FLAGGED] -= 5000
    model.dq[:, *FLAGGED] = 1 | 2048
    model.data[:, *MISSING] = np.nan
    model.err[:, *MISSING] = np.nan
    return model


def snapshot(model):
    return {name: np.array(getattr(model, name)) for name in ("data", "err", "dq")}


def test_pixels_are_replaced_flagged_and_recorded(spoilt, caplog):
    before = snapshot(spoilt)
    step = CleanOutliersStep(dq_bits_to_mask=[0], outlier_threshold=6.0)
    with caplog.at_level(logging.INFO, logger="detectorist"):
        out, P, counts = step.run(spoilt)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(spoilt, name), value)
    assert isinstance(out, datamodels.CubeModel)
    assert P.shape == out.data.shape
    assert counts.shape == (3, 416, 5)
    np.testing.assert_allclose(P.sum(axis=2), 1.0, atol=1e-5)
    truth = 30 + 500 * np.exp(-0.5 * ((np.arange(72) - 36) / 1.7) ** 2)
    for row, column in (HIT, FLAGGED, MISSING):
        pull = (out.data[:, row, column] - truth[column]) / out.err[:, row, column]
        assert np.abs(pull).max() < 4
        assert (out.dq[:, row, column] == before["dq"][:, row, column] | 16).all()
    changed = out.dq != before["dq"]
    changed[:, *HIT] = True
    assert changed.sum() == 9
    np.testing.assert_array_equal(out.data[~changed], before["data"][~changed])
    np.testing.assert_array_equal(out.err[~changed], before["err"][~changed])
    np.testing.assert_array_equal(counts[:, HIT[0]], [[1, 1, 1, 1, 1]] * 3)
    np.testing.assert_array_equal(counts[:, FLAGGED[0]], [[0, 0, 1, 1, 1]] * 3)
    expected = {"n_cleaned": 9, "n_outliers": 3, "n_flagged": 3, "n_nan": 3, "max_per_integration": 3}
    assert expected.items() <= step.record.items()
    assert step.record["errors_used"]
    assert abs(step.record["noise_scale"] - 1) < 0.05
    assert step.record["rows_without_profile"] == 0
    assert any("9 pixels replaced (3 outlying" in record.message for record in caplog.records)


def test_call_returns_the_same_and_saves_the_model(spoilt, tmp_path):
    out, P, counts = CleanOutliersStep.call(
        spoilt, dq_bits_to_mask=[0], outlier_threshold=6.0, save_results=True, output_dir=str(tmp_path)
    )
    assert P.dtype == np.float32
    assert counts.sum() > 0
    saved = list(tmp_path.glob("*_clean_outliers.fits"))
    assert [path.name for path in saved] == ["jw09999001001_04103_00001-seg001_mirimage_clean_outliers.fits"]
    with datamodels.open(saved[0]) as again:
        np.testing.assert_array_equal(again.data, out.data)
        assert again.meta.cal_step.instance["clean_outliers"] == "COMPLETE"
        assert models.records(again)["clean_outliers"]["n_cleaned"] == 9


def test_a_file_is_cleaned_and_stays_as_it_was(spoilt, tmp_path):
    path = tmp_path / "jw01_rateints.fits"
    spoilt.save(path)
    content = path.read_bytes()
    out, _, _ = CleanOutliersStep.call(str(path), dq_bits_to_mask="0")
    assert np.isfinite(out.data).all()
    assert path.read_bytes() == content


def test_cleaning_again_is_allowed(spoilt):
    once, _, _ = CleanOutliersStep.call(spoilt, dq_bits_to_mask=[0], outlier_threshold=6.0)
    twice, _, _ = CleanOutliersStep.call(once, outlier_threshold=6.0)
    np.testing.assert_array_equal(once.data, twice.data)


def test_what_was_cleaned_in_place_can_be_put_back(spoilt):
    before = snapshot(spoilt)
    step = CleanOutliersStep(dq_bits_to_mask=[0])
    step.reversible, step.parent = True, object()  # within a pipeline, a step changes the model that it is given
    out, _, counts = step.process(spoilt)
    assert counts.sum() > 0
    assert not np.array_equal(spoilt.data, before["data"], equal_nan=True)
    step.put_back()
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(spoilt, name), value)
    out.data[:] = 5
    step.put_back()  # once only
    assert (out.data == 5).all()


def test_model_without_errors_and_flags(make_lrs_rateints):
    full = make_lrs_rateints()
    bare = datamodels.CubeModel(data=full.data)
    bare.update(full)
    bare.err = bare.dq = None
    bare.data[:, *HIT] += 300
    step = CleanOutliersStep(outlier_threshold=6.0)
    out, _, _ = step.run(bare)
    assert not step.record["errors_used"]
    assert step.record["n_cleaned"] == 3
    assert out.dq[0, *HIT] == 16


def test_defaults_are_those_of_the_algorithm():
    signature = inspect.signature(clean_outliers).parameters
    step = CleanOutliersStep()
    named = {name: p.default for name, p in signature.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    named.pop("trace_column")  # of the image, not of the step
    assert {name: getattr(step, name) for name in named} == named
    assert named["poly_order"] == 4
    assert named["outlier_threshold"] == 4.0
    assert (named["spatial_profile_left_idx"], named["spatial_profile_right_idx"]) == (26, 47)


@pytest.mark.parametrize("value", [[60, 40], "60, 40", "[60,40]", ["60", "40"]], ids=str)
@pytest.mark.parametrize("name", ["window_heights", "window_widths"])
def test_heights_by_either_name_and_from_every_source(spoilt, name, value):
    step = CleanOutliersStep(**{name: value})
    assert step._heights() == [60, 40]
    assert len(step.run(spoilt)) == 3


def test_both_names_at_once_are_refused(spoilt):
    with pytest.raises(ParameterError, match="two names of one parameter"):
        CleanOutliersStep.call(spoilt, window_heights=[50], window_widths=[50])


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"window_heights": [150, 4]}, "at least 6 rows"),
        ({"outlier_threshold": -1.0}, "outlier_threshold is -1"),
        ({"spatial_profile_left_idx": 47, "spatial_profile_right_idx": 26}, "left before right"),
        ({"spatial_profile_right_idx": 80}, "between 0 and 72"),
        ({"dq_bits_to_mask": [40]}, "bit index 40"),
        ({"dq_bits_to_mask": "hot"}, "list of integers"),
    ],
)
def test_parameters_that_make_no_sense_are_named(spoilt, parameters, match):
    with pytest.raises(ParameterError, match=match):
        CleanOutliersStep.call(spoilt, **parameters)


def test_integration_of_nan_is_reported_and_a_model_of_nan_refused(spoilt):
    spoilt.data[1] = np.nan
    step = CleanOutliersStep(dq_bits_to_mask=[0])
    out, P, _ = step.run(spoilt)
    assert step.record["unusable_integrations"] == [1]
    assert np.isnan(out.data[1]).all()
    assert (out.dq[1] & 1).all()
    np.testing.assert_allclose(P.sum(axis=2), 1.0, atol=1e-5)
    spoilt.data[:] = np.nan
    with pytest.raises(InputError, match=r"seg001_mirimage_rateints.fits.*finite"):
        CleanOutliersStep.call(spoilt)


def test_pixels_all_flagged_are_refused(spoilt):
    spoilt.dq[:] = 1
    with pytest.raises(InputError, match="3 integrations"):
        CleanOutliersStep.call(spoilt)


def test_no_clean_replaces_nan_only(spoilt):
    out, P, _ = CleanOutliersStep.call(spoilt, dq_bits_to_mask=[0], no_clean=True)
    changed = out.data != spoilt.data
    assert changed.sum() == 3
    assert changed[:, *MISSING].all()
    assert P[:, 100:300, 36].min() > 0.15


def test_figures_are_written_and_do_not_block(spoilt, tmp_path):
    CleanOutliersStep.call(
        spoilt, dq_bits_to_mask=[0], draw_cleaning_col=True, draw_spatial_profiles=True, output_dir=str(tmp_path)
    )
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert [name.split("clean_outliers_")[1] for name in names] == ["columns.png", "profiles.png"]


def test_wrong_input_is_refused(nircam_rateints, make_lrs_ramp):
    with pytest.raises(InputError, match="NIRCAM"):
        CleanOutliersStep.call(nircam_rateints)
    with pytest.raises(InputError, match="dimensions"):
        CleanOutliersStep.call(make_lrs_ramp(ny=20, nx=40))
