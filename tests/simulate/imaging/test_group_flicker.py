"""1/f noise of averaged groups: its spectrum, and what averaging leaves of it."""

import numpy as np
import pytest

from detectorist.detectors import PIXEL_TIME_S
from detectorist.errors import ParameterError
from detectorist.simulate.core.flight_noise import SPECTRA
from detectorist.simulate.core.noise_spectra import MeasuredSpectrum, Spectrum, band_variance, draw_series
from detectorist.simulate.core.time_line import TimeLine
from detectorist.simulate.imaging import group_flicker
from detectorist.simulate.imaging.group_flicker import Flicker
from detectorist.simulate.imaging.scene import ImagingScene

LINE = TimeLine(64, 64, n_outputs=4, frame_overhead_rows=1)


def draw(flicker, *, n_groups=40, n_frames=1, n_skipped=0, seed=1):
    return group_flicker.draw_groups(
        LINE, flicker, n_groups=n_groups, n_frames=n_frames, n_skipped=n_skipped, rng=np.random.default_rng(seed)
    )


@pytest.mark.parametrize(("slope", "shoulder"), [(1.0, 0.0), (1.0, 200.0), (1.6, 0.0)])
def test_power_falls_as_the_spectrum_says(slope, shoulder):
    n, step = 2**15, PIXEL_TIME_S
    spectrum = Spectrum(slope, shoulder)
    rng = np.random.default_rng(5)
    frequency = np.fft.rfftfreq(n, step)
    power = np.mean(
        [np.abs(np.fft.rfft(draw_series(n, step, spectrum, (0, np.inf), rng)
                            * np.hanning(n))) ** 2 for _ in range(60)], axis=0
    )  # fmt: skip
    ratio = power / spectrum.power(np.maximum(frequency, 1e-3))
    bands = [ratio[(frequency > low) & (frequency < 2 * low)].mean() for low in (50, 200, 1_000, 5_000, 20_000)]
    np.testing.assert_allclose(bands, np.mean(bands), rtol=0.15)


def test_bands_add_up():
    spectrum, step = Spectrum(), PIXEL_TIME_S
    whole = band_variance(step, spectrum, (10.0, 1e4))
    parts = band_variance(step, spectrum, (10.0, 300.0))
    parts += band_variance(step, spectrum, (300.0, 1e4))
    assert whole == pytest.approx(parts, rel=1e-4)


def test_rms_of_a_frame_is_as_asked():
    noise = draw(Flicker(3.0, 0.0, 0.0, Spectrum(1.0, 1_000.0)), n_groups=200)
    assert np.sqrt((noise**2).mean()) == pytest.approx(3.0, rel=0.1)


def test_averaged_frames_average_what_is_fast():
    white = Flicker(3.0, 1.0, 0.5, Spectrum(0.0, 0.0))
    single, averaged = draw(white, n_frames=1), draw(white, n_frames=8)
    assert single.std() == pytest.approx(np.sqrt(10.25), rel=0.03)
    # A flat spectrum has some power below the frame's frequency, which 8 frames average less.
    assert averaged.std() * np.sqrt(8) == pytest.approx(single.std(), rel=0.05)


def test_slow_noise_goes_on_from_group_to_group():
    slow = draw(Flicker(1.0, 0.0, 0.0, Spectrum(2.0, 0.0)), n_groups=30, n_frames=2, n_skipped=1)
    level = slow.mean(axis=(1, 2))
    assert np.abs(np.diff(level)).mean() < 0.5 * level.std()


def test_common_noise_is_mirrored_in_neighbouring_outputs():
    noise = draw(Flicker(1.0, 0.0, 0.0, Spectrum()), n_groups=2)
    np.testing.assert_array_equal(noise[..., :16], noise[..., 16:32][..., ::-1])
    assert np.abs(np.corrcoef(draw(Flicker(0.0, 1.0, 0.0, Spectrum(0.5)))[..., ::16].reshape(-1, 4).T)[0, 1]) < 0.1


def test_alternating_noise_changes_sign_from_column_to_column():
    noise = draw(Flicker(0.0, 0.0, 1.0, Spectrum(1.5, 1.0)))
    even, odd = noise[..., 0:16:2], noise[..., 1:16:2]
    assert np.corrcoef(even.ravel(), odd.ravel())[0, 1] < -0.5


def test_a_seed_gives_the_same_noise():
    part = Flicker(3.0, 1.0, 0.5, Spectrum())
    np.testing.assert_array_equal(draw(part, n_groups=3), draw(part, n_groups=3))


def test_a_measured_spectrum_is_a_power_law_between_its_points():
    measured = MeasuredSpectrum((10.0, 1_000.0), (4.0, 0.04))
    np.testing.assert_allclose(measured.power(np.array([1.0, 100.0, 1e4])), [4.0, 0.4, 0.04])
    assert band_variance(PIXEL_TIME_S, measured, (10.0, 1_000.0)) == pytest.approx(40 * np.log(100), rel=1e-4)


def test_outputs_have_a_spectrum_of_their_own():
    fast = MeasuredSpectrum((5_000.0, 10_000.0), (1e-12, 1.0))
    noise = draw(Flicker(0.0, 1.0, 0.0, Spectrum(2.0, 0.0), fast), n_groups=20)
    along = noise.reshape(20, 64, 4, 16)
    assert along.mean(axis=3).std() < 0.5 * along.std()


def in_flight(name, seed=1):
    scene = ImagingScene().only("flicker").with_detector(name="NRCA3", size=64, pattern="RAPID", gain=1.0)
    observation = scene.with_("flicker", measured=name).observe(groups=2, seed=seed)
    return observation.read_out(0, 0, np.zeros((64, 64))).raw.astype(float)


def test_a_frame_of_noise_measured_in_flight_is_as_strong_as_measured():
    steps = np.concatenate([np.diff(np.diff(in_flight("nrca3-2022", seed), axis=0)).ravel() for seed in range(8)])
    frequency = np.linspace(20, 50_000, 100_000)
    density = sum(one.power(frequency) for one in (SPECTRA["nrca3-2022"].common, SPECTRA["nrca3-2022"].own))
    of_neighbours = np.trapezoid(density * 4 * np.sin(np.pi * frequency * PIXEL_TIME_S) ** 2, frequency)
    # Two reads, and their rounding.
    alternating = 2 * 4 * ImagingScene().flicker.alternating_e ** 2
    assert steps.var() == pytest.approx(2 * of_neighbours + alternating + 4 / 12, rel=0.1)


def test_an_unknown_measured_spectrum_is_named():
    with pytest.raises(ParameterError, match='did you mean "nrca3-2022"'):
        in_flight("nrca3-202")
