"""The smoother of one output is the exact posterior of its model, and knows its own error."""

import numpy as np
import pytest

from detectorist.algorithms.flicker import _stack_nb as kernels
from detectorist.algorithms.flicker.smoother import FlickerNoise, alternating_readout
from detectorist.algorithms.flicker.stack import (
    SmootherRun,
    fit_spectrum,
    shrunk_columns,
    smooth_flicker,
    white_beside_flicker,
)
from detectorist.errors import ParameterError, TooFewPixels

NY, NX = 96, 128
SCALES = np.geomspace(6.0, NY * (NX + 12) / 3, 4)
VARIANCES = np.array([0.10, 0.12, 0.15, 0.15])
WHITE = 0.25


@pytest.fixture
def readout():
    return alternating_readout(NX)


def flicker(rng, *, reverse=False):
    """One image of the model's own noise, (NY, NX), and white noise of variance WHITE."""
    n = NY * (NX + 12)
    line = np.zeros(n)
    for scale, variance in zip(SCALES, VARIANCES, strict=True):
        factor = np.exp(-1 / scale)
        steps = rng.normal(size=n) * np.sqrt(variance * (1 - factor**2))
        steps[0] = rng.normal() * np.sqrt(variance)
        for t in range(1, n):
            steps[t] += factor * steps[t - 1]
        line += steps
    image = line.reshape(NY, NX + 12)[:, :NX]
    return (image[:, ::-1] if reverse else image), np.sqrt(WHITE) * rng.normal(size=(NY, NX))


@pytest.fixture
def noise():
    return FlickerNoise(WHITE, SCALES, np.zeros(4), VARIANCES)


def test_smoother_is_the_posterior_of_the_gaussian_process(rng):
    n, n_blocks = 180, 60
    counts = np.where(rng.random(n) < 0.1, 0, 2).astype(np.float32)
    values = rng.normal(size=n).astype(np.float32)
    factors = np.exp(-np.array([[2.0], [14.0]]) / SCALES)
    line, spread = np.empty(n, np.float32), np.empty(n, np.float32)
    kernels.smooth(values, counts, WHITE, VARIANCES, factors, n_blocks, True, line, spread)
    time = np.cumsum([14.0 if t % n_blocks == 0 else 2.0 for t in range(n)])
    lag = np.abs(time[:, None] - time)
    prior = sum(v * np.exp(-lag / s) for v, s in zip(VARIANCES, SCALES, strict=True))
    seen = counts > 0
    weights = prior[:, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)] + WHITE / 2 * np.eye(seen.sum()))
    np.testing.assert_allclose(line, weights @ values[seen], atol=2e-6)
    np.testing.assert_allclose(spread, np.diag(prior - weights @ prior[seen]), atol=2e-6)


def test_smoother_around_a_gap_is_the_posterior_of_what_is_outside_it(rng):
    n, n_blocks, gap = 180, 60, 3
    counts = np.where(rng.random(n) < 0.1, 0, 2).astype(np.float32)
    values = rng.normal(size=n).astype(np.float32)
    factors = np.exp(-np.array([[2.0], [14.0]]) / SCALES)
    line, spread = np.empty(n, np.float32), np.empty(n, np.float32)
    kernels.smooth_around(values, counts, WHITE, VARIANCES, factors, n_blocks, gap, line, spread)
    time = np.cumsum([14.0 if t % n_blocks == 0 else 2.0 for t in range(n)])
    lag = np.abs(time[:, None] - time)
    prior = sum(v * np.exp(-lag / s) for v, s in zip(VARIANCES, SCALES, strict=True))
    for t in (0, 2, 30, 59, 60, 61, 100, 179):
        seen = (counts > 0) & (np.abs(np.arange(n) - t) > gap)
        weights = prior[t, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)] + WHITE / 2 * np.eye(seen.sum()))
        np.testing.assert_allclose(line[t], weights @ values[seen], atol=2e-6)
        np.testing.assert_allclose(spread[t], prior[t, t] - weights @ prior[seen, t], atol=2e-6)


def test_kernels_equal_their_python(rng):
    n, n_blocks = 40, 20
    counts = np.where(rng.random(n) < 0.2, 0, 2).astype(np.float32)
    values = rng.normal(size=n).astype(np.float32)
    factors = np.exp(-np.array([[2.0], [14.0]]) / SCALES)
    results = np.empty((2, 2, n), np.float32)
    for function, result in zip((kernels.smooth, kernels.smooth.py_func), results, strict=True):
        function(values, counts, WHITE, VARIANCES, factors, n_blocks, True, *result)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    for function, result in zip((kernels.smooth_around, kernels.smooth_around.py_func), results, strict=True):
        function(values, counts, WHITE, VARIANCES, factors, n_blocks, 2, *result)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
    image = rng.normal(size=(4, 9)).astype(np.float32)
    weight = np.where(rng.random(image.shape) < 0.8, rng.random(image.shape), 0).astype(np.float32)
    for layout in ((2, 0, 0), (4, 1, 1)):
        outputs = np.zeros((2, 2, 4 * -(-9 // layout[0])), np.float32)
        painted = np.zeros((2, *image.shape), np.float32)
        for k, wrap in enumerate((lambda f: f, lambda f: f.py_func)):
            arguments = (image, weight, np.zeros(9, np.float32), np.zeros_like(image), np.float32(2), layout)
            wrap(kernels.block_means)(*arguments, *outputs[k])
            wrap(kernels.paint)(outputs[k, 0], painted[k], layout, True)
        np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
        np.testing.assert_allclose(painted[0], painted[1], atol=1e-6)


@pytest.mark.parametrize("direction", [1, -1])
def test_noise_is_found_within_its_error(rng, noise, direction):
    truth, white = flicker(rng, reverse=direction < 0)
    mask = rng.random((NY, NX)) < 0.05
    mask[30:60, 50:90] = True
    readout = alternating_readout(NX, fast_direction=direction)
    got = smooth_flicker(truth + white, mask, noise, readout=readout, columns=False)
    left = got.pattern + got.level - truth
    inside = (slice(32, 58), slice(54, 86))
    for part in (~mask, inside):
        pull = left[part] / np.sqrt(got.variance[part] + 0.02)
        assert 0.8 < pull.std() < 1.2
    assert left[~mask].std() < 0.6 * truth.std()


def test_spectrum_is_fitted(rng, readout):
    spectra = [fit_spectrum(sum(flicker(rng)), np.zeros((NY, NX), bool), readout=readout) for _ in range(4)]
    white = np.mean([one.white for one in spectra])
    assert abs(white / WHITE - 1) < 0.15
    assert abs(np.mean([one.own[:3].sum() for one in spectra]) / VARIANCES[:3].sum() - 1) < 0.35


def test_white_noise_is_left_as_it_is(rng, readout):
    image = rng.normal(size=(NY, NX))
    mask = np.zeros(image.shape, bool)
    found = fit_spectrum(image, mask, readout=readout)
    got = smooth_flicker(image, mask, found, readout=readout)
    assert got.pattern.std() < 0.01
    assert got.columns.std() < 0.03


def test_noise_that_grows_toward_the_middle_is_not_flicker(rng, readout):
    """Pairs far apart leave out the edges: photon noise of a star there must not pass for noise of long lags."""
    yy, xx = np.mgrid[:NY, :NX]
    sigma = 1 + 0.5 * np.exp(-((yy - NY / 2) ** 2 + (xx - NX / 2) ** 2) / 800)
    images = sigma * rng.normal(size=(6, NY, NX))
    found = fit_spectrum(images, np.zeros(images.shape, bool), readout=readout)
    assert not found.own.any()
    assert found.unresolved == 0


def test_spectrum_of_several_images_is_that_of_one(rng, readout):
    images = np.stack([sum(flicker(rng)) for _ in range(4)])
    clear = np.zeros(images.shape, bool)
    clear[2] = True
    found = fit_spectrum(images, clear, readout=readout)
    assert abs(found.white / WHITE - 1) < 0.15
    assert abs(found.own[:3].sum() / VARIANCES[:3].sum() - 1) < 0.35


@pytest.mark.parametrize("slope", [0.7, 1.0, 1.3])
def test_white_noise_is_told_from_flicker_of_any_slope(rng, slope):
    n = 400_000
    frequency = np.fft.rfftfreq(n)
    amplitude = np.r_[0.0, frequency[1:] ** (-slope / 2)]
    line = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)), n)
    line = line / line.std() + 0.5 * rng.normal(size=n)
    half_squares = np.array([0.5 * np.mean((line[lag:] - line[:-lag]) ** 2) for lag in (1, 2, 3, 4, 6, 8, 12, 16)])
    assert abs(white_beside_flicker(half_squares) - 0.25) < 0.05


def test_with_a_gap_a_small_source_does_not_enter_its_own_noise(rng, noise, readout):
    image, mask = sum(flicker(rng)), np.zeros((NY, NX), bool)
    yy, xx = np.mgrid[:NY, :NX]
    source = 0.8 * np.exp(-0.5 * ((yy - 40) ** 2 + (xx - 70) ** 2))
    under = np.hypot(yy - 40, xx - 70) < 3

    def taken(gap_pix):
        found = [smooth_flicker(im, mask, noise, readout=readout, gap_pix=gap_pix) for im in (image, image + source)]
        before, after = (one.pattern + one.columns + one.level for one in found)
        return (after - before)[under].sum() / source[under].sum()

    assert taken(0) > 0.3
    assert abs(taken(8)) < 0.03


def test_errors_with_a_gap_are_right(rng, noise, readout):
    truth, white = flicker(rng)
    columns = 0.3 * rng.normal(size=NX)
    clear = np.zeros((NY, NX), bool)
    got = smooth_flicker(truth + white + columns, clear, noise, readout=readout, gap_pix=8)
    left = got.pattern + got.columns + got.level - truth - columns
    assert 0.8 < (left / np.sqrt(got.variance + got.column_variance)).std() < 1.2
    assert got.columns.shape == (NY, NX)
    assert not got.used.any()
    nothing = FlickerNoise(WHITE, SCALES, np.zeros(4), np.zeros(4))
    assert np.abs(smooth_flicker(white, clear, nothing, readout=readout, gap_pix=8).pattern).max() < 1e-3


def test_a_pixel_of_weight_w_is_one_of_noise_1_over_w(rng, noise):
    """Against the posterior with the whole covariance matrix, on the blocks of the smoother."""
    ny, nx = 12, 20
    image = rng.normal(size=(ny, nx)).astype(np.float32)
    weight = np.repeat(rng.choice([0.0, 0.25, 1.0], (ny, nx // 2)), 2, axis=1)
    readout = alternating_readout(nx, 1)
    got = smooth_flicker(image, weight == 0, noise, readout=readout, weight=weight, columns=False, clip_sigma=np.inf)
    time = (np.arange(ny)[:, None] * (nx + readout.overhead_pix) + 2.0 * np.arange(nx // 2)).ravel()
    means, counts = image.reshape(ny, -1, 2).mean(axis=2).ravel() - got.level, 2 * weight[:, ::2].ravel()
    prior = np.exp(-np.abs(time[:, None, None] - time[:, None]) / SCALES) @ VARIANCES
    seen = counts > 0
    gain = prior[:, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)] + np.diag(WHITE / counts[seen]))
    middle = got.pattern.reshape(ny, -1, 2).mean(axis=2)[:, 1:-1]  # lines between the centres of blocks mix in others
    want = (gain @ means[seen]).reshape(ny, -1)
    want = 0.125 * want[:, :-2] + 0.75 * want[:, 1:-1] + 0.125 * want[:, 2:]
    np.testing.assert_allclose(middle, want, atol=1e-5)
    variance = np.diag(prior - gain @ prior[seen]).reshape(ny, -1)
    np.testing.assert_allclose(got.variance[:, ::2], variance, atol=1e-5)


def test_masked_pixels_and_cosmic_rays_have_no_influence(rng, noise, readout):
    image = sum(flicker(rng))
    mask = rng.random(image.shape) < 0.05
    hit = np.zeros(image.shape, bool)
    hit[[10, 40, 41, 70], [20, 60, 61, 100]] = True
    clean = smooth_flicker(image, mask | hit, noise, readout=readout)
    spoilt = np.where(mask, np.nan, np.where(hit, 5000.0, image))
    got = smooth_flicker(spoilt, mask, noise, readout=readout)
    np.testing.assert_allclose(got.pattern + got.level, clean.pattern + clean.level, atol=1e-4)
    assert not got.used[hit | mask].any()


def test_columns_are_found_and_shrunk(rng):
    columns = 0.2 * rng.normal(size=300)
    values = columns + rng.normal(size=(80, 300))
    got, variance, power = shrunk_columns(values, np.ones(values.shape, bool))
    assert abs(power / columns.var() - 1) < 0.2
    pull = (got - columns + columns.mean()) / np.sqrt(variance)
    assert 0.85 < pull.std() < 1.15
    gradient = np.linspace(-5, 5, 300) + 0 * values
    np.testing.assert_allclose(shrunk_columns(gradient, np.ones(values.shape, bool))[0], 0, atol=1e-9)


def test_float32_is_near_float64_and_input_untouched(rng, noise, readout):
    image = sum(flicker(rng))
    mask = np.zeros(image.shape, bool)
    image.flags.writeable = mask.flags.writeable = False
    wide = smooth_flicker(image, mask, noise, readout=readout).pattern
    np.testing.assert_allclose(
        smooth_flicker(image.astype(np.float32), mask, noise, readout=readout).pattern, wide, atol=1e-5
    )


def test_what_does_not_fit_is_refused(rng, noise, readout):
    image, mask = np.zeros((NY, NX)), np.zeros((NY, NX), bool)
    with pytest.raises(ParameterError, match="one of 128 columns"):
        smooth_flicker(image, mask, noise, readout=alternating_readout(NX, 4))
    five = FlickerNoise(1.0, np.ones(5), np.zeros(5), np.ones(5))
    with pytest.raises(ParameterError, match="5 processes"):
        smooth_flicker(image, mask, five, readout=readout)
    with pytest.raises(TooFewPixels):
        fit_spectrum(image, ~mask, readout=readout)


def test_sets_of_values_on_the_same_pixels_are_smoothed_as_each_alone(rng, noise, readout):
    run = SmootherRun(noise, readout, (NY, NX), 8)
    counts = np.where(rng.random(NY * NX // 8) < 0.2, 0, 8 * rng.random(NY * NX // 8)).astype(np.float32)
    sets = rng.normal(size=(19, counts.size)).astype(np.float32)
    alone = np.array([run.informed(one, counts) for one in sets])
    np.testing.assert_array_equal(run.all_informed(sets, counts), alone)
    assert run.all_informed(sets[:0], counts).shape == (0, counts.size)


def test_noise_weak_in_pixels_but_not_in_rows_is_found():
    """Rows whose noise is a third of a pixel's white noise passed for white noise alone: their pairs were few."""
    readout, size, found = alternating_readout(320, 1), 320, []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        walk = np.cumsum(rng.normal(size=(3, size)), axis=1)
        rows = 0.3 * (walk - walk.mean(axis=1, keepdims=True)) / walk.std(axis=1, keepdims=True)
        images = rng.normal(size=(3, size, size)) + rows[:, :, None]
        noise = fit_spectrum(images.astype(np.float32), np.zeros(images.shape, bool), readout=readout)
        found.append(noise.own.sum())
    assert min(found) > 0.3 * 0.09


def test_white_noise_alone_has_no_spectrum():
    for seed in range(20):
        images = np.random.default_rng(seed).normal(size=(3, 160, 160)).astype(np.float32)
        noise = fit_spectrum(images, np.zeros(images.shape, bool), readout=alternating_readout(160, 1))
        assert not noise.own.any()
        assert noise.white == pytest.approx(1.0, rel=0.04)  # cut off at 4 sigma, of few rows
