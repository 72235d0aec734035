"""ReferencePixelStep: flags, evidence, figure; the arithmetic is tested with the algorithm."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist import models
from detectorist.algorithms import dq
from detectorist.errors import InputError, ParameterError
from detectorist.stage_1 import DropGroupsStep, ReferencePixelStep
from detectorist.stage_1.reference_pixel import unusable_reads


@pytest.fixture
def drifting(make_lrs_ramp, rng):
    """A ramp with a drift of each output, and that drift relative to the first group."""
    ramp = make_lrs_ramp(n_ints=2, n_groups=6)
    ramp.data[..., :4] = 9000 + 6 * rng.normal(size=(2, 6, 416, 4))
    drift = 10 * rng.normal(size=(2, 6, 1, 4)) * np.ones((416, 1))
    drift += 5 * np.where(np.arange(416) % 2, 1, -1)[:, None] * rng.normal(size=(2, 6, 1, 4))
    ramp.data += drift[..., np.arange(72) % 4].astype(np.float32)
    return ramp, drift - drift[:, :1]


@pytest.mark.parametrize("options", [{}, {"smoothing": "auto"}, {"smoothing": "gaussian", "smoothing_length": 201}])
def test_drift_is_subtracted_in_every_column(drifting, options):
    ramp, drift = drifting
    step = ReferencePixelStep(**options)
    got = step.run(ramp)
    subtracted = ramp.data.astype(float) - got.data
    left = (subtracted - drift[..., np.arange(72) % 4])[:, 1:]
    assert left.std() < 1.6 * step.record["correction_noise_dn"]
    assert step.record["correction_noise_dn"] < 1.5
    assert_allclose(step.record["read_noise_dn"], 6.0, rtol=0.05)
    assert_allclose(step.record["drift_rms_dn"], drift.std(), rtol=0.05)
    assert got.data.dtype == np.float32
    assert_array_equal(got.data[:, 0], ramp.data[:, 0])


def test_flags_decide_which_reads_count():
    groupdq = np.zeros((1, 4, 6, 8), np.uint8)
    pixeldq = np.zeros((6, 8), np.uint32)
    pixeldq[:, :4] = dq.REFERENCE_PIXEL
    assert not unusable_reads(groupdq, pixeldq).any()
    assert not unusable_reads(groupdq, None).any()
    pixeldq[0, 0] |= dq.DO_NOT_USE
    groupdq[0, 2, 1, 1] = dq.JUMP_DET
    groupdq[0, 1, 2, 2] = dq.SATURATED
    groupdq[0, 3, 3, 3] = dq.DO_NOT_USE
    groupdq[0, 0] |= dq.DO_NOT_USE  # a dropped group: its reference reads are good
    expected = np.zeros((1, 4, 6, 4), bool)
    expected[:, :, 0, 0] = True
    expected[0, 2:, 1, 1] = True
    expected[0, 1:, 2, 2] = True
    expected[0, 3, 3, 3] = True
    assert_array_equal(unusable_reads(groupdq, pixeldq), expected)


@pytest.mark.parametrize("smoothing", ["median", "gaussian", "auto"])
def test_bad_reference_pixels_do_not_leak(drifting, smoothing):
    ramp, _ = drifting
    ramp.pixeldq[50:58, 1] = dq.DO_NOT_USE | dq.REFERENCE_PIXEL
    ramp.groupdq[0, 3, 20, 2] = dq.JUMP_DET
    clean = ReferencePixelStep.call(ramp, smoothing=smoothing)
    spoiled = ramp.copy()
    spoiled.data[:, 2:, 50:58, 1] += 5000
    spoiled.data[:, :, 51, 1] = np.nan
    spoiled.data[0, 3:, 20, 2] += 5000
    got = ReferencePixelStep.call(spoiled, smoothing=smoothing)
    assert_array_equal(got.data[..., 4:], clean.data[..., 4:])


def test_dropped_groups_are_corrected_all_the_same(drifting):
    ramp, _ = drifting
    plain = ReferencePixelStep.call(ramp)
    dropped = ReferencePixelStep.call(DropGroupsStep.call(ramp, drop_groups=[0, -1]))
    assert_array_equal(dropped.data, plain.data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing_length": 0}, "smoothing_length is 0: a number of rows, 1 or more, or None is needed"),
        ({"smoothing_length": "long"}, "smoothing_length is 'long'"),
        ({"smoothing_length": 2.5}, "smoothing_length is 2.5"),
        ({"smoothing_length": 11, "smoothing": "auto"}, "chooses the length itself: leave it out"),
    ],
)
def test_impossible_lengths_are_refused(make_lrs_ramp, options, message):
    with pytest.raises(ParameterError, match=message):
        ReferencePixelStep.call(make_lrs_ramp(n_ints=1, n_groups=3), **options)


def test_a_subarray_without_reference_columns_is_refused(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=1, n_groups=3)
    ramp.meta.subarray.xstart = 5
    with pytest.raises(InputError, match=r"uncal.fits: columns 4 to 75 of the detector; the reference columns 0 to 3"):
        ReferencePixelStep.call(ramp)


def test_one_group_has_no_drift(make_lrs_ramp):
    ramp = make_lrs_ramp(n_ints=1, n_groups=1)
    for smoothing in ("median", "gaussian", "auto"):
        assert_array_equal(ReferencePixelStep.call(ramp, smoothing=smoothing).data, ramp.data)


def test_record_survives_saving(drifting, tmp_path):
    ramp, _ = drifting
    path = tmp_path / "corrected.fits"
    ReferencePixelStep.call(ramp, smoothing="auto").save(str(path))
    with models.open_as(path, type(ramp)) as again:
        record = models.records(again)["reference_pixel"]
    assert record["estimator"].startswith("spline")
    assert record["length_rows"] > 100
    assert 0 < record["correction_noise_dn"] < 2


def test_figure_is_written(drifting, tmp_path):
    ramp, _ = drifting
    ReferencePixelStep.call(ramp, draw_correction=True, output_dir=str(tmp_path))
    (figure,) = tmp_path.glob("*_uncal_reference_pixel.png")
    assert figure.stat().st_size > 10_000
