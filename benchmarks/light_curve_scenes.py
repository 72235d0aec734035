"""Spectra through time with a known planet, drawn at the level of spectra: seconds instead of minutes per scene."""

from __future__ import annotations

from dataclasses import dataclass

import batman
import numpy as np

from detectorist.algorithms.spectra.transit_models import Orbit
from detectorist.modes.lrs.time_series import TimeSeries

#: Where the star is observed.
START_BJD = 2460000.0


@dataclass(frozen=True)
class Scene:
    """Spectra and their truth.

    Attributes
    ----------
    series : TimeSeries
    orbit : Orbit
    depth : ndarray of float, shape (n_wavelengths,)
    light : ndarray of float, shape (n_wavelengths,)
        Out of transit: the weight of each wavelength in a bin.
    limb_darkening : ndarray of float, shape (n_wavelengths, 2)
        Quadratic.
    """

    series: TimeSeries
    orbit: Orbit
    depth: np.ndarray
    light: np.ndarray
    limb_darkening: np.ndarray

    def depth_in(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the true depth in bins of wavelength, weighted by light."""
        um = self.series.wavelength
        inside = [(um >= a) & (um < b) for a, b in zip(low, high, strict=True)]
        return np.array([np.average(self.depth[use], weights=self.light[use]) for use in inside])


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the data, each as a fraction of the white noise of one wavelength.

    Attributes
    ----------
    common_red, own_red : float
        Ornstein-Uhlenbeck noise that all wavelengths share, and of each wavelength alone.
    red_minutes : float
        Its time scale.
    flicker : float
        Noise of spectrum 1/f that all wavelengths share.
    motion : float
        Change of flux with the motion of the trace, a different one at each wavelength.
    settling : float
        Exponential from the start of the exposure, over 40 minutes.
    error_scale : float
        True noise over stated noise.
    outliers : float
        Share of integrations with a jump of 30 standard deviations.
    """

    common_red: float = 0.0
    own_red: float = 0.0
    red_minutes: float = 10.0
    flicker: float = 0.0
    motion: float = 0.0
    settling: float = 0.0
    error_scale: float = 1.0
    outliers: float = 0.0


def make_scene(
    seed: int,
    trouble: Trouble,
    *,
    n_ints: int = 400,
    n_wavelengths: int = 240,
    noise: float = 3e-3,
    n_exposures: int = 1,
) -> Scene:
    """Draw a planet, its star and the detector's behaviour.

    noise : float
        White noise of one wavelength in one integration, relative to the star, at 5 um; it grows to 12 um.
    """
    rng = np.random.default_rng([seed, 15])
    orbit = Orbit(
        rng.uniform(0.9, 3.0), START_BJD + rng.uniform(0.085, 0.115), rng.uniform(5, 9), rng.uniform(84.5, 88)
    )
    um = np.sort(5.0 + 7.0 * rng.beta(1.0, 1.2, n_wavelengths))
    depth = rng.uniform(0.01, 0.02) + 5e-4 * np.sin(um * rng.uniform(1, 3) + rng.uniform(0, 6))
    dark = np.outer(5 / um, rng.uniform(0.03, 0.12, 2))
    time = START_BJD + np.linspace(0, 0.2, n_ints)
    exposure = 1 + (np.arange(n_ints) * n_exposures) // n_ints
    flux = np.array([_curve(time, orbit, d, u) for d, u in zip(depth, dark, strict=True)]).T
    sigma = noise * (um / 5) ** 1.5
    x, y = 0.01 * rng.normal(size=n_ints), _ornstein_uhlenbeck(n_ints, 30, rng) * 0.01
    flux += sigma * _troubles(time, (x / 0.01, y / 0.01), len(um), trouble, rng)
    flux *= 1 + trouble.settling * sigma * np.exp(-(time - time[0]) * 1440 / 40)[:, None]
    flux *= (1 + 1e-3 * rng.normal(size=n_exposures))[exposure - 1, None]
    flux += sigma * trouble.error_scale * rng.normal(size=flux.shape)
    struck = rng.random(n_ints) < trouble.outliers
    flux[struck] += 30 * sigma * rng.choice([-1, 1], size=(int(struck.sum()), 1))
    light = 1e4 * (um / 5) ** -2.0
    series = TimeSeries(
        um,
        flux * light,
        np.broadcast_to(sigma * light, flux.shape),
        time,
        exposure,
        {"x_shift": x + 1e-3 * rng.normal(size=n_ints), "y_shift": y + 1e-3 * rng.normal(size=n_ints)},
    )
    return Scene(series, orbit, depth, light, dark)


def _troubles(
    time: np.ndarray, motion: tuple[np.ndarray, np.ndarray], n_wavelengths: int, trouble: Trouble, rng
) -> np.ndarray:
    """Return red noise and motion in units of the white noise, shape (n_ints, n_wavelengths)."""
    n = time.size
    cadence_min = 1440 * float(np.median(np.diff(time)))
    out = np.zeros((n, n_wavelengths))
    steps = trouble.red_minutes / cadence_min
    if trouble.common_red:
        out += trouble.common_red * _ornstein_uhlenbeck(n, steps, rng)[:, None]
    if trouble.own_red:
        out += trouble.own_red * np.array([_ornstein_uhlenbeck(n, steps, rng) for _ in range(n_wavelengths)]).T
    if trouble.flicker:
        out += trouble.flicker * _flicker(n, rng)[:, None]
    for direction in motion:
        out += trouble.motion * direction[:, None] * rng.normal(size=n_wavelengths)
    return out


def _curve(time: np.ndarray, orbit: Orbit, depth: float, dark: np.ndarray) -> np.ndarray:
    p = batman.TransitParams()
    p.t0, p.per, p.a, p.inc, p.ecc, p.w = orbit.mid_time, orbit.period_d, orbit.a_over_rs, orbit.inclination_deg, 0, 90
    p.rp, p.limb_dark, p.u = np.sqrt(depth), "quadratic", list(dark)
    return batman.TransitModel(p, time).light_curve(p)


def _ornstein_uhlenbeck(n: int, steps: float, rng) -> np.ndarray:
    keep = np.exp(-1 / steps)
    out = np.empty(n)
    out[0] = rng.normal()
    for i in range(1, n):
        out[i] = keep * out[i - 1] + np.sqrt(1 - keep**2) * rng.normal()
    return out


def _flicker(n: int, rng) -> np.ndarray:
    frequency = np.fft.rfftfreq(2 * n)
    amplitude = np.zeros(frequency.size)
    amplitude[1:] = frequency[1:] ** -0.5
    wave = np.fft.irfft(amplitude * (rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)))[:n]
    return (wave - wave.mean()) / wave.std()
