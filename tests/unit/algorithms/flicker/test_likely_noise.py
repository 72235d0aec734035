"""No more is taken as noise than groups tell there is: light that looks like slow noise stays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import fft, signal

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.group_spectrum import noise_of_groups, slope_variance
from detectorist.algorithms.flicker.likely_noise import hold_to_likely, light_waves, rival_light, row_spectrum
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise, limit_noise, scale_noise

SCALES = np.array([12.0, 150.0, 2000.0, 20000.0])
GAIN = 2.0


def flicker(rng, n_rows, readout, rms, *, n=1):
    """Return (n, n_rows, width) noise of equal parts of the four scales, read through one output."""
    row = readout.width + readout.overhead_pix
    total = np.zeros((n, n_rows * row))
    for scale in SCALES:
        kept = np.exp(-1 / scale)
        kicks = rng.normal(size=total.shape) * np.sqrt(1 - kept**2)
        kicks[:, 0] /= np.sqrt(1 - kept**2)
        total += signal.lfilter([1], [1, -kept], kicks, axis=1)
    return (0.5 * rms * total).reshape(n, n_rows, row)[:, :, : readout.width]


def spectrum(rms):
    return FlickerNoise(1.0, SCALES, np.zeros(4), np.full(4, rms**2 / 4))


def galaxy(size, peak, *, width=0.35):
    y, x = np.mgrid[:size, :size] - 0.48 * size
    return peak * np.exp(-np.hypot(0.8 * y + 0.2 * x, x - 0.2 * y) / (width * size))


def ramps(rng, light, n_groups, rms, readout, *, n_ints=1, white=4.0, ktc=20.0):
    """Return ramps (DN, a group per s) of light (DN/s) through one output."""
    shape = n_ints, n_groups, *light.shape
    charge = np.cumsum(rng.poisson(np.broadcast_to(GAIN * light, shape)), axis=1) / GAIN
    noise = flicker(rng, light.shape[0], readout, rms, n=n_ints * n_groups).reshape(shape)
    pedestal = ktc * rng.normal(size=(n_ints, 1, *light.shape))
    return (charge + noise + pedestal + white * rng.normal(size=shape)).astype(np.float32)


def told_by(data, readout):
    flags, unusable = np.zeros(data.shape, np.uint8), np.zeros(data.shape[2:], bool)
    times = 1.0 + np.arange(data.shape[1])
    return noise_of_groups(data, flags, unusable, readout=readout, times_s=times)


def slopes(data):
    times = np.arange(data.shape[1]) - (data.shape[1] - 1) / 2
    return np.einsum("g,igyx->iyx", times / (times**2).sum(), data.astype(float))


def test_the_spectrum_of_rows_is_that_of_simulated_noise(rng):
    readout = alternating_readout(64)
    rows = flicker(rng, 256, readout, 2.0, n=200).mean(axis=2)
    found = (fft.dct(rows, norm="ortho", axis=1) ** 2).mean(axis=0)
    expected = row_spectrum(spectrum(2.0), readout, 256)
    for octave in (slice(4, 16), slice(16, 64), slice(64, 256)):
        assert found[octave].mean() == pytest.approx(expected[octave].mean(), rel=0.2)


@pytest.mark.parametrize("n_groups", [2, 3, 8])
@pytest.mark.parametrize("peak", [0.0, 3000.0])
def test_groups_tell_the_noise_of_slopes_under_any_light(rng, n_groups, peak):
    readout = alternating_readout(128)
    data = ramps(rng, 5.0 + galaxy(128, peak), n_groups, 10.0, readout, n_ints=4)
    found = told_by(data, readout)
    noise_alone = slopes(ramps(rng, np.full((128, 128), 5.0), n_groups, 10.0, readout, n_ints=60, white=0.1, ktc=0.0))
    true = np.mean([image.mean(axis=1).var() for image in noise_alone])
    expected = row_spectrum(found, readout, 128)[1:].sum() / 128
    # Weights of bright pixels count the ends of ramps more: up to twice as much for eight groups.
    assert 0.6 * true < expected < 2.4 * true


def test_one_group_tells_nothing(rng):
    readout = alternating_readout(64)
    assert told_by(ramps(rng, np.full((64, 64), 5.0), 1, 10.0, readout), readout) is None


def test_weights_of_groups(rng):
    assert slope_variance(5, 1.0) == pytest.approx(12 / (5 * 24))
    # The first and the last group alone: two variances over the square of the time between them.
    assert slope_variance(10, 1e6) == pytest.approx(2 / 81, rel=0.15)
    for snr in (1.0, 15.0, 1e3):
        assert slope_variance(2, snr) == pytest.approx(2.0)


def test_noise_stays_as_it_is(rng):
    readout = alternating_readout(256, 4)
    one = alternating_readout(64)
    pattern = np.concatenate(list(flicker(rng, 300, one, 3.0, n=4)), axis=1).astype(np.float32)
    assert hold_to_likely(pattern, spectrum(3.0), readout) is pattern


def test_noise_half_as_strong_again_as_told_stays(rng):
    """Weights of fits and shapes of spectra are not exact: on a full frame of strong noise rows were 5 % worse."""
    readout = alternating_readout(64)
    pattern = flicker(rng, 1024, readout, np.sqrt(1.6) * 3.0)[0].astype(np.float32)
    assert hold_to_likely(pattern, spectrum(3.0), readout) is pattern


def test_strong_waves_of_noise_alone_are_not_held(rng):
    """Two slow waves are as strong as these in one output of some thousand; held, they stay in the image."""
    readout = alternating_readout(64)
    waves = np.sqrt(row_spectrum(spectrum(3.0), readout, 512)) * rng.normal(size=512)
    waves[2:4] *= np.sqrt(9.0 * row_spectrum(spectrum(3.0), readout, 512)[2:4].mean() / np.mean(waves[2:4] ** 2))
    pattern = np.repeat(fft.idct(waves, norm="ortho")[:, None], 64, axis=1).astype(np.float32)
    assert hold_to_likely(pattern, spectrum(3.0), readout) is pattern


def test_light_of_an_output_is_held_back(rng):
    """What changes within rows stays, and so does the level of the output."""
    readout = alternating_readout(256, 4)
    pattern = np.concatenate(list(flicker(rng, 300, alternating_readout(64), 1.0, n=4)), axis=1).astype(np.float32)
    light = 30 * np.exp(-((np.arange(300) - 140) ** 2) / 2 / 60.0**2)[:, None].astype(np.float32)
    lit = pattern.copy()
    lit[:, 64:128] += light
    got = hold_to_likely(lit, spectrum(1.0), readout)
    others = np.r_[0:64, 128:256]
    assert_array_equal(got[:, others], lit[:, others])
    left = got[:, 64:128].mean(axis=1)
    assert left.std() < 0.1 * lit[:, 64:128].mean(axis=1).std()
    assert left.mean() == pytest.approx(lit[:, 64:128].mean(), rel=1e-4)
    change = got[:, 64:128] - lit[:, 64:128]
    assert_allclose(change, change[:, :1] + np.zeros(64), atol=1e-4)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0, 5.0, 20.0])
def test_no_light_is_left_worse_than_unsubtracted(rng, strength):
    """Light is as smooth as slow noise; taken for noise, up to six times its variance would be lost of it."""
    readout, n_rows = alternating_readout(64), 128
    noise = flicker(rng, n_rows, readout, 1.0, n=300).mean(axis=2)
    power = row_spectrum(spectrum(1.0), readout, n_rows)
    waves = strength * np.sqrt(power) * np.where(np.arange(n_rows) < 16, 1.0, 0.0)
    light = fft.idct(waves, norm="ortho")
    lit = np.repeat((noise + light)[:, :, None], 64, axis=2).astype(np.float32)
    left = [one - hold_to_likely(one, spectrum(1.0), readout, light=waves**2) for one in lit]
    error = np.array(left)[:, :, 0] - light
    assert (fft.dct(error, norm="ortho", axis=1)[:, 1:16] ** 2).sum() < 1.03 * (
        fft.dct(noise, norm="ortho", axis=1)[:, 1:16] ** 2
    ).sum()
    # Where there is no light, noise is still subtracted.
    assert (fft.dct(error, norm="ortho", axis=1)[:, 16:] ** 2).mean() < 0.1 * power[16:].mean()


def test_light_along_the_rows_tells_of_light_from_row_to_row():
    y, x = np.mgrid[:64, :256] / 64.0
    usable = np.ones((64, 256), bool)
    usable[10] = False
    across, along = (light_waves(np.cos(np.pi * place), usable) for place in (y, x))
    assert_allclose(along[1], across[1], rtol=0.05)
    assert across[1] == pytest.approx(32, rel=0.05)
    assert light_waves(np.full((64, 256), 7.0), usable)[1:].max() < 1e-20
    tall = light_waves(np.cos(np.pi * y[:, :32]), usable[:, :32])
    assert tall[1] == pytest.approx(32, rel=0.05)
    told, readout = spectrum(1.0), alternating_readout(256)
    slowest = row_spectrum(told, readout, 64)[1]
    strong = np.sqrt(slowest / 32) * np.cos(np.pi * x)
    assert_allclose(rival_light(strong, usable, told, readout), light_waves(strong, usable))
    assert rival_light(0.3 * strong, usable, told, readout) is None
    assert rival_light(strong, usable, None, readout) is None


def test_a_gradient_of_the_sky_over_a_subarray_stays():
    """It is as smooth as slow noise: a third to all of its light was lost, with the noise that the rows have."""
    readout, lost, before = alternating_readout(288), [], []
    y, x = np.mgrid[:288, :288] / 144.0 - 1
    for seed in range(6):
        rng = np.random.default_rng(seed)
        angle = rng.uniform(0.2, 1.2) + np.pi / 2 * seed
        slope = 3 * (np.cos(angle) * x + np.sin(angle) * y)
        data = ramps(rng, 30.0 + slope, 5, 8.0, readout)
        rate, bad = slopes(data), np.zeros((1, 288, 288), bool)
        got = destripe(rate, bad, readout=readout, group_noise=told_by(data, readout))
        for found, image in ((before, rate), (lost, rate - got.horizontal - got.vertical)):
            error = image[0] - 30.0 - slope
            found.append((error * slope).mean() / (slope**2).mean())
        assert (image[0] - slope).mean(axis=1).std() < 0.8 * (rate[0] - slope).mean(axis=1).std()
    assert np.std(lost) < 1.1 * np.std(before)
    assert np.sqrt(np.mean(np.square(lost))) < 1.1 * np.sqrt(np.mean(np.square(before)))


def test_a_spectrum_of_light_is_no_noise():
    readout = alternating_readout(128)
    told = spectrum(1.0)
    lit = FlickerNoise(0.3, 2 * SCALES, np.zeros(4), np.array([0.1, 0.1, 5.0, 30.0]))
    assert limit_noise(lit, None, readout) is lit
    assert limit_noise(told, scale_noise(told, 0.7), readout) is told
    got = limit_noise(lit, told, readout)
    assert got.white == lit.white
    assert_array_equal(got.own, told.own)
    assert_array_equal(got.scales_pix, told.scales_pix)


@pytest.mark.parametrize(("size", "n_groups"), [(160, 5), (320, 2), (288, 6)])
def test_a_galaxy_that_fills_a_subarray_is_not_worse_than_before(rng, size, n_groups):
    """Without what groups tell, rows or columns of the smallest and of the shortest ramps are far worse."""
    readout = alternating_readout(size)
    light = 30.0 + galaxy(size, 2000.0)
    data = ramps(rng, light, n_groups, 5.0, readout)
    rate = slopes(data)
    got = destripe(rate, np.zeros(rate.shape, bool), readout=readout, group_noise=told_by(data, readout))
    before, after = rate[0] - light, (rate - got.horizontal - got.vertical)[0] - light
    for axis in (0, 1):
        assert after.mean(axis=axis).std() < 1.15 * before.mean(axis=axis).std()


def test_ordinary_fields_do_not_change(rng):
    readout = alternating_readout(288)
    light = np.full((288, 288), 30.0)
    y, x = np.mgrid[:288, :288]
    for at in rng.uniform(10, 278, (20, 2)):
        light += 200 * np.exp(-0.5 * ((y - at[0]) ** 2 + (x - at[1]) ** 2) / 2.0**2)
    data = ramps(rng, light, 5, 8.0, readout)
    rate, bad = slopes(data), np.zeros((1, 288, 288), bool)
    got = destripe(rate, bad, readout=readout, group_noise=told_by(data, readout))
    assert not got.held
    assert_array_equal(got.horizontal, destripe(rate, bad, readout=readout).horizontal)


def test_where_light_passes_for_noise_the_result_says_so(rng):
    readout = alternating_readout(320)
    data = ramps(rng, 30.0 + galaxy(320, 2000.0), 5, 5.0, readout)
    rate, told = slopes(data), told_by(data, readout)
    got = destripe(rate, np.zeros(rate.shape, bool), readout=readout, group_noise=scale_noise(told, 0.05))
    assert got.held
    assert 0 < got.rms_unsure < np.sqrt(0.05 * (told.own.sum() + told.common.sum()))
