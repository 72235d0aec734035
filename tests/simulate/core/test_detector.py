"""Effects of the detector against what defines them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.detectors import MIRI_INTERFERENCE, MIRI_SUBARRAYS
from detectorist.simulate.core import detector
from detectorist.simulate.core.components import CLASSIC_CURVE
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.lrs.components import late_curve

LATE_CURVE = late_curve(pedestal_dn=9_000.0)


class TestPhotons:
    def test_mean_and_variance_are_those_of_a_poisson_process(self, rng):
        electrons = detector.accumulate_photons(np.full((200, 200), 80.0), 0.5, 4, rng)
        n = electrons[0].size
        for group, plane in enumerate(electrons, start=1):
            expected = 40.0 * group
            assert abs(plane.mean() - expected) < 5 * np.sqrt(expected / n)
            assert abs(plane.var() / expected - 1) < 5 * np.sqrt(2 / n)
        assert np.all(np.diff(electrons, axis=0) >= 0)

    def test_steps_are_independent(self, rng):
        steps = np.diff(detector.accumulate_photons(np.full((200, 200), 80.0), 0.5, 3, rng), axis=0)
        assert abs(np.corrcoef(steps[0].ravel(), steps[1].ravel())[0, 1]) < 5 / 200

    def test_without_noise_the_expectation(self):
        electrons = detector.accumulate_photons(np.array([[2.0]]), 0.5, 3, None)
        assert_allclose(electrons.ravel(), [1, 2, 3])


@pytest.mark.parametrize("coefficients", [CLASSIC_CURVE, LATE_CURVE, (0.0, 1.0)])
class TestNonlinearity:
    def test_measured_inverts_linear(self, coefficients, rng):
        curve = detector.Nonlinearity(coefficients)
        linear = rng.uniform(-200, 50_000, 2_000)
        assert_allclose(curve.linear(curve.measured(linear)), linear, atol=1e-5)

    def test_reference_coefficients_correct_raw_data(self, coefficients, rng):
        curve = detector.Nonlinearity(coefficients)
        pedestal = rng.normal(9_000, 50, (20, 30))
        linear = rng.uniform(100, 50_000, pedestal.shape)
        raw = (curve.measured(linear) + pedestal).astype(np.float32)
        corrected = np.zeros_like(raw)
        for coefficient in curve.reference_coefficients(pedestal)[::-1]:
            corrected = corrected * raw + coefficient
        assert np.max(np.abs(corrected - pedestal - linear) / linear) < 1e-3
        assert_allclose(corrected - pedestal, linear, atol=0.2)

    def test_response_rises(self, coefficients):
        assert np.all(np.diff(detector.Nonlinearity(coefficients).linear(np.linspace(0, 56_000, 1_000))) > 0)


def test_classic_curve_loses_six_percent_at_50000():
    loss = 1 - detector.Nonlinearity(CLASSIC_CURVE).measured(np.array(50_000.0)) / 50_000
    assert 0.05 < loss < 0.08


class TestInterference:
    lrs = MIRI_SUBARRAYS["SLITLESSPRISM"]

    def pattern(self, n_groups=9, phase_cycles=0.3):
        clocks = detector.pixel_clocks(416, 72, row_clocks=self.lrs.row_clocks, n_outputs=4)
        return detector.interference(
            clocks,
            n_groups,
            frame_clocks=self.lrs.frame_clocks,
            period_clocks=MIRI_INTERFERENCE.period_clocks,
            amplitudes_dn=MIRI_INTERFERENCE.harmonic_amplitudes_dn,
            phase_cycles=phase_cycles,
        )

    def test_is_a_wave_of_390_hz_in_readout_time(self):
        group, row, column = np.meshgrid(np.arange(9), np.arange(416), np.arange(72), indexing="ij")
        time_s = 1e-5 * (group * 15_904 + row * 28 + column // 4)
        cycle = 2 * np.pi * (390.625 * time_s + 0.3)
        expected = sum(a * np.sin(k * cycle) for k, a in MIRI_INTERFERENCE.harmonic_amplitudes_dn)
        assert_allclose(self.pattern(), expected, atol=1e-6)

    def test_comes_back_after_eight_groups(self):
        pattern = self.pattern()
        assert_allclose(pattern[8], pattern[0], atol=1e-9)
        assert np.abs(pattern[4] - pattern[0]).max() > 6

    def test_stripes_repeat_every_nine_rows(self):
        power = np.abs(np.fft.rfft(self.pattern()[0, :, 0])) ** 2
        assert 416 / power[1:].argmax() == pytest.approx(256 / 28, abs=0.3)

    def test_reference_wave_is_the_same_wave(self):
        wave = detector.interference_wave(MIRI_INTERFERENCE.harmonic_amplitudes_dn, 500)
        phases = ((np.arange(416) * 28 / 256) + 0.3) % 1
        centres = (np.arange(-1, 501) + 0.5) / 500
        sampled = np.interp(phases, centres, np.r_[wave[-1], wave, wave[0]])
        assert_allclose(sampled, self.pattern()[0, :, 0], atol=1e-3)


class TestDrift:
    def draw(self, rng):
        return detector.draw_drift(6, 4, rng, walk_dn=1.0, odd_even_dn=2.0, slow_dn=2.0, slow_cycles=1.5)

    def test_all_columns_of_an_output_see_the_same(self, rng):
        image = self.draw(rng).image(416, 72)
        assert image.shape == (6, 416, 72)
        for column in range(4, 72):
            assert_array_equal(image[:, :, column], image[:, :, column % 4])

    def test_parts_add_up(self, rng):
        drift = self.draw(rng)
        rows = drift.rows(416)
        wave = np.sin(2 * np.pi * (1.5 * np.arange(416) / 415 + drift.slow_phase[2]))
        expected = drift.level[3, 2] + drift.slow_amplitude[3, 2] * wave
        expected[::2] += drift.odd_even[3, 0, 2]
        expected[1::2] += drift.odd_even[3, 1, 2]
        assert_allclose(rows[3, :, 2], expected)

    def test_level_walks(self):
        draws = [
            detector.draw_drift(30, 4, stream(k, "d"), walk_dn=1.0, odd_even_dn=0.0, slow_dn=0.0, slow_cycles=1.0)
            for k in range(400)
        ]
        variance = np.var([drift.level for drift in draws], axis=(0, 2))
        assert_allclose(variance, np.arange(1, 31), rtol=5 * np.sqrt(2 / 1_600))


class TestCosmicRays:
    def draw(self, rng, hits_per_group=5.0):
        return detector.draw_cosmic_rays(
            (10, 50, 40),
            rng,
            hits_per_group=hits_per_group,
            median_charge_e=3_000.0,
            spread_dex=0.5,
            neighbour_fraction=0.1,
        )

    def test_charge_stays_from_its_group_on(self, rng):
        rays = self.draw(rng)
        electrons = np.zeros((10, 50, 40))
        rays.add_to(electrons)
        assert_allclose(electrons[-1].sum(), rays.charge_e.sum())
        steps = np.diff(electrons, axis=0, prepend=np.zeros((1, 50, 40)))
        for group in range(10):
            assert_allclose(steps[group].sum(), rays.charge_e[rays.group == group].sum())

    def test_neighbours_are_struck_in_the_same_group(self, rng):
        rays = self.draw(rng, hits_per_group=0.3)
        brightest = rays.charge_e.argmax()
        near = np.hypot(rays.row - rays.row[brightest], rays.column - rays.column[brightest]) == 1
        assert near.sum() >= 2
        assert np.all(rays.group[near] == rays.group[brightest])
        assert np.all((rays.row >= 0) & (rays.row < 50) & (rays.column >= 0) & (rays.column < 40))

    def test_none_without_hits(self, rng):
        assert self.draw(rng, hits_per_group=0.0).group.size == 0


def test_converter_rounds_and_clips():
    assert_array_equal(detector.digitise(np.array([-3.0, 0.4, 9_000.6, 65_534.7, 1e6])), [0, 0, 9_001, 65_535, 65_535])
    assert detector.digitise(np.zeros(1)).dtype == np.uint16
