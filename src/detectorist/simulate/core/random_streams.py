"""Random numbers: one stream per component and integration; leaving out a component does not change the others."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, component: str, integration: int = 0) -> np.random.Generator:
    """Return the generator of one component in one integration.

    The stream depends on these three only: not on the order of calls, on other components, or on how an exposure is
    divided into segments. Integrations count from 0; components of the exposure as a whole use 0 under their own name.
    """
    key = (zlib.crc32(component.encode()), integration)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def one_over_f(n_samples: int, rng: np.random.Generator, *, slope: float = 1.0) -> np.ndarray:
    """Return a series whose power falls as frequency ** -slope, shape (n_samples,), mean 0 and rms 1.

    A series of one sample is 0. Cost: one FFT. The series is periodic: twice the length is drawn and half is kept,
    so that its ends do not meet.
    """
    if n_samples < 2:
        return np.zeros(n_samples)
    frequency = np.fft.rfftfreq(2 * n_samples)
    amplitude = np.zeros(frequency.size)
    amplitude[1:] = frequency[1:] ** (-slope / 2)
    waves = amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size))
    series = np.fft.irfft(waves, 2 * n_samples)[:n_samples]
    series -= series.mean()
    return series / series.std()
