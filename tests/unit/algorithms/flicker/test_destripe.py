"""Destriping as a whole: light and noise are treated apart, image by image."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from detectorist.algorithms.flicker import destripe as whole
from detectorist.algorithms.flicker import light_and_noise
from detectorist.algorithms.flicker.smoother import alternating_readout, estimate_flicker, estimate_flicker_coarsely
from detectorist.errors import ParameterError

NY, NX = 192, 256
WHITE = 0.02
READOUT = alternating_readout(NX, 4)


def make(rng, n=1, *, sky=0.3, rows=0.015):
    light = sky + np.zeros((NY, NX))
    yy, xx = np.mgrid[:NY, :NX]
    for y, x in rng.uniform(5, 185, (15, 2)):
        light += np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 1.8**2)
    stripes = np.repeat(rows * rng.normal(size=(n, NY, 4)), NX // 4, axis=2)
    stripes -= stripes.mean(axis=(1, 2), keepdims=True)
    return light, stripes, light + stripes + WHITE * rng.normal(size=(n, NY, NX))


@pytest.mark.parametrize("method", ["flicker", "median"])
@pytest.mark.parametrize("n", [1, 3])
def test_rows_are_levelled_and_the_sky_stays(rng, method, n):
    _, stripes, images = make(rng, n)
    before = images.copy()
    got = whole.destripe(images, np.zeros(images.shape, bool), readout=READOUT, method=method)
    left = stripes - got.horizontal - got.vertical
    # A row tells its level to 0.02 / 16, its median to a quarter more; steps are not what flicker models.
    assert left.mean(axis=2).std() < 2 * WHITE / np.sqrt(NX)
    assert np.abs(left.mean(axis=(1, 2))).max() < 1e-3
    assert_array_equal(images, before)
    assert got.tier.dtype == np.uint8
    assert_array_equal(got.mask, got.tier > 0)


def test_the_sky_of_a_flat_field_is_no_noise(rng):
    flat = 1 + 0.15 * np.cos(np.arange(NX) / 15.0) * np.ones((NY, 1))
    flat[3, 4] = np.nan
    light, stripes, images = make(rng, sky=5.0)
    images += light * (np.nan_to_num(flat, nan=1) - 1)
    for method in ("flicker", "median"):
        got = whole.destripe(images, np.zeros(images.shape, bool), readout=READOUT, method=method, flat=flat)
        left = stripes - got.horizontal - got.vertical
        assert left.mean(axis=1).std() < 0.004


@pytest.mark.parametrize("method", ["flicker", "median"])
def test_arrays_in_the_byte_order_of_files_are_taken(rng, method):
    _, _, images = make(rng)
    images, bad = images.astype(np.float32), np.zeros(images.shape, bool)
    native = whole.destripe(images, bad, readout=READOUT, method=method)
    got = whole.destripe(images.astype(">f4"), bad, readout=READOUT, method=method)
    assert_array_equal(got.horizontal, native.horizontal)


def test_a_given_mask_is_used(rng):
    _, _, images = make(rng)
    mask = rng.random((NY, NX)) < 0.3
    got = whole.destripe(images, np.zeros(images.shape, bool), readout=READOUT, mask=mask)
    assert_array_equal(got.mask, mask)
    hurt = images.copy()
    hurt[:, mask] = 1e6
    assert_allclose(
        whole.destripe(hurt, np.zeros(images.shape, bool), readout=READOUT, mask=mask).horizontal, got.horizontal
    )


def test_levels_of_outputs_are_not_taken_for_sources(rng):
    _, stripes, images = make(rng, rows=0.005)
    levels = np.repeat([0.0, -0.01, 0.01, 0.05], NX // 4).astype(np.float32)
    bad = np.zeros(images.shape, bool)
    without = whole.destripe(images, bad, readout=READOUT).mask
    got = whole.destripe(images + levels, bad, readout=READOUT)
    assert got.mask.mean() < without.mean() + 0.02
    left = (stripes[0] + levels - levels.mean() - got.horizontal[0]).reshape(NY, 4, -1).mean(axis=(0, 2))
    assert_allclose(left, 0, atol=0.002)


@pytest.mark.parametrize("peak", [0.5, 5.0])
def test_a_galaxy_that_fills_rows_of_an_output_keeps_its_light(rng, peak):
    _, stripes, images = make(rng, rows=0.006)
    yy, xx = np.mgrid[:NY, :NX]
    light = peak * np.exp(-1.68 * np.hypot(xx - 96, (yy - 90) / 0.7) / 22)
    bad = np.zeros(images.shape, bool)
    got = whole.destripe(images + light, bad, readout=READOUT)
    assert got.mask[light > 0.03].mean() > 0.99
    left = (stripes - got.horizontal)[0]
    assert abs(left[light > 0.1].sum()) < 0.03 * light[light > 0.1].sum()
    known = whole.destripe(images + light, bad, readout=READOUT, mask=got.mask | (light > 0.003))
    assert left.std() < 1.2 * (stripes - known.horizontal)[0].std()


@pytest.mark.long
def test_a_full_frame_reaches_the_limit_of_the_noise(rng):
    size, n_outputs = 2048, 4
    readout = alternating_readout(size, n_outputs)
    n = size * (size // n_outputs + 12)
    frequency = np.fft.rfftfreq(n)
    frequency[0] = np.inf
    noise = np.zeros((size, size))
    streams = []
    for _ in range(n_outputs + 1):
        waves = rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)
        line = np.fft.irfft(waves / np.sqrt(frequency), n)
        streams.append(line / line.std())
    for k, (first, last, direction) in enumerate(readout.outputs):
        line = 0.012 * (0.6 * streams[0] + 0.8 * streams[k + 1])
        noise[:, first:last] = line.reshape(size, -1)[:, : size // n_outputs][:, ::direction]
    noise += 0.004 * rng.normal(size=size)
    noise -= noise.mean()
    image = 0.3 + noise + WHITE * rng.normal(size=noise.shape)
    yy, xx = np.mgrid[:size, :size]
    light = 2 * np.exp(-1.68 * np.hypot(xx - 1500, yy - 900) / 60)
    got = whole.destripe((image + light)[None], np.zeros((1, size, size), bool), readout=readout)
    left = noise - got.horizontal[0] - got.vertical[0]
    rows = left.reshape(size, n_outputs, -1).mean(axis=2)
    assert rows.std() < 0.0016
    assert left.mean(axis=0).std() < 0.0008
    assert left.std() < 0.0067
    assert abs(left[light > 0.3].sum()) < 0.002 * light[light > 0.3].sum()
    pull = (left + image - 0.3 - noise)[light < 0.01] / np.sqrt(WHITE**2 + got.variance_change[0])[light < 0.01]
    assert_allclose(pull.std(), 1, atol=0.02)


@pytest.mark.parametrize("lit", [True, False])
@pytest.mark.parametrize("with_reference", [True, False])
def test_slow_noise_under_light_everywhere_is_unsure_without_reference_pixels(rng, lit, with_reference):
    size, border = 512, np.ones((512, 512), bool)
    border[4:-4, 4:-4] = False
    readout = alternating_readout(size, 4)
    drift = np.zeros(size)
    for row in range(1, size):
        drift[row] = np.exp(-1 / 80) * drift[row - 1] + 0.004 * np.sqrt(1 - np.exp(-2 / 80)) * rng.normal()
    y, x = np.mgrid[:size, :size]
    light = 0.3 * (1 + np.hypot(y - 250, x - 240) / 150) ** -1.5 if lit else np.zeros((size, size))
    image = np.where(border, 0, 0.25 + light) + drift[:, None] + 0.015 * rng.normal(size=(size, size))
    reference = border if with_reference else None
    found = whole.destripe(image[None].astype(np.float32), border[None], readout=readout, reference=reference)
    if lit and not with_reference:
        assert 0.001 < found.rms_unsure < 0.02
    else:
        assert found.rms_unsure is None


@pytest.mark.parametrize("trusted", [True, False])
def test_levels_of_outputs_that_reference_pixels_see_are_noise(rng, trusted):
    """An offset common to an output and its reference pixels is taken out; one as large as no noise is not believed."""
    border = np.ones((NY, NX), bool)
    border[4:-4, 4:-4] = False
    _, stripes, images = make(rng)
    offset = 0.01 if trusted else 1.0
    image = images[0] + offset
    image[border] = (stripes[0] + offset + WHITE * rng.normal(size=border.shape))[border]
    found = whole.destripe(image[None], border[None], readout=READOUT, reference=border)
    total = (found.horizontal + found.vertical)[0]
    seen = np.r_[4 : NX // 4, 3 * NX // 4 : NX - 4]
    expected = offset + stripes[0][4:-4, seen].mean() if trusted else 0.0
    where = total[4:-4, seen] if trusted else total[4:-4, 4:-4]
    assert abs(where.mean() - expected) < 5 * WHITE / np.sqrt(8 * NY)


def test_the_sky_is_where_no_light_was_subtracted(rng):
    """What a model of light misses is in the estimate where that light was: it has no say in the level of the sky."""
    size = 128
    light = np.zeros((size, size), np.float32)
    light[:, :40] = 2 * WHITE
    readout = alternating_readout(size, 4)
    image = (0.3 + WHITE * rng.normal(size=(size, size))).astype(np.float32)
    part = estimate_flicker(image, np.zeros(image.shape, bool), readout=readout)
    wrong = whole.replace(part, pattern=part.pattern - 0.2 * light)
    dark = whole._is_dark(light, light.shape, WHITE**2)
    levelled = whole._levelled(wrong, dark, None, readout)
    assert abs(levelled.total[:, 40:].mean()) < 1e-6
    before = part.total[:, :40].mean() - part.total[:, 40:].mean()
    assert levelled.total[:, :40].mean() == pytest.approx(before - 0.4 * WHITE, rel=1e-4)


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_strong_slow_noise_alone_is_not_taken_for_light(seed):
    """Shallow frames: slow noise of a tenth of a pixel's white noise, which a map of wide light partly follows."""
    rng, size = np.random.default_rng(seed), 512
    drift = np.zeros(size)
    for row in range(1, size):
        drift[row] = np.exp(-1 / 80) * drift[row - 1] + 0.014 * np.sqrt(1 - np.exp(-2 / 80)) * rng.normal()
    image = 0.25 + drift[:, None] + 0.13 * rng.normal(size=(size, size))
    bad = np.zeros((1, size, size), bool)
    found = whole.destripe(image[None].astype(np.float32), bad, readout=alternating_readout(size, 4))
    assert found.rms_unsure is None
    # The white noise of a row allows half of this; noise taken for none left all of its 0.013.
    left = drift - drift.mean() - found.horizontal[0].mean(axis=1)
    assert np.std(left) < 0.0040


def test_bad_input_is_named(rng):
    _, _, images = make(rng)
    bad = np.zeros(images.shape, bool)
    with pytest.raises(ParameterError, match="method"):
        whole.destripe(images, bad, readout=READOUT, method="mean")
    with pytest.raises(ParameterError, match="shape"):
        whole.destripe(images[0], bad[0], readout=READOUT)
    with pytest.raises(ParameterError, match="mask of shape"):
        whole.destripe(images, bad, readout=READOUT, mask=np.zeros((3, 3), bool))


def crowded_field(rng, size, n_stars):
    """Stars whose wings overlap everywhere, as in the plane of the Galaxy, DN/s."""
    light = np.zeros((size, size))
    places = rng.integers(0, size, (2, n_stars))
    np.add.at(light, tuple(places), np.minimum(rng.random(n_stars) ** (-1 / 0.7), 900))
    radius = np.hypot(*np.mgrid[-90:91, -90:91])
    star = np.exp(-0.5 * (radius / 1.1) ** 2) + 8e-3 / (1 + (radius / 4) ** 2) ** 1.25
    return signal.fftconvolve(light, star / star.sum(), mode="same")


def test_stars_of_a_crowded_field_are_not_taken_for_noise_of_rows():
    """Most of 3000 stars in 512 x 512 pixels are in no mask; where they cannot be told from noise, little is done."""
    size, n_outputs, before, after = 512, 4, [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        field = crowded_field(rng, size, 3000)
        rows = np.cumsum(2e-4 * rng.normal(size=size)) + 8e-4 * rng.normal(size=size)
        rows -= rows.mean()
        image = 0.25 + field + rows[:, None] + 0.014 * np.sqrt(1 + field) * rng.normal(size=field.shape)
        readout = alternating_readout(size, n_outputs)
        got = whole.destripe(image[None], np.zeros((1, size, size), bool), readout=readout)
        left = rows[:, None] - got.horizontal[0] - got.vertical[0]
        before.append(rows.std())
        after.append(left.reshape(size, n_outputs, -1).mean(axis=2).std())
    # Taken for noise, they leave three to four times of it.
    assert np.sqrt(np.mean(np.square(after))) < 1.4 * np.sqrt(np.mean(np.square(before)))


def test_outliers_are_judged_by_the_light_that_is_found_last(rng, monkeypatch):
    """Where light is not all known, a sketch beside light that was still wrong hid one side of the pixels."""
    noise = 0.01 * rng.normal(size=(256, 1)) + 0.02 * rng.normal(size=(256, 256))
    bad = np.zeros(noise.shape, bool)
    wrong = np.repeat([0.0, 0.03], 128) * np.ones((256, 1), np.float32)
    lights = iter([wrong.astype(np.float32), np.zeros_like(wrong)])
    monkeypatch.setattr(
        light_and_noise,
        "solve_wide_light",
        lambda *_, **__: SimpleNamespace(light=next(lights), own_part=0.0, unmasked=1e-4),
    )
    settings = {"readout": alternating_readout(256, 4), "columns": False, "group_noise": None}
    image = noise.astype(np.float32)
    first = estimate_flicker_coarsely(image, bad, **settings)._replace(level=0.0)
    sketch, light, *_ = light_and_noise.model_wide_light(image, bad, bad, np.float32(0), first, None, settings)
    assert np.abs(light).max() < 0.005
    steps = sketch.expected[:, 128:].mean() - sketch.expected[:, :128].mean()
    assert abs(steps) < 0.005
