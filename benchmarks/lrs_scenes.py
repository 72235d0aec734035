"""Scenes of count rates and ramps with their truth, for who has none on disk: what `lrs_scores` describes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

N_INTS, N_ROWS, N_COLS = 100, 416, 72
ROWS, COLS = np.arange(N_ROWS), np.arange(N_COLS)


@dataclass(frozen=True)
class Variant:
    """What the corrections do not know of a scene."""

    seed: int = 20261120
    trace_column: float = 36.0
    gain: float = 5.5  # e-/DN
    outlier_rate: float = 0.003
    read_noise_dn_s: float = 3.0
    integration_s: float = 10.0


def make_rates(variant: Variant) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return (scene, truth): a star with a transit, background, noise, outliers of 8 to 300 sigma, bad pixels."""
    rng = np.random.default_rng([variant.seed, 1])
    x, y = (size * _flicker(N_INTS, rng) + 0.005 * rng.normal(size=N_INTS) for size in (0.02, 0.03))
    phase = np.linspace(-1, 1, N_INTS)
    light = np.where(np.abs(phase) < 0.45, 0.992, 1.0) * (1 + 0.0005 * np.exp(-(phase + 1) / 0.2))
    spectrum = _spectrum()
    shifted = np.stack([np.interp(ROWS - dy, ROWS, spectrum) for dy in y]) * light[:, None]
    star = shifted[:, :, None] * _profile(variant.trace_column + x)
    background = np.broadcast_to(
        ((40 + 60 * ((390 - ROWS) / 390) ** 2) * (1 + 0.01 * phase)[:, None])[:, :, None], star.shape
    )
    light_sum = star + background
    err = np.sqrt(light_sum / (variant.gain * variant.integration_s) + variant.read_noise_dn_s**2)
    data = light_sum + err * rng.normal(size=star.shape)
    dq = np.where(rng.random(star.shape) < 0.005, 4, 0).astype(np.uint32)
    outlier = rng.random(star.shape) < variant.outlier_rate
    sign = np.where(rng.random(outlier.sum()) < 0.85, 1, -1)
    strength = sign * np.exp(rng.uniform(np.log(8), np.log(300), outlier.sum()))
    data[outlier] += strength * err[outlier]
    bad, unknown = (rng.random((N_ROWS, N_COLS)) < rate for rate in (0.004, 0.001))
    data[:, bad] += 400 * rng.normal(size=(N_INTS, bad.sum()))
    dq[:, bad] |= 1 | 1024
    data[:, unknown] = err[:, unknown] = np.nan
    dq[:, unknown] |= 1
    scene = {"data": data.astype(np.float32), "err": err.astype(np.float32), "dq": dq}
    truth = {
        "star": star.astype(np.float32),
        "bkg": background.astype(np.float32),
        "xs": x,
        "ys": y,
        "outlier": outlier,
        "outlier_amp_sigma": strength,
        "bad": bad,
        "nanp": unknown,
    }
    return scene, truth


def make_ramps(
    seed: int, *, n_ints: int = 10, n_groups: int = 20
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return (scene, truth): ramps in DN with drifts of every output, odd and even rows apart, slow along rows."""
    rng = np.random.default_rng([seed, 2])
    drift = np.zeros((n_ints, n_groups, N_ROWS, 4))
    along = np.linspace(0, 1, N_ROWS)
    for integration in range(n_ints):
        for output in range(4):
            level = 3 * np.cumsum(rng.normal(size=n_groups))[:, None]
            wave = 4 * rng.normal(size=(n_groups, 1)) * np.sin(2 * np.pi * (1.5 * along + rng.random()))
            parity = 4 * rng.normal(size=(n_groups, 2))[:, ROWS % 2]
            drift[integration, :, :, output] = level + wave + parity
    signal = np.arange(1, n_groups + 1)[:, None, None] * 0.8 * (_spectrum()[:, None] * _profile(np.array([36.0]))[0])
    signal[..., :4] = 0
    pedestal = 9000 + 50 * rng.normal(size=(N_ROWS, N_COLS))
    noise = 6 * rng.normal(size=(n_ints, n_groups, N_ROWS, N_COLS))
    data = pedestal + signal + np.tile(drift, (1, 1, 1, N_COLS // 4)) + noise
    return {"data": data.astype(np.float32)}, {"drift": drift.astype(np.float32)}


def _spectrum() -> np.ndarray:
    """Return DN/s per row: steep toward short wavelengths (high rows), with lines, fading at both ends."""
    um = 5.0 + (390 - ROWS) / 390 * 8.0
    spectrum = 3000 * (5 / um) ** 3.2 / (1 + np.exp(-(ROWS - 25) / 8)) / (1 + np.exp((ROWS - 392) / 2))
    for row, width, depth in ((330, 3, 0.03), (300, 2, 0.02), (260, 4, 0.04), (210, 3, 0.02), (150, 5, 0.03)):
        spectrum *= 1 - depth * np.exp(-0.5 * ((ROWS - row) / width) ** 2)
    return spectrum


def _profile(centres: np.ndarray) -> np.ndarray:
    """Return the light per pixel, (n_ints, n_rows, n_cols): Gaussians that widen with wavelength, pixel-integrated."""
    sigma = 1.6 + 0.9 * (390 - np.clip(ROWS, 0, 390)) / 390
    edges = np.arange(N_COLS + 1) - 0.5 - centres[:, None, None]
    return np.diff(0.5 * erf(edges / (np.sqrt(2) * sigma[:, None])), axis=-1)


def _flicker(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return 1/f noise of unit rms."""
    frequency = np.fft.rfftfreq(n)
    amplitude = np.zeros_like(frequency)
    amplitude[1:] = frequency[1:] ** -0.5
    series = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)), n)
    return series / series.std()
