"""1/f of coronagraphic exposures: stripes go, star and companion stay, errors are right."""

from functools import partial

import numpy as np
import pytest

from detectorist.algorithms import dq
from detectorist.algorithms.flicker.one_over_f import (
    noisy_pixels,
    robust_mean,
    stripes_of_integrations,
    stripes_of_ramps,
)
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.flicker.stripe_models import MODEL_TYPES, estimate_stripes
from detectorist.algorithms.stars.halo import ring_profile, separate_star, star_centre
from detectorist.errors import ParameterError, TooFewPixels

N_INTS, NY, NX = 8, 120, 120
WHITE = 0.5


def one_over_f(rng, rms, shape=(NY, NX), slope=1.0):
    """1/f noise on the time line of one output, 12 pixel times between rows."""
    n = shape[0] * (shape[1] + 12)
    frequency = np.fft.rfftfreq(n)
    amplitude = np.r_[0.0, frequency[1:] ** (-slope / 2)]
    line = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)), n)
    return (rms * line / line.std()).reshape(shape[0], shape[1] + 12)[:, : shape[1]]


def star(ny=NY, nx=NX):
    yy, xx = np.mgrid[:ny, :nx] - np.array([(ny - 1) / 2, (nx - 1) / 2])[:, None, None]
    radius, angle = np.hypot(yy, xx), np.arctan2(yy, xx)
    ring = 1 - 0.9 * np.exp(-((radius / 3) ** 2))
    return 120 / (1 + (radius / 4) ** 2.6) * ring * (1 + 0.2 * np.cos(5 * angle + radius / 2))


@pytest.fixture
def readout():
    return alternating_readout(NX)


@pytest.fixture
def scene(rng):
    light = star() + 0.6
    err = np.broadcast_to(np.sqrt(WHITE**2 + 0.02 * light), (N_INTS, NY, NX))
    stripes = np.stack([one_over_f(rng, 0.8) for _ in range(N_INTS)])
    stripes += 0.15 * rng.normal(size=(N_INTS, 1, NX))
    cube = light + stripes + err * rng.normal(size=err.shape)
    mask = np.broadcast_to(rng.random((NY, NX)) < 0.003, cube.shape).copy()
    cube[mask] = np.nan
    return cube, mask, light, err, stripes


def rows(values, mask):
    values = np.where(mask, np.nan, values)
    by_row = np.nanmean(values, axis=-1)
    return float(np.nanstd(by_row - by_row.mean(axis=-1, keepdims=True)))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_stripes_of_integrations(scene, readout, model_type):
    cube, mask, _, _, stripes = scene
    got = stripes_of_integrations(cube, mask, readout=readout, model_type=model_type)
    left = stripes - got.stripes
    assert rows(left, mask) < 0.25 * rows(stripes, mask)
    assert left[~mask].std() < {"flicker": 0.55, "savgol": 0.6}.get(model_type, 0.8) * stripes.std()
    assert got.measured.all()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_errors_are_those_of_the_corrected_rates(scene, readout, model_type):
    cube, mask, light, err, _ = scene
    got = stripes_of_integrations(cube, mask, readout=readout, model_type=model_type)
    corrected = cube - got.stripes
    pull = ((corrected - light) / np.sqrt(err**2 + got.variance))[~mask]
    assert 0.93 < 1.4826 * np.median(np.abs(pull)) < 1.07
    keep = ~mask[0]
    variance = (err**2).mean(axis=0) / N_INTS + got.mean_variance
    pull = ((corrected.mean(axis=0) - light) / np.sqrt(variance))[keep]
    assert 0.88 < 1.4826 * np.median(np.abs(pull)) < 1.12
    before = ((cube.mean(axis=0) - light) / err[0] * np.sqrt(N_INTS))[keep]
    assert 1.4826 * np.median(np.abs(before)) > 1.3


@pytest.mark.parametrize("slope", [0.7, 1.3])
def test_errors_hold_for_noise_of_another_slope(rng, readout, slope):
    light = star() + 0.6
    err = np.broadcast_to(np.sqrt(WHITE**2 + 0.02 * light), (N_INTS, NY, NX))
    stripes = np.stack([one_over_f(rng, 0.8, slope=slope) for _ in range(N_INTS)])
    cube = light + stripes + err * rng.normal(size=err.shape)
    got = stripes_of_integrations(cube, np.zeros(cube.shape, bool), readout=readout)
    pull = (cube - got.stripes - light) / np.sqrt(err**2 + got.variance)
    assert 0.94 < 1.4826 * np.median(np.abs(pull)) < 1.06
    pull = (cube - got.stripes - light).mean(axis=0) / np.sqrt((err**2).mean(axis=0) / N_INTS + got.mean_variance)
    assert 0.9 < 1.4826 * np.median(np.abs(pull)) < 1.1


def test_without_stripes_nothing_is_taken(rng, readout):
    light = star() + 0.6
    err = np.broadcast_to(np.sqrt(WHITE**2 + 0.02 * light), (N_INTS, NY, NX))
    cube = light + err * rng.normal(size=err.shape)
    got = stripes_of_integrations(cube, np.zeros(cube.shape, bool), readout=readout)
    assert got.stripes.mean(axis=0).std() < 0.05 * WHITE / np.sqrt(N_INTS)
    assert (got.stripes - got.stripes.mean(axis=(1, 2), keepdims=True)).std() < 0.05 * WHITE


def test_star_and_companion_keep_their_light(scene, readout):
    cube, mask, light, err, _ = scene
    got = stripes_of_integrations(cube, mask, readout=readout)
    yy, xx = np.mgrid[:NY, :NX]
    radius = np.hypot(yy - 59.5, xx - 59.5)
    change = (light - got.star) + (cube - light).mean(axis=0)  # the stripes taken off the mean
    near = (radius < 20) & ~mask[0]
    sky = np.median(change[(radius > 40) & ~mask[0]])
    truth = scene[4].mean(axis=0)
    assert abs(((change - truth)[near] - sky).sum()) < 0.005 * light[near].sum()
    # A companion is left out of the stripes, which then are a little less well known under it: that is
    # noise. Its flux must come out nearer to the truth than without the correction, and on the mean over
    # places not fainter.
    for significance in (10, 100):
        errors, before = [], []
        for angle in np.arange(12) * np.pi / 6:
            psf = np.exp(-0.5 * ((yy - 59.5 - 38 * np.sin(angle)) ** 2 + (xx - 59.5 - 38 * np.cos(angle)) ** 2))
            weight = np.where(mask[0], 0, psf) / (psf**2)[~mask[0]].sum()
            sigma = np.sqrt((weight**2 * ((err[0] ** 2) / N_INTS + got.mean_variance)).sum())
            injected = cube + significance * sigma * psf
            other = stripes_of_integrations(injected, mask, readout=readout)
            for image, result in ((injected - other.stripes, errors), (injected, before)):
                flux = np.nansum(weight * (image.mean(axis=0) - light - sky_of(image, light, radius)))
                result.append(flux / sigma - significance)
        assert abs(np.mean(errors)) < 0.2 + 3 * np.std(errors) / np.sqrt(12)
        assert np.std(errors) < 0.75 * np.std(before)


@pytest.mark.parametrize("significance", [3, 30])
def test_a_companion_where_the_image_is_calm_is_not_taken_for_noise(scene, readout, significance):
    """Too faint to be masked, it would enter the smoother as one more bump of 1/f noise and lose most of its light."""
    cube, mask, _, err, _ = scene
    yy, xx = np.mgrid[:NY, :NX]
    before = stripes_of_integrations(cube, mask, readout=readout).stripes.mean(axis=0)
    changes = []
    for angle in np.arange(12) * np.pi / 6 + 0.2:
        y, x = 59.5 + 48 * np.sin(angle), 59.5 + 48 * np.cos(angle)
        distance = np.hypot(yy - y, xx - x)
        aperture, ring = (distance < 3) & ~mask[0], (distance > 6) & (distance < 9) & ~mask[0]
        sigma = np.sqrt((err[0][aperture] ** 2).sum() / N_INTS)
        psf = np.exp(-0.5 * distance**2) / (2 * np.pi)
        injected = cube + significance * sigma * psf
        taken = stripes_of_integrations(injected, mask, readout=readout).stripes.mean(axis=0) - before
        changes.append((taken[aperture].sum() - aperture.sum() * np.median(taken[ring])) / sigma)
    assert abs(np.mean(changes)) < 0.1
    assert np.abs(changes).max() < 0.2


def sky_of(image, light, radius):
    return np.nanmedian((image.mean(axis=0) - light)[radius > 45])


def test_integrations_one_by_one_and_a_single_one(scene, readout):
    cube, mask, _, _, stripes = scene
    alone = stripes_of_integrations(cube, mask, readout=readout, combine_ints=False)
    assert rows(stripes - alone.stripes, mask) < 0.5 * rows(stripes, mask)
    one = stripes_of_integrations(cube[:1], mask[:1], readout=readout)
    np.testing.assert_allclose(one.stripes[0], alone.stripes[0], atol=1e-6)


def test_nan_integration_is_left_alone(scene, readout):
    cube, mask, _, _, stripes = scene
    cube[2] = np.nan
    got = stripes_of_integrations(cube, mask, readout=readout)
    assert not got.measured[2]
    assert not got.stripes[2].any()
    keep = [i for i in range(N_INTS) if i != 2]
    assert rows((stripes - got.stripes)[keep], mask[keep]) < 0.25 * rows(stripes, mask)


def test_input_is_untouched_and_masked_values_have_no_influence(scene, readout):
    cube, mask, *_ = scene
    cube.flags.writeable = mask.flags.writeable = False
    got = stripes_of_integrations(cube, mask, readout=readout).stripes
    other = stripes_of_integrations(np.where(mask, 1e6, cube), mask, readout=readout).stripes
    np.testing.assert_allclose(got, other, atol=1e-5)
    narrow = stripes_of_integrations(cube.astype(np.float32), mask, readout=readout).stripes
    np.testing.assert_allclose(got, narrow, atol=2e-3)


@pytest.fixture
def ramps(rng):
    n_groups = 4
    times = 4.28 * np.arange(1, n_groups + 1)
    light = star() + 0.6
    signal = np.cumsum(rng.poisson(light * 4.28 * 1.85, (N_INTS, n_groups, NY, NX)) / 1.85, axis=1)
    stripes = np.stack([[one_over_f(rng, 6.0) for _ in times] for _ in range(N_INTS)])
    ktc = 35 * rng.normal(size=(N_INTS, 1, NY, NX))
    ramp = signal + stripes + ktc + 9 * rng.normal(size=signal.shape)
    flags = np.zeros(ramp.shape, np.uint8)
    y, x = rng.integers(0, NY, 60), rng.integers(0, NX, 60)
    ramp[3, 2:, y, x] += 3000.0
    flags[3, 2, y, x] |= dq.JUMP_DET
    return ramp.astype(np.float32), flags, times, stripes


def slope_of(values, times):
    weight = (times - times.mean()) / ((times - times.mean()) ** 2).sum()
    return np.einsum("igyx,g->iyx", values, weight)


def test_stripes_of_ramps(ramps, readout):
    ramp, flags, times, stripes = ramps
    mask = np.zeros((NY, NX), bool)
    got = stripes_of_ramps(ramp, flags, times, mask, readout=readout)
    before, left = slope_of(stripes, times), slope_of(stripes - got.stripes, times)
    assert rows(left, np.zeros(left.shape, bool)) < 0.25 * rows(before, np.zeros(left.shape, bool))
    assert left.std() < 0.65 * before.std()
    alone = stripes_of_ramps(ramp[:2], flags[:2], times, mask, readout=readout, combine_ints=False)
    assert slope_of(stripes[:2] - alone.stripes, times).std() < 0.8 * before[:2].std()
    assert alone.variance.shape == (2, NY, NX)


def test_flagged_samples_of_ramps_have_no_influence(ramps, readout):
    ramp, flags, times, _ = ramps
    mask = np.zeros((NY, NX), bool)
    flags[:, 2:, 20:24, 20:24] |= dq.SATURATED
    flags[5] |= dq.DO_NOT_USE
    wild = ramp.copy()
    wild[:, 2:, 20:24, 20:24] = 60000.0
    wild[5] = np.nan
    first = stripes_of_ramps(ramp, flags, times, mask, readout=readout)
    second = stripes_of_ramps(wild, flags, times, mask, readout=readout)
    np.testing.assert_allclose(first.stripes, second.stripes, atol=1e-3)
    assert not first.measured[5].any()


def test_mean_without_outliers(rng):
    cube = rng.normal(size=(10, 20, 30)).astype(np.float32)
    mask = np.zeros(cube.shape, bool)
    clean, _ = robust_mean(cube, mask)
    cube[4, 7, 7] = 5000.0
    mask[2:, 3, 3] = True
    mean, n_used = robust_mean(cube, mask)
    assert n_used[7, 7] == 9
    assert n_used[3, 3] == 2
    same = np.ones(mean.shape, bool)
    same[[7, 3], [7, 3]] = False
    np.testing.assert_allclose(mean[same], clean[same], atol=1e-6)


def test_pixels_drowned_by_the_star_are_left_out(rng):
    residual = rng.normal(size=(6, 40, 50)).astype(np.float32)
    residual[:, 15:25, 20:30] *= 5
    got = noisy_pixels(residual, np.zeros(residual.shape, bool))
    assert got[16:24, 21:29].all()
    assert got[:, :15].mean() < 0.05


def estimate_by_weight(image, weight, *, readout):
    return estimate_stripes(image, weight == 0, weight=weight, readout=readout)


def test_stripes_follow_the_light_without_steps(rng, readout):
    """A pixel that is in or out would move its neighbours by a part of their error at the least change anywhere."""
    image = star() + one_over_f(rng, 0.2) + 0.1 * rng.normal(size=(NY, NX))
    clear = np.zeros(image.shape, bool)
    before = separate_star(image, clear, partial(estimate_by_weight, readout=readout)).stripes
    change = 1e-3 * 0.1 * rng.normal(size=image.shape)
    after = separate_star(image + change, clear, partial(estimate_by_weight, readout=readout)).stripes
    moved = np.abs(after.pattern - before.pattern) / np.sqrt(before.variance)
    assert moved.max() < 0.02


def test_an_image_without_white_noise_has_weights(rng, readout):
    """Neighbours are equal, so their differences show no noise: no brightness is so many sigma of it."""
    image = np.repeat(rng.normal(size=(NY, 1)), NX, axis=1)
    got = separate_star(image, np.zeros(image.shape, bool), partial(estimate_by_weight, readout=readout))
    assert np.isfinite(got.weight).all()
    assert np.isfinite(got.star).all()


def test_star_is_told_from_stripes_by_shape(rng, readout):
    light = star()
    image = light + one_over_f(rng, 0.2) + 0.1 * rng.normal(size=(NY, NX))
    clear = np.ones(image.shape, bool)
    centre = star_centre(image, clear)
    np.testing.assert_allclose(centre, 59.5, atol=1.0)
    profile = ring_profile(light, clear, (59.5, 59.5))
    assert abs(np.median((profile / light)[clear]) - 1) < 0.1
    got = separate_star(image, ~clear, partial(estimate_by_weight, readout=readout))
    assert got.weight[55:65, 55:65].max() == 0
    assert got.weight.mean() > 0.25
    none = separate_star(np.full(image.shape, np.nan), ~clear, partial(estimate_by_weight, readout=readout))
    assert none.stripes is None


def test_light_everywhere_leaves_the_calmest_quarter(rng, readout):
    image = 500 * star() + 3 * rng.normal(size=(NY, NX))
    got = separate_star(image, np.zeros(image.shape, bool), partial(estimate_by_weight, readout=readout))
    assert 0.1 < got.weight.mean() < 0.5


def test_several_outputs(rng):
    readout = alternating_readout(NX, 4)
    parts = [one_over_f(rng, 0.8, (NY, NX // 4)) for _ in range(4)]
    stripes = np.concatenate([part[:, :: (-1) ** k] for k, part in enumerate(parts)], axis=1)
    image = stripes + 0.3 * rng.normal(size=stripes.shape)
    for model_type in MODEL_TYPES:
        got = estimate_stripes(image, np.zeros(image.shape, bool), readout=readout, model_type=model_type)
        assert (stripes - got.pattern).std() < 0.85 * stripes.std()


def test_what_does_not_fit_is_refused(scene, ramps, readout):
    cube, mask, *_ = scene
    ramp, flags, times, _ = ramps
    with pytest.raises(ParameterError, match="flicker, savgol, median, mean"):
        estimate_stripes(cube[0], mask[0], readout=readout, model_type="wavelet")
    with pytest.raises(TooFewPixels, match="500"):
        estimate_stripes(cube[0], np.ones((NY, NX), bool), readout=readout)
    with pytest.raises(ValueError, match="cube"):
        stripes_of_integrations(cube, mask[0], readout=readout)
    with pytest.raises(ValueError, match="one group"):
        stripes_of_ramps(ramp[:, :1], flags[:, :1], times[:1], mask[0], readout=readout)
    with pytest.raises(ValueError, match="do not agree"):
        stripes_of_ramps(ramp, flags, times, mask, readout=readout)
