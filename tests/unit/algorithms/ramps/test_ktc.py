"""kTC: the injected offset comes back, whatever cosmic rays, saturation and flags leave of the ramp."""

import numpy as np
import pytest

from detectorist.algorithms import dq
from detectorist.algorithms.ramps import _ktc_nb
from detectorist.algorithms.ramps.ktc import group_times, measure_ktc, subtract_offsets

N_INTS, N_GROUPS, NY, NX = 6, 5, 12, 14
READ_NOISE, KTC = 9.0, 35.0


@pytest.fixture
def times():
    return 4.28 * np.arange(1, N_GROUPS + 1)


@pytest.fixture
def scene(rng, times):
    """Ramps with kTC, read noise and a scene; the offsets are the truth."""
    slope = rng.uniform(0, 40, (NY, NX))
    ktc = KTC * rng.normal(size=(N_INTS, NY, NX))
    noise = READ_NOISE * rng.normal(size=(N_INTS, N_GROUPS, NY, NX))
    ramp = slope * times[None, :, None, None] + ktc[:, None] + noise
    return ramp, np.zeros(ramp.shape, np.uint8), ktc, slope


def test_offsets_come_back_within_their_error(scene, times):
    ramp, flags, ktc, slope = scene
    got = measure_ktc(ramp, flags, times)
    left = got.offset - ktc
    info = ((times - times.mean()) ** 2).sum()
    expected = READ_NOISE * np.sqrt(1 / N_GROUPS + 1.4 * times.mean() ** 2 / info / N_INTS)
    assert abs(left.std() / expected - 1) < 0.15
    assert abs(left.mean()) < 4 * expected / np.sqrt(NY * NX)
    assert got.measured.all()
    assert abs(np.mean(got.slope - slope)) < 4 * READ_NOISE / np.sqrt(info * NY * NX)


def test_jump_leaves_no_step_in_the_offset(scene, times):
    """Groups after a cosmic ray of thousands of DN tell the slope, never the offset."""
    ramp, flags, ktc, _ = scene
    for group in range(1, N_GROUPS):
        ramp[1, group:, :, group] += 5000.0
        flags[1, group, :, group] |= dq.JUMP_DET
    left = measure_ktc(ramp, flags, times).offset - ktc
    assert np.abs(left[1, :, 1:N_GROUPS]).max() < 5 * READ_NOISE * 1.2
    assert left[1, :, 1:N_GROUPS].std() < 2 * READ_NOISE


def test_ramp_with_only_its_first_group_has_an_offset(scene, times):
    """The slope comes from the other integrations."""
    ramp, flags, ktc, _ = scene
    flags[2, 1:, 3:6] |= dq.SATURATED
    ramp[2, 1:, 3:6] = 60000
    got = measure_ktc(ramp, flags, times)
    assert got.measured[2, 3:6].all()
    assert np.abs((got.offset - ktc)[2, 3:6]).max() < 5 * READ_NOISE * 1.2


def test_pixel_with_only_first_groups_keeps_its_signal(scene, times):
    ramp, flags, _ktc, slope = scene
    flags[:, 1:, 4, 4] |= dq.SATURATED
    got = measure_ktc(ramp, flags, times)
    corrected = subtract_offsets(ramp, got)[:, 0, 4, 4]
    assert np.isnan(got.slope[4, 4])
    assert np.ptp(corrected) < 1e-3 * KTC
    assert abs(corrected[0] - slope[4, 4] * times[0]) < 5 * (KTC + READ_NOISE) / np.sqrt(N_INTS)


def test_unflagged_jump_in_one_integration_does_not_enter_the_others(scene, times):
    ramp, flags, _ktc, _ = scene
    clean = measure_ktc(ramp, flags, times).offset
    ramp[0, 2:, 5, 5] += 40000.0
    got = measure_ktc(ramp, flags, times).offset
    assert np.abs(got - clean)[1:, 5, 5].max() < 2 * READ_NOISE


@pytest.mark.parametrize("spoil", ["nan", "do_not_use", "saturated", "above_sat_frac"])
def test_excluded_samples_have_no_influence(scene, times, spoil):
    ramp, flags, _, _ = scene
    level = np.full((NY, NX), 60000.0)
    where = (slice(None), 4, 6)
    if spoil != "nan":
        flags[where] |= {"do_not_use": dq.DO_NOT_USE, "saturated": dq.SATURATED}.get(spoil, 0)
    results = []
    for value in (31000.0, 55000.0):
        ramp[where] = np.nan if spoil == "nan" else value
        results.append(measure_ktc(ramp, flags, times, saturation=level))
    np.testing.assert_array_equal(results[0].offset, results[1].offset)
    assert np.isfinite(results[0].offset).all()


def test_limit_is_relaxed_where_it_leaves_no_slope(scene, times):
    ramp, flags, ktc, _ = scene
    ramp[:, :, 7, 7] += 30000
    got = measure_ktc(ramp, flags, times, saturation=np.full((NY, NX), 50000.0), sat_frac=0.5)
    assert abs(np.median(got.offset[:, 7, 7] - ktc[:, 7, 7] - 30000)) < 4 * READ_NOISE


def test_nothing_usable_is_zero_and_said_so(scene, times):
    ramp, flags, _, _ = scene
    flags[:, :, 0, 0] |= dq.DO_NOT_USE
    flags[3, :, 1, 1] |= dq.SATURATED
    ramp[4, :, 2, 2] = np.nan
    got = measure_ktc(ramp, flags, times)
    for where in [(slice(None), 0, 0), (3, 1, 1), (4, 2, 2)]:
        assert not got.measured[where].any()
        assert not got.offset[where].any()
    assert got.measured.sum() == N_INTS * NY * NX - N_INTS - 2


def test_one_integration_is_the_plain_intercept(scene, times):
    ramp, flags, _, _ = scene
    got = measure_ktc(ramp[:1], flags[:1], times)
    intercept = np.polyfit(times, ramp[0].reshape(N_GROUPS, -1), 1)[1].reshape(NY, NX)
    np.testing.assert_allclose(got.offset[0], intercept, atol=1e-3)


def test_input_is_untouched_and_float32_is_near_float64(scene, times):
    ramp, flags, _, _ = scene
    ramp.flags.writeable = flags.flags.writeable = False
    wide = measure_ktc(ramp, flags, times)
    narrow = measure_ktc(ramp.astype(np.float32), flags, times)
    np.testing.assert_allclose(narrow.offset, wide.offset, atol=1e-3)
    assert subtract_offsets(ramp.astype(np.float32), wide).dtype == np.float32


def test_kernel_equals_its_python(scene, times):
    ramp, flags, _, _ = scene
    flags[1, 3, :, 2] |= dq.JUMP_DET
    flags[:, 1:, 3, 3] |= dq.SATURATED
    ramp[0, 2, 5, 5] = np.nan
    got = measure_ktc(ramp, flags, times)
    fits = np.empty((5, N_INTS, NX))
    compiled = np.empty_like(fits)
    limit = np.full(NX, np.inf)
    for y in range(NY):
        arguments = (ramp, flags, times, y, limit, np.uint8(3), np.uint8(4))
        _ktc_nb._fit_row.py_func(*arguments, fits)
        _ktc_nb._fit_row(*arguments, compiled)
        np.testing.assert_allclose(fits, compiled, rtol=1e-12)
    offset, measured = np.zeros((N_INTS, NY, NX), np.float32), np.zeros((N_INTS, NY, NX), np.bool_)
    slope = np.zeros((NY, NX), np.float32)
    _ktc_nb.fit_offsets.py_func(
        ramp, flags, times, np.full((NY, NX), np.inf), np.uint8(3), np.uint8(4), offset, slope, measured
    )
    np.testing.assert_array_equal(measured, got.measured)
    np.testing.assert_allclose(offset, got.offset, atol=1e-4)


def test_shapes_and_fraction_are_checked(scene, times):
    ramp, flags, _, _ = scene
    with pytest.raises(ValueError, match="do not agree"):
        measure_ktc(ramp, flags[:1], times)
    with pytest.raises(ValueError, match="sat_frac is 0"):
        measure_ktc(ramp, flags, times, sat_frac=0)


def test_group_times_are_those_of_the_averaged_frames():
    np.testing.assert_allclose(group_times(3, group_time_s=1.07), [1.07, 2.14, 3.21])
    # MEDIUM8: eight frames averaged, two skipped
    np.testing.assert_allclose(group_times(2, group_time_s=10.0, frame_time_s=1.0, n_frames=8), [4.5, 14.5])
