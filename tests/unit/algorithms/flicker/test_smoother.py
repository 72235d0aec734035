"""1/f noise on the readout time line: the smoother, its noise model, its uncertainty."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.flicker import smoother
from detectorist.algorithms.flicker.levels_of_outputs import levels_of_outputs
from detectorist.errors import ParameterError, TooFewPixels

WIDTH, OVERHEAD = 64, 12


def pink(rng, n, slope=1.0):
    """A stream of unit rms with power ~ 1/f**slope."""
    frequency = np.fft.rfftfreq(n)
    frequency[0] = 1
    amplitude = frequency ** (-slope / 2)
    amplitude[0] = 0
    stream = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)), n)
    return stream / stream.std()


def make_frame(rng, *, ny=256, n_outputs=4, common=0.010, own=0.008, slope=1.0, white=0.02, slow=1, fast=1):
    """Return (image without sky, its 1/f part, readout): what electronics add to an empty frame."""
    readout = smoother.alternating_readout(n_outputs * WIDTH, n_outputs, fast_direction=fast, slow_direction=slow)
    shared = pink(rng, ny * (WIDTH + OVERHEAD), slope)
    noise = np.zeros((ny, n_outputs * WIDTH))
    for first, last, direction in readout.outputs:
        line = common * shared + own * pink(rng, shared.size, slope)
        part = line.reshape(ny, -1)[::slow, :WIDTH]
        noise[:, first:last] = part[:, ::direction]
    return noise + white * rng.normal(size=noise.shape), noise, readout


def blobs(rng, shape, fraction):
    """Round masked patches that cover about `fraction` of an image."""
    mask = np.zeros(shape, bool)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    while mask.mean() < fraction:
        y, x, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(2, 14)
        mask |= np.hypot(yy - y, xx - x) < radius
    return mask


def dense_posterior(y, noise, common, own, times):
    """The textbook answer: a Gaussian process written out. common, own: (variances, scales)."""
    n_out = y.shape[1]
    apart = np.abs(times[:, None] - times)
    kernel = [sum(v * np.exp(-apart / s) for v, s in zip(*pair, strict=True)) for pair in (common, own)]
    prior = np.kron(np.ones((n_out, n_out)), kernel[0]) + np.kron(np.eye(n_out), kernel[1])
    flat, noise = y.T.ravel(), noise.T.ravel()
    seen = noise > 0
    data = prior[np.ix_(seen, seen)] + np.diag(noise[seen])
    mean = prior[:, seen] @ np.linalg.solve(data, flat[seen])
    variance = np.diag(prior) - np.einsum("ij,ji->i", prior[:, seen], np.linalg.solve(data, prior[seen]))
    return mean.reshape(n_out, -1).T, variance.reshape(n_out, -1).T


def small_problem(rng, n_out=3):
    per_row, rows = 6, 5
    times = (np.arange(rows)[:, None] * 10.0 + np.arange(per_row)).ravel()
    common, own = ([1.0, 2.0], [3.0, 40.0]), ([0.5, 0.7], [2.0, 30.0])
    shared, alone = np.diag([*common[0], 0, 0]), np.diag([0, 0, *own[0]])
    prior = np.kron(np.ones((n_out, n_out)), shared) + np.kron(np.eye(n_out), alone)
    factors = np.exp(-np.array([[1.0], [10.0 - per_row + 1]]) / np.tile([*common[1], *own[1]], n_out))
    noise = rng.uniform(0.5, 2, (times.size, n_out))
    noise[rng.random(noise.shape) < 0.3] = 0
    noise[7] = 0
    y = 2 * rng.normal(size=noise.shape)
    return (y, noise, prior, factors, per_row, True), (y, noise, common, own, times)


@pytest.mark.parametrize("n_out", [1, 3, 4])
def test_smoother_is_the_exact_posterior(rng, n_out):
    from detectorist.algorithms.flicker import _smoother_nb

    problem, dense = small_problem(rng, n_out)
    mean, variance = _smoother_nb.smooth(*problem)
    expected_mean, expected_variance = dense_posterior(*dense)
    assert_allclose(mean, expected_mean, atol=2e-6)
    assert_allclose(variance, expected_variance, rtol=2e-6, atol=1e-6)


def test_outputs_without_noise_of_their_own_are_one(rng):
    from dataclasses import replace

    image, _, readout = make_frame(rng, ny=32, own=0.0)
    blocks = smoother.Blocks(readout, 32)
    means, counts = blocks.average(
        image.astype(np.float32),
        ~blobs(rng, image.shape, 0.2),
        np.zeros(image.shape[1]),
        np.zeros((0, 0), np.float32),
        np.inf,
    )
    alike = smoother.FlickerNoise(4e-4, np.array([10.0, 500.0]), np.array([5e-5, 5e-5]), np.zeros(2))
    apart = replace(alike, own=np.full(2, 1e-12))
    for one, other in zip(
        *(smoother.smooth_blocks(means, counts, blocks, noise, want_variance=True) for noise in (alike, apart)),
        strict=True,
    ):
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_kernels_agree_with_their_python(rng):
    from detectorist.algorithms.flicker import _smoother_nb

    problem, _ = small_problem(rng)
    image = rng.normal(size=(6, 22)).astype(np.float32)
    usable = rng.random(image.shape) > 0.2
    offsets, pattern = rng.normal(size=22), 0.1 * image
    blocks = (image, usable, offsets, pattern, 2, 20, -1, True, 4, 1.5)
    free = (image, usable, offsets, np.zeros((0, 0), np.float32), 0, 22, 1, False, 4, 1.5)
    means, counts = _smoother_nb.block_means(*blocks)
    lags = np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0])
    for kernel, arguments in (
        (_smoother_nb.smooth, problem),
        (_smoother_nb.block_means, blocks),
        (_smoother_nb.block_means, free),
        (_smoother_nb.variogram_sums, (np.stack([means, 2 * means]), np.stack([counts, counts]), 5, *lags, 2)),
        (_smoother_nb.column_sums, (image, usable, offsets, pattern, 1.0)),
    ):
        for got, expected in zip(kernel(*arguments), kernel.py_func(*arguments), strict=True):
            assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    neighbours = (image, usable, 0 * offsets, pattern, 1, 22, 3.0)
    found = _smoother_nb.neighbour_sums(*neighbours)
    assert found[3] > 0
    assert_allclose(found, _smoother_nb.neighbour_sums.py_func(*neighbours), rtol=1e-5)
    got, expected = np.zeros_like(image), np.zeros_like(image)
    values = rng.normal(size=6 * 5).astype(np.float32)
    for straight in (True, False):
        _smoother_nb.fill_pixels(values, got, 2, 20, -1, True, 4, straight)
        _smoother_nb.fill_pixels.py_func(values, expected, 2, 20, -1, True, 4, straight)
        assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "fraction"),
    [
        ({}, 0.25),
        ({"slope": 1.4, "common": 0.02, "own": 0.02}, 0.25),
        ({"slope": 0.7, "common": 0.004, "own": 0.002}, 0.6),
        ({"slope": 1.0, "common": 0.05, "own": 0.03}, 0.25),
        ({"slow": -1, "fast": -1}, 0.05),
        ({"n_outputs": 1, "ny": 320, "common": 0.0, "own": 0.015}, 0.25),
    ],
)
def test_truth_is_recovered_in_units_of_its_error(rng, settings, fraction):
    white = 0.02
    pulls, corrected = [], []
    for _ in range(4):
        image, truth, readout = make_frame(rng, white=white, **settings)
        mask = blobs(rng, image.shape, fraction)
        got = smoother.estimate_flicker(image + 0.3, mask, readout=readout, columns=False)
        left = got.pattern - (truth - truth.mean())
        pulls.append(left[mask] / np.sqrt(got.variance + got.fast_variance)[mask])
        after = image - truth.mean() - got.pattern
        corrected.append(after / np.sqrt(white**2 + got.variance_change()))
    pulls, corrected = np.concatenate(pulls), np.array(corrected)
    if truth.std() > white / 3:  # below that the fast part of the noise does not show in so small a frame
        assert_allclose(pulls.std(), 1, atol=0.2)
    assert_allclose(corrected.std(), 1, atol=0.04)


def test_most_of_the_noise_that_can_be_removed_is_removed(rng):
    image, truth, readout = make_frame(rng, ny=512)
    mask = blobs(rng, image.shape, 0.25)
    got = smoother.estimate_flicker(image, mask, readout=readout)
    left = truth - truth.mean() - got.pattern
    # A Wiener filter that knows the spectrum leaves A ln(1 + 1 / (2 f_knee)), f_knee = A / 2 white^2, of A ln(n / 2).
    density = truth.var() / np.log(truth.size / 8)
    optimum = density * np.log(1 + 0.02**2 / density)
    assert left.var() < 1.25 * optimum


@pytest.mark.parametrize("sky", [0.0, 0.05, 5.0, -3.0, 2000.0])
def test_sky_level_stays(rng, sky):
    image, _, readout = make_frame(rng)
    mask = blobs(rng, image.shape, 0.2)
    low = smoother.estimate_flicker(image, mask, readout=readout)
    high = smoother.estimate_flicker(image + sky, mask, readout=readout)
    # What is under the mask is a guess: the level is that of the pixels that were used.
    assert abs(high.pattern[~mask].mean()) < 1e-7
    assert abs(high.total[~mask].mean()) < 1e-7
    assert_allclose(high.pattern, low.pattern, atol=2e-6 + 3e-7 * abs(sky))


def test_masked_pixels_have_no_influence_and_the_input_stays(rng):
    image, _, readout = make_frame(rng)
    mask = blobs(rng, image.shape, 0.3)
    clean = smoother.estimate_flicker(image, mask, readout=readout)
    hurt = image.copy()
    hurt[mask] = rng.choice([np.nan, np.inf, 1e9, -1e9], size=mask.sum())
    before = hurt.copy(), mask.copy()
    got = smoother.estimate_flicker(hurt, mask, readout=readout)
    assert_array_equal(got.total, clean.total)
    assert_array_equal(got.variance, clean.variance)
    assert_array_equal(hurt, before[0])
    assert_array_equal(mask, before[1])


def test_float32_is_close_to_float64(rng):
    image, _, readout = make_frame(rng)
    mask = np.zeros(image.shape, bool)
    double = smoother.estimate_flicker(image, mask, readout=readout)
    single = smoother.estimate_flicker(image.astype(np.float32), mask, readout=readout)
    assert_allclose(single.total, double.total, atol=1e-6)
    assert single.pattern.dtype == single.variance.dtype == np.float32


def test_mirrored_detector_gives_the_mirrored_answer(rng):
    image, _, readout = make_frame(rng)
    mask = blobs(rng, image.shape, 0.2)
    direct = smoother.estimate_flicker(image, mask, readout=readout)
    nx = image.shape[1]
    outputs = tuple((nx - last, nx - first, -direction) for first, last, direction in readout.outputs)
    turned = smoother.Readout(outputs, slow_direction=-1)
    mirrored = smoother.estimate_flicker(image[::-1, ::-1], mask[::-1, ::-1], readout=turned)
    # Level and white noise come from every fourth row, which are others in a mirror: a few clipped pixels differ.
    assert (mirrored.total[::-1, ::-1] - direct.total).std() < 0.02 * direct.total.std()
    wrong = smoother.estimate_flicker(image[::-1, ::-1], mask[::-1, ::-1], readout=readout)
    assert (wrong.total[::-1, ::-1] - direct.total).std() > 0.05 * direct.total.std()


def test_an_output_under_a_galaxy_is_told_by_the_others(rng):
    image, truth, readout = make_frame(rng, common=0.020, own=0.010)
    mask = np.zeros(image.shape, bool)
    mask[60:200, :WIDTH] = True
    got = smoother.estimate_flicker(image, mask, readout=readout, columns=False)
    rows = (truth - truth.mean() - got.pattern)[60:200, :WIDTH].mean(axis=1)
    assert rows.std() < 0.75 * truth[60:200, :WIDTH].mean(axis=1).std()
    assert got.variance[60:200, :WIDTH].mean() > 1.1 * got.variance[60:200, WIDTH:].mean()


def test_levels_of_outputs_are_no_sky(rng):
    """Without reference pixels an output drifts by far more than its 1/f noise; light across the border stays."""
    image, truth, readout = make_frame(rng, own=0.003)
    levels = np.array([0.04, -0.03, 0.0, -0.01])
    stripes = truth + np.repeat(levels, WIDTH)
    yy, xx = np.mgrid[: len(image), : image.shape[1]]
    light = 0.3 + 0.03 * xx / image.shape[1] + 0.1 * np.exp(-0.5 * ((xx - 70) ** 2 + (yy - 90) ** 2) / 12**2)
    got = smoother.estimate_flicker(light + image + stripes - truth, light > 0.335, readout=readout, columns=False)
    left = (stripes - stripes.mean() - got.pattern).reshape(-1, 4, WIDTH).mean(axis=(0, 2))
    assert_allclose(left, 0, atol=0.003)


def test_a_step_that_is_light_is_not_taken_for_a_level(rng):
    image, _, readout = make_frame(rng)
    light = np.zeros(image.shape)
    light[:, WIDTH // 2 : 3 * WIDTH // 2] = 0.2  # over half of two outputs, the same at their border
    clean = smoother.estimate_flicker(image, light > 0, readout=readout, columns=False)
    lit = smoother.estimate_flicker(image + light, light > 0, readout=readout, columns=False)
    assert_array_equal(lit.pattern, clean.pattern)


def levels_in(light, rng, *, white=0.002**2, made=0.0):
    """Return levels of four outputs told from light, in pixels of this variance, and added ones of this scatter."""
    readout = smoother.alternating_readout(4 * WIDTH, 4)
    blocks = smoother.Blocks(readout, 256)
    usable, offsets, unknown = np.ones((256, 4 * WIDTH), bool), np.zeros(4 * WIDTH), np.zeros((0, 0), np.float32)
    noise = smoother.FlickerNoise(white, np.array([10.0]), np.array([0.0]), np.array([0.0]))
    added = made * rng.normal(size=4)
    image = light + np.repeat(added - added.mean(), WIDTH) + 0.002 * rng.normal(size=light.shape)
    told = blocks.average(image.astype(np.float32), usable, offsets, unknown, 1.0)
    return levels_of_outputs(*told, blocks, noise), added - added.mean()


@pytest.mark.parametrize("white", [0.002**2, 0.002**2 + 0.02**2 * 8**2])
def test_steps_that_unknown_light_makes_are_not_taken_for_levels(rng, white):
    """Where faint stars are crowded, as many as happen to stand beside a border make its step, whatever is known."""
    taken = []
    for _ in range(20):
        light = 0.02 * np.repeat(np.repeat(rng.normal(size=(32, 32)), 8, axis=0), 8, axis=1)
        taken.append(levels_in(light, rng, white=white)[0])
    made = 0.02 * np.sqrt(2 / (32 * 4))  # steps of 32 pixels by 256, of clumps of 8 by 8
    assert np.std(taken) < 0.6 * made


def test_light_that_slopes_is_not_taken_for_levels_and_levels_under_it_are_told(rng):
    """A nebula rises and falls within outputs as much as where they meet."""
    phases = 2 * np.pi * rng.random(20)
    waves = [0.1 * np.sin(2 * np.pi * np.arange(4 * WIDTH) / 150 + phase) for phase in phases]
    slopes = [np.tile(wave, (256, 1)) for wave in waves]
    taken = np.array([levels_in(light, rng)[0] for light in slopes])
    steps = [wave[first : first + 32].mean() - wave[first - 32 : first].mean() for wave in waves for first in (64, 128)]
    assert np.std(taken) < 0.4 * np.std(steps)
    told = [levels_in(light, rng, made=0.5) for light in slopes]
    assert np.std([found - true for found, true in told]) < 0.3 * np.std([true for _, true in told])


def test_noise_spectrum_is_recovered(rng):
    found = []
    for _ in range(5):
        image, _, readout = make_frame(rng, common=0.012, own=0.008)
        mask = blobs(rng, image.shape, 0.2)
        found.append(smoother.estimate_noise(image, mask, readout=readout))
    pooled = smoother.pool_noise(found)
    assert_allclose(np.sqrt(pooled.white), 0.0207, rtol=0.05)  # noise faster than four pixels counts as white
    assert_allclose(pooled.common.sum() / pooled.own.sum(), 0.012**2 / 0.008**2, rtol=0.4)
    assert_allclose(pooled.rms, np.hypot(0.012, 0.008), rtol=0.2)


def test_white_noise_alone_is_left_alone(rng):
    image, _, readout = make_frame(rng, common=0.0, own=0.0)
    got = smoother.estimate_flicker(image, np.zeros(image.shape, bool), readout=readout)
    assert got.pattern.std() < 0.1 * 0.02
    assert_allclose((image - got.total).std(), np.sqrt((0.02**2 + got.variance_change()).mean()), rtol=0.02)


def test_columns_are_found_and_gradients_of_light_stay(rng):
    image, truth, readout = make_frame(rng, ny=512)
    columns = 0.004 * rng.normal(size=image.shape[1])
    light = 0.08 * np.linspace(-1, 1, image.shape[1])
    mask = blobs(rng, image.shape, 0.2)
    got = smoother.estimate_flicker(image + columns + light, mask, readout=readout)
    error = got.columns - (columns - columns.mean())
    assert_allclose(error.std(), np.sqrt(got.column_variance.mean()), rtol=0.4)
    slope = np.polyfit(np.linspace(-1, 1, image.shape[1]), (got.total - truth).mean(axis=0), 1)[0]
    assert abs(slope) < 0.1 * 0.08


def test_bad_input_is_named(rng):
    image, _, readout = make_frame(rng)
    mask = np.zeros(image.shape, bool)
    with pytest.raises(TooFewPixels, match="usable pixels"):
        smoother.estimate_flicker(image, ~mask, readout=readout)
    with pytest.raises(TooFewPixels, match="no scatter"):
        smoother.estimate_flicker(np.ones_like(image), mask, readout=readout)
    with pytest.raises(ParameterError, match="do not cover"):
        smoother.estimate_flicker(image[:, :-8], mask[:, :-8], readout=readout)
    with pytest.raises(ParameterError, match="shape"):
        smoother.estimate_flicker(image, mask[1:], readout=readout)
    with pytest.raises(ParameterError, match="shared"):
        smoother.alternating_readout(2047, 4)
    with pytest.raises(ParameterError, match="one positive width"):
        smoother.Readout(((0, 10, 1), (10, 30, 1)))
    with pytest.raises(ParameterError, match="directions"):
        smoother.Readout(((0, 10, 0),))


def test_a_sketch_with_another_mask_leads_to_the_same_answer(rng):
    image, _, readout = make_frame(rng)
    mask = blobs(rng, image.shape, 0.2)
    columns = 0.004 * rng.normal(size=image.shape[1])
    direct = smoother.estimate_flicker(image + 0.3 + columns, mask, readout=readout)
    sketch = smoother.estimate_flicker_coarsely(image + 0.3 + columns, blobs(rng, image.shape, 0.2), readout=readout)
    got = smoother.estimate_flicker(image + 0.3 + columns, mask, readout=readout, sketch=sketch)
    assert (got.total - direct.total).std() < 0.2 * np.sqrt(direct.variance.mean())
    assert abs(np.mean(image + 0.3 - sketch.total()) - 0.3) < 0.002


def test_an_earlier_sketch_is_made_better(rng):
    image, noise, readout = make_frame(rng)
    mask = blobs(rng, image.shape, 0.2)
    columns = 0.02 * rng.normal(size=image.shape[1])
    columns -= columns.mean()
    measured = image + 0.3 + columns
    first = smoother.estimate_flicker_coarsely(measured, mask, readout=readout)
    before = first.expected.copy()
    again = smoother.estimate_flicker_coarsely(measured, mask, readout=readout, sketch=first)
    direct = smoother.estimate_flicker(measured, mask, readout=readout)
    assert_array_equal(first.expected, before)
    error, earlier, whole = ((one - noise - columns).std() for one in (again.total(), first.total(), direct.total))
    # The first took columns as large as the noise of a pixel for noise in time.
    assert error < 0.95 * earlier
    assert error < 1.02 * whole


def test_the_variance_from_coarse_blocks_is_that_of_fine_ones(rng, monkeypatch):
    """Of noise much weaker than white noise, what changes within 32 pixels is next to nothing."""
    image, _, readout = make_frame(rng, common=0.004, own=0.002, white=0.03)
    mask = blobs(rng, image.shape, 0.2)
    coarse = smoother.estimate_flicker(image, mask, readout=readout)
    assert len(np.unique(coarse.variance[0])) <= image.shape[1] // smoother.VARIANCE_BLOCK_PIX
    monkeypatch.setattr(smoother, "WITHIN_BLOCK", 0.0)
    fine = smoother.estimate_flicker(image, mask, readout=readout)
    assert len(np.unique(fine.variance[0])) > image.shape[1] // smoother.VARIANCE_BLOCK_PIX
    assert_array_equal(coarse.pattern, fine.pattern)
    # Of a pixel's variance that is a thousandth.
    assert_allclose(coarse.variance.mean(), fine.variance.mean(), rtol=0.25)


@pytest.mark.parametrize("own", [0.009, 0.02])
def test_weak_noise_of_each_output_is_known_beside_strong_common_noise(rng, own):
    """Chance is in both variograms, within outputs and between them: their difference tells better than either."""
    found, errors = [], []
    for _ in range(3):
        image, noise, readout = make_frame(rng, common=0.03, own=own, white=0.02)
        got = smoother.estimate_flicker(image, np.zeros(image.shape, bool), readout=readout, columns=False)
        found.append(np.sqrt(got.noise.own.sum()))
        rows = (noise - got.pattern).reshape(len(image), 4, WIDTH).mean(axis=2)
        errors.append((rows - rows.mean(axis=0)).std())
    assert_allclose(np.mean(found), own, rtol=0.15)
    # Levels of rows are known as well as the white noise of their pixels allows.
    assert np.mean(errors) < 1.05 * 0.02 / np.sqrt(WIDTH)
