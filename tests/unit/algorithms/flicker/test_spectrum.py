"""The spectrum of 1/f noise from variograms, against processes whose variances are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.flicker import spectrum
from detectorist.algorithms.flicker.readout import Blocks, alternating_readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.errors import TooFewPixels

N_ROWS, N_OUT = 256, 4
READOUT = alternating_readout(256, N_OUT)


def process(rng, blocks, variance, scale_pix, n):
    """Ornstein-Uhlenbeck noise at the times of the blocks, (n, n_rows * n_blocks)."""
    within, across = np.exp(
        -np.array([blocks.block_pix, blocks.row_pix - (blocks.per_row - 1) * blocks.block_pix]) / scale_pix
    )
    steps = blocks.n_rows * blocks.per_row
    values = np.sqrt(variance) * rng.normal(size=(n, steps))
    for k in range(1, steps):
        keep = across if k % blocks.per_row == 0 else within
        values[:, k] = keep * values[:, k - 1] + np.sqrt(1 - keep**2) * values[:, k]
    return values


def drawn(rng, *, common, own, white):
    blocks = Blocks(READOUT, N_ROWS)
    means = np.sqrt(white / 4) * rng.normal(size=(N_OUT, N_ROWS * blocks.per_row))
    means += process(rng, blocks, common, 150.0, 1) + process(rng, blocks, own, 900.0, N_OUT)
    return means.astype(np.float32), np.full(means.shape, 4, np.uint16), blocks


def growth(variances, scales_pix, lag):
    """Half the mean squared difference that processes make over a lag."""
    return float(variances @ (1 - np.exp(-lag / scales_pix)))


def test_common_own_and_white_noise_are_told_apart(rng):
    found = spectrum.fit_noise(*drawn(rng, common=4e-4, own=1e-4, white=9e-4))
    # What is slower than the image is long is anyone's guess; how noise grows over a hundred pixels is not.
    for lag in (40.0, 150.0, 400.0):
        assert growth(found.common, found.scales_pix, lag) == pytest.approx(4e-4 * (1 - np.exp(-lag / 150)), rel=0.25)
        assert growth(found.own, found.scales_pix, lag) == pytest.approx(1e-4 * (1 - np.exp(-lag / 900)), rel=0.5)
    assert found.white == pytest.approx(9e-4, rel=0.05)
    assert np.all(np.diff(found.scales_pix) > 0)
    assert found.rms == pytest.approx(np.sqrt(found.common.sum() + found.own.sum()))


def test_without_a_second_output_nothing_is_common(rng):
    means, counts, _ = drawn(rng, common=4e-4, own=1e-4, white=9e-4)
    blocks = Blocks(alternating_readout(64, 1), N_ROWS)
    found = spectrum.fit_noise(means[:1], counts[:1], blocks)
    assert not found.common.any()
    expected = 4e-4 * (1 - np.exp(-1)) + 1e-4 * (1 - np.exp(-1 / 6))
    assert growth(found.own, found.scales_pix, 150.0) == pytest.approx(expected, rel=0.3)


def test_white_noise_alone_is_white(rng):
    blocks = Blocks(READOUT, N_ROWS)
    means = rng.normal(size=(N_OUT, N_ROWS * blocks.per_row)).astype(np.float32) / 2
    found = spectrum.fit_noise(means, np.full(means.shape, 4, np.uint16), blocks)
    assert found.white == pytest.approx(1, rel=0.05)
    assert found.rms < 0.1
    assert min(found.common.min(), found.own.min()) >= 0


def test_blocks_of_too_few_pixels_do_not_count(rng):
    means, counts, blocks = drawn(rng, common=4e-4, own=1e-4, white=9e-4)
    left_out = rng.random(means.shape) < 0.2
    expected = spectrum.fit_noise(means, np.where(left_out, 0, counts).astype(np.uint16), blocks)
    spoilt = np.where(left_out, np.float32(1e3), means)
    found = spectrum.fit_noise(spoilt, np.where(left_out, 1, counts).astype(np.uint16), blocks)
    assert_allclose([found.white, found.rms], [expected.white, expected.rms], rtol=1e-9)
    with pytest.raises(TooFewPixels, match="too few pairs of usable neighbours"):
        spectrum.fit_noise(means, np.zeros_like(counts), blocks)


def test_images_of_one_exposure_are_pooled():
    scales = np.array([10.0, 100.0])
    one = FlickerNoise(1.0, scales, np.array([1.0, 3.0]), np.array([0.0, 2.0]))
    two = FlickerNoise(3.0, scales, np.array([3.0, 3.0]), np.array([4.0, 0.0]))
    pooled = spectrum.pool_noise([one, two])
    assert pooled.white == 2
    assert_array_equal(pooled.common, [2, 3])
    assert_array_equal(pooled.own, [2, 1])
    assert_array_equal(pooled.scales_pix, scales)
    assert pooled.rms == pytest.approx(np.sqrt(8))


class TestFastNoise:
    READOUT = alternating_readout(512, 1)

    def found(self, image, usable, white):
        noise = FlickerNoise(white, np.ones(1), np.zeros(1), np.zeros(1))
        nothing = np.zeros(image.shape, np.float32)
        return spectrum.fast_variance(image, usable, np.zeros(512, np.float32), nothing, 50.0, noise, self.READOUT)

    def pink(self, rng, slope):
        n = 300 * 524
        frequency = np.fft.rfftfreq(n)
        frequency[0] = np.inf
        waves = rng.normal(size=(2, frequency.size))
        line = np.fft.irfft((waves[0] + 1j * waves[1]) * frequency ** (-slope / 2), n)
        return (line / line.std()).reshape(300, 524)[:, :512]

    @pytest.mark.parametrize("slope", [0.8, 1.0, 1.4])
    def test_variance_within_a_block_of_a_power_law(self, rng, slope):
        noise = self.pink(rng, slope)
        within = noise.reshape(300, 128, 4).var(axis=2).mean()
        image = (noise + 0.3 * rng.normal(size=noise.shape)).astype(np.float32)
        assert self.found(image, np.ones(image.shape, bool), 0.09) == pytest.approx(within, rel=0.25)

    def test_white_noise_has_none(self, rng):
        image = rng.normal(size=(300, 512)).astype(np.float32)
        assert self.found(image, np.ones(image.shape, bool), 1.0) < 0.02

    def test_masked_pixels_have_no_part_and_too_few_say_nothing(self, rng):
        image = (self.pink(rng, 1.0) + 0.3 * rng.normal(size=(300, 512))).astype(np.float32)
        usable = rng.random(image.shape) > 0.1
        spoilt = np.where(usable, image, np.float32(np.nan))
        assert self.found(spoilt, usable, 0.09) == self.found(image, usable, 0.09)
        assert self.found(image, np.zeros(image.shape, bool), 0.09) == 0.0


def test_covariance_of_means_is_that_of_the_process():
    """Against the double integral over both stretches of time, summed up."""
    length, scale = 40.0, 25.0
    times = np.arange(length) + 0.5
    apart = np.abs(np.subtract.outer(np.arange(5), np.arange(5))) * length
    exact = np.array(
        [[np.exp(-np.abs(times[:, None] - times[None] - lag) / scale).mean() for lag in row] for row in apart]
    )
    assert_allclose(spectrum.covariance_of_means(apart, length, [2.0], [scale]), 2 * exact, rtol=2e-3)


def test_the_variance_of_a_mean_is_that_over_a_time_of_any_length():
    for length in (1e-3, 40.0, 1e6):  # in 1e6 there are 40,000 independent values of two scales each
        (found,) = spectrum.covariance_of_means(np.zeros(1), length, [2.0], [25.0])
        u = length / 25.0
        assert found == pytest.approx(2.0 if u < 1e-3 else 4 / u * (1 - (1 - np.exp(-u)) / u), rel=1e-4)


def test_an_image_whose_rows_look_too_noisy_has_the_spectrum_of_its_groups():
    scales = np.array([40.0, 4000.0])
    groups = FlickerNoise(white=1.0, common=np.array([0.0, 1.0]), own=np.array([0.1, 0.0]), scales_pix=scales)
    for factor, limited in ((1.5, False), (3.0, True)):
        image = FlickerNoise(
            white=7.0, common=factor * groups.common, own=factor * groups.own, scales_pix=scales.copy()
        )
        found = spectrum.limit_noise(image, groups, READOUT)
        assert spectrum.is_limited(found, groups) == limited
        assert found.white == 7.0
        assert_array_equal(found.common, groups.common if limited else image.common)
    assert spectrum.limit_noise(image, None, READOUT) is image
    assert not spectrum.is_limited(image, None)
