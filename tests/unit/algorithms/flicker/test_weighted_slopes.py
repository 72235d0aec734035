"""1/f noise of slopes whose fit weighted the groups otherwise than that of the faint pixels beside them."""

import numpy as np
import pytest

from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.flicker.weighted_slopes import NO_CLASS, WeightedSlopes, differences, stripes_of_weights
from detectorist.engine.ramp_fit import fit_ramps, weight_classes, weights_of_classes

N_INTS, N_GROUPS, NY, NX = 4, 8, 120, 120
GAIN, READ_DN, FLICKER_DN, GROUP_S = 2.0, 4.0, 4.0, 1.0
RADIUS = np.hypot(*(np.mgrid[:NY, :NX] - 59.5))


def one_over_f(rng, rms):
    """1/f noise on the time line of one output, 12 pixel times between rows."""
    n = NY * (NX + 12)
    amplitude = np.r_[0.0, np.fft.rfftfreq(n)[1:] ** -0.5]
    line = np.fft.irfft(amplitude * (rng.normal(size=(2, amplitude.size)) * [[1], [1j]]).sum(axis=0), n)
    return (rms * line / line.std()).reshape(NY, -1)[:, :NX]


def exposure(rng):
    """Return the slopes of a star, with their rates, true light, and true 1/f noise of the groups."""
    light = 2 + 400 * np.exp(-RADIUS / 6)
    electrons = rng.poisson(light * GAIN * GROUP_S, (N_INTS, N_GROUPS, NY, NX)).cumsum(axis=1)
    noise = np.array([one_over_f(rng, FLICKER_DN) for _ in range(N_INTS * N_GROUPS)]).reshape(electrons.shape)
    ramp = (electrons / GAIN + noise + READ_DN * rng.normal(size=electrons.shape)).astype(np.float32)
    gain, read = np.full((NY, NX), GAIN, np.float32), np.full((NY, NX), np.sqrt(2) * READ_DN, np.float32)
    classes = weight_classes(ramp[:, -1] - ramp[:, 0], gain, read, n_frames=1)
    flags, times = np.zeros(ramp.shape, np.uint8), {"group_time_s": GROUP_S, "frame_time_s": GROUP_S, "n_frames": 1}
    fit = fit_ramps(ramp, flags, np.zeros((NY, NX), np.uint32), gain, read, **times)
    return WeightedSlopes(ramp, classes, weights_of_classes(N_GROUPS) / GROUP_S), fit.rateints.slope, light, noise


def test_classes_and_weights_are_those_of_the_fit(rng):
    slopes, rates, *_ = exposure(rng)
    assert len(np.unique(slopes.classes)) >= 5
    product = np.einsum("iyxg,igyx->iyx", slopes.weights[slopes.classes], slopes.ramp.astype(float))
    np.testing.assert_allclose(rates, product, atol=2e-4 * np.abs(rates).max())
    assert np.median(np.abs(rates - product)) < 1e-3


def test_bright_pixels_keep_no_noise_that_faint_ones_do_not_have(rng):
    before, after = [], []
    for _ in range(4):
        slopes, _, _, noise = exposure(rng)
        got = stripes_of_weights(slopes, np.zeros((NY, NX), bool), readout=alternating_readout(NX))
        beyond = slopes.weights - slopes.weights[0]
        true = np.einsum("iyxg,igyx->iyx", beyond[slopes.classes], noise)
        bright = RADIUS < 20
        before += list(true[:, bright].mean(axis=1))
        after += list((true - got.stripes)[:, bright].mean(axis=1))
        assert (got.stripes[slopes.classes == 0] == 0).all()
        assert (got.variance[slopes.classes == 0] == 0).all()
        pull = ((true - got.stripes) / np.sqrt(np.where(got.variance > 0, got.variance, 1)))[slopes.classes >= 3]
        assert 0.7 < pull.std() < 1.3
    assert np.std(after) < 0.35 * np.std(before)


def test_a_star_alone_gives_no_stripes(rng):
    slopes, *_ = exposure(rng)
    light = 2 + 400 * np.exp(-RADIUS / 6)
    ramp = light * np.arange(N_GROUPS)[:, None, None] + READ_DN * rng.normal(size=slopes.ramp.shape)
    got = stripes_of_weights(
        slopes._replace(ramp=ramp.astype(np.float32)), np.zeros((NY, NX), bool), readout=alternating_readout(NX)
    )
    bright = RADIUS < 20
    assert np.abs(got.stripes[:, bright].mean(axis=1)).max() < 2e-4 * light[bright].mean()


def test_ramps_with_flags_have_no_part(rng):
    slopes, *_ = exposure(rng)
    flagged = RADIUS < 5
    slopes.classes[:, flagged] = NO_CLASS
    spoiled = slopes.ramp.copy()
    spoiled[:, :, flagged] = 1e6
    clear, readout = np.zeros((NY, NX), bool), alternating_readout(NX)
    got = stripes_of_weights(slopes, clear, readout=readout)
    again = stripes_of_weights(slopes._replace(ramp=spoiled), clear, readout=readout)
    assert (got.stripes[:, flagged] == 0).all()
    np.testing.assert_array_equal(got.stripes, again.stripes)


def test_differences_of_classes_that_no_pixel_has_are_not_followed():
    weights = weights_of_classes(10)
    basis, parts = differences(weights, np.array([True] + [False] * 5))
    assert len(basis) == 0
    assert parts.shape == (6, 0)
    basis, parts = differences(weights, np.ones(6, bool))
    assert 1 <= len(basis) <= 2
    left = weights - weights[0] - parts @ basis
    assert np.linalg.norm(left, axis=1).max() < 0.1 * np.linalg.norm(weights[0])
    assert len(differences(weights_of_classes(3), np.ones(6, bool))[0]) == 0


def test_shapes_must_agree(rng):
    slopes, *_ = exposure(rng)
    readout = alternating_readout(NX)
    with pytest.raises(ValueError, match="do not agree"):
        stripes_of_weights(slopes._replace(weights=slopes.weights[:, 1:]), np.zeros((NY, NX), bool), readout=readout)
    with pytest.raises(ValueError, match="do not agree"):
        stripes_of_weights(slopes, np.zeros((NY, NX - 1), bool), readout=readout)
