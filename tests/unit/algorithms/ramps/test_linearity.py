"""The self-made non-linearity correction: ramps that were bent on purpose come out straight."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms import dq
from detectorist.algorithms.ramps import linearity
from detectorist.errors import ParameterError, TooFewPixels

GAIN = 3.1
FULL = 40000.0
GROUPS = {"group_idx_start_fit": 10, "group_idx_end_fit": 40, "group_idx_start_derive": 10, "group_idx_end_derive": -1}
ROWS = {"row_idx_start_used": 60, "row_idx_end_used": 140}


def bend(linear, loss, output):
    """Return measured DN: 1 at small signals, `loss` missing at FULL, a little different for each output."""
    return linear - loss * (1 + 0.2 * (output - 1.5)) * linear * (np.clip(linear, 0, None) / FULL) ** 3


def make_ramps(rng, n_ints=4, n_groups=100, loss=0.07, pedestal=9000.0, noise=6.0):
    """Return measured ramps, the same without noise, and the pedestals. Columns 30 to 45 of 48 hold the trace."""
    ny, nx = 150, 48
    spectrum = 0.05 + np.exp((np.arange(ny) - 140) / 60.0)
    rate = FULL / n_groups * (spectrum[:, None] * np.exp(-0.5 * ((np.arange(nx) - 36) / 1.7) ** 2) + 0.005)
    rate *= 0.95 / rate[140].max() * FULL / n_groups
    zero = pedestal + 50 * rng.normal(size=(ny, nx)) * (pedestal > 0)
    output = np.arange(nx) % 4
    linear = rng.poisson(np.broadcast_to(rate * GAIN, (n_ints, n_groups, ny, nx))).cumsum(axis=1) / GAIN
    data = zero + bend(linear, loss, output) + noise * rng.normal(size=linear.shape)
    truth = zero + bend(rate * np.arange(1, n_groups + 1)[:, None, None], loss, output)
    return data.astype(np.float32), truth[None], zero


def departure_pct(ramps, groups, rows, columns=slice(34, 39)):
    """Return rms and largest departure from straight lines, % of each ramp's rise: (n_rows, n_columns) each."""
    used = ramps[0][groups][:, rows, columns].reshape(len(groups), -1)
    line = np.polynomial.polynomial.polyfit(groups, used, 1)
    left = used - np.polynomial.polynomial.polyval(groups, line).T
    rise = used[-1] - used[0]
    return 100 * left.std(axis=0) / rise, 100 * np.abs(left).max(axis=0) / rise


@pytest.mark.parametrize("pedestal", [0.0, 9000.0])
@pytest.mark.parametrize("loss", [0.04, 0.08])
def test_bent_ramps_come_out_straight(rng, pedestal, loss):
    data, truth, _ = make_ramps(rng, pedestal=pedestal, loss=loss)
    fit = linearity.fit_linearity(data, **GROUPS, **ROWS)
    groups = np.arange(10, 99)
    before, _ = departure_pct(truth, groups, slice(60, 140))
    after, worst = departure_pct(linearity.correct_linearity(truth, fit.coefficients), groups, slice(60, 140))
    assert before.max() > 5 * after.max()
    assert after.max() < 0.1
    assert np.median(after) < 0.03
    assert np.median(worst) < 0.1
    assert fit.left_pct.max() < 0.1


def test_slopes_of_the_linear_section_stay(rng):
    data, truth, _ = make_ramps(rng)
    fit = linearity.fit_linearity(data, **GROUPS, **ROWS)
    corrected = linearity.correct_linearity(truth, fit.coefficients)

    def slope(ramps):
        return (ramps[0, 39] - ramps[0, 10])[60:140, 34:39]

    assert_allclose((slope(corrected) / slope(truth)).mean(), 1.0, atol=0.003)
    # And of every output alike: pixels of neighbouring columns keep their ratio.
    assert_allclose((slope(corrected) / slope(truth)).mean(axis=0), 1.0, atol=0.006)


def test_a_linear_detector_gets_no_correction(rng):
    data, truth, _ = make_ramps(rng, loss=0.0)
    fit = linearity.fit_linearity(data, **GROUPS, **ROWS)
    corrected = linearity.correct_linearity(truth, fit.coefficients)
    after, _ = departure_pct(corrected, np.arange(10, 99), slice(60, 140))
    assert after.max() < 0.1


def test_constant_and_linear_terms_are_fixed_and_every_integration_is_a_sample(rng):
    data, _, _ = make_ramps(rng, n_ints=3)
    fit = linearity.fit_linearity(data, **GROUPS, **ROWS)
    assert fit.coefficients.shape == (4, 5)
    assert_array_equal(fit.coefficients[:, :2], [[0.0, 1.0]] * 4)
    # Columns 34 to 38: output 2 reads two of them.
    assert fit.n_ramps.sum() + fit.n_left_out == 5 * 3 * 80
    assert fit.n_left_out <= 3
    assert_allclose(fit.n_ramps, [240, 240, 480, 240], atol=3)
    reordered = linearity.fit_linearity(data[::-1], **GROUPS, **ROWS)
    assert_allclose(fit.coefficients, reordered.coefficients, rtol=1e-6)


def test_ends_are_exclusive_and_minus_one_leaves_out_the_last_group(rng):
    data, _, _ = make_ramps(rng, n_ints=2)
    spoiled = data.copy()
    spoiled[:, -1] -= 300
    spoiled[:, :10] += 500
    spoiled[:, :, 140:] = 0
    clean = linearity.fit_linearity(data, **GROUPS, **ROWS)
    assert_array_equal(linearity.fit_linearity(spoiled, **GROUPS, **ROWS).coefficients, clean.coefficients)
    named = {**GROUPS, "group_idx_end_derive": 99}
    assert_array_equal(linearity.fit_linearity(data, **named, **ROWS).coefficients, clean.coefficients)
    assert clean.measured[0].shape[1] == 89


def test_flags_nan_clipping_and_cosmic_rays_leave_ramps_out(rng):
    data, _, _ = make_ramps(rng, n_ints=2)
    flags = np.zeros(data.shape, np.uint8)
    spoiled = data.copy()
    flags[0, 50:, 100, 36] = dq.SATURATED
    flags[1, 30, 101, 36] = dq.JUMP_DET
    spoiled[0, 50:, 100, 36] = 1e9
    spoiled[1, 30:, 101, 36] += 1e6
    spoiled[0, 20, 102, 36] = np.nan
    spoiled[1, 70:, 103, 36] = 65535
    spoiled[0, 60:, 104, 36] += 2000
    flags[:, 0] = dq.DO_NOT_USE
    flags[:, 55] = dq.DO_NOT_USE
    fit = linearity.fit_linearity(spoiled, flags, **GROUPS, **ROWS)
    assert 5 <= fit.n_left_out <= 7  # a noisy ramp in a thousand may look like a cosmic ray
    clean = linearity.fit_linearity(data, **GROUPS, **ROWS)
    probe = np.linspace(12000, 45000, 20)[:, None] * np.ones(4)
    change = linearity.correct_linearity(probe, fit.coefficients) - linearity.correct_linearity(
        probe, clean.coefficients
    )
    assert np.ptp(change[:, 0]) < 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group_idx_end_fit": 120}, "group_idx_end_fit = 120"),
        ({"group_idx_start_fit": 38}, "choose 2 of 100 groups; at least 5"),
        ({"group_idx_start_fit": -3}, "group_idx_start_fit = -3"),
        ({"group_idx_start_derive": 95}, "at least 8"),
        ({"group_idx_end_derive": 40}, "the curvature cannot be measured"),
        ({"row_idx_start_used": 140, "row_idx_end_used": 60}, "rows 140 to 60"),
        ({"row_idx_end_used": 400}, "150 rows"),
        ({"trace_columns": (34, 35, 36)}, "do not cover all 4 outputs"),
        ({"trace_columns": (60, 61, 62, 63)}, "48 columns"),
    ],
)
def test_wrong_ranges_are_refused_with_numbers(rng, change, message):
    data = np.zeros((1, 100, 150, 48), np.float32)
    with pytest.raises(ParameterError, match=message):
        linearity.fit_linearity(data, **{**GROUPS, **ROWS, **change})


def test_its_own_defaults_on_short_ramps_say_what_is_missing():
    with pytest.raises(ParameterError, match=r"choose 10 of 20 groups; at least|group_idx_end_fit = 40"):
        linearity.fit_linearity(np.zeros((1, 20, 416, 72), np.float32))


def test_no_usable_ramp_is_an_error_with_the_output():
    with pytest.raises(ParameterError, match="output 0: none of"):
        linearity.fit_linearity(np.full((1, 100, 150, 48), np.nan, np.float32), **GROUPS, **ROWS)


def test_detector_coefficients(rng):
    coefficients = np.array([[0, 1, a + 1, 0, 0] for a in range(4)], float)
    cube = linearity.detector_coefficients(coefficients, (6, 12))
    assert cube.shape == (5, 6, 12)
    assert cube.dtype == np.float32
    assert_array_equal(cube[:, :, :4], 0)
    assert_array_equal(cube[2, 3], [0, 0, 0, 0, 1, 2, 3, 4, 1, 2, 3, 4])
    assert_array_equal(cube[1, :, 4:], 1)


def test_correction_evaluates_the_polynomial_of_each_output(rng):
    data = rng.uniform(0, 3, size=(2, 3, 4, 7))
    coefficients = rng.normal(size=(4, 5))
    got = linearity.correct_linearity(data, coefficients, first_column=3)
    for column in range(7):
        c = coefficients[(column + 3) % 4]
        x = data[..., column]
        assert_allclose(got[..., column], c[0] + c[1] * x + c[2] * x**2 + c[3] * x**3 + c[4] * x**4)


def test_ramps_that_do_not_rise_are_refused(rng):
    """A quantised ramp without light has a slope of exactly zero here and there."""
    data = np.zeros_like(make_ramps(rng)[0])
    with pytest.raises(TooFewPixels, match="source in the frame"):
        linearity.fit_linearity(data, **GROUPS, **ROWS)
