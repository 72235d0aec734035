"""Series of noise with a given spectrum: power laws with a shoulder, or one that was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft


@dataclass(frozen=True)
class Spectrum:
    """Power ~ 1 / (shoulder ** 2 + frequency ** 2) ** (slope / 2): flat below the shoulder, falling above it.

    Attributes
    ----------
    slope : float
    shoulder_hz : float
        0 for a power law without a shoulder.
    """

    slope: float = 1.0
    shoulder_hz: float = 1.0

    def power(self, frequency_hz: np.ndarray) -> np.ndarray:
        """Return the power density at frequencies above 0, in any unit."""
        return (self.shoulder_hz**2 + frequency_hz**2) ** (-self.slope / 2)


@dataclass(frozen=True)
class MeasuredSpectrum:
    """Power densities at some frequencies: power laws in between, and constant beyond either end.

    Attributes
    ----------
    frequency_hz, density : tuple of float
        Increasing frequencies, and the power density at each, per Hz.
    """

    frequency_hz: tuple[float, ...]
    density: tuple[float, ...]

    def power(self, frequency_hz: np.ndarray) -> np.ndarray:
        """Return the power density at frequencies above 0."""
        return np.exp(np.interp(np.log(frequency_hz), np.log(self.frequency_hz), np.log(self.density)))


def draw_series(
    n_samples: int,
    step_s: float,
    spectrum: Spectrum | MeasuredSpectrum,
    band_hz: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return a Gaussian series with the power of `spectrum` within a band only, shape (n_samples,), float32.

    Its variance is the sum of the power over the band, so that bands add up. Twice the length is drawn and half kept:
    the ends do not meet. Cost: one FFT.
    """
    length = fft.next_fast_len(2 * n_samples, real=True)
    frequency = fft.rfftfreq(length, step_s)
    inside = (frequency >= band_hz[0]) & (frequency < band_hz[1]) & (frequency > 0)
    amplitude = np.zeros(frequency.size, np.float32)
    amplitude[inside] = length / 2 * np.sqrt(spectrum.power(frequency[inside]) * (frequency[1] - frequency[0]))
    waves = rng.standard_normal((2, frequency.size), np.float32) * amplitude
    return fft.irfft(waves[0] + 1j * waves[1], length)[:n_samples]


def band_variance(step_s: float, spectrum: Spectrum | MeasuredSpectrum, band_hz: tuple[float, float]) -> float:
    """Return the variance of a series sampled every `step_s` that has the power of `spectrum` within a band."""
    low, high = max(band_hz[0], 1e-9), min(band_hz[1], 0.5 / step_s)
    frequency = np.geomspace(low, high, 4096)
    return float(np.trapezoid(spectrum.power(frequency), frequency))
