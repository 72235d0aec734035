"""Scenes with one nuisance at a time: our own star, sky and pointing through the ramps of the independent generator.

The generator (package `scenes`, see `lrs_independent.py`) supplies detector, references, cosmic rays and files. The
star, whose profile is a Moffat function, its transit, the sky and everything that goes wrong are drawn here.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
from astropy.io import fits

N_ROWS, N_COLS, N_REFERENCE = 416, 72, 4
ROWS, COLUMNS = np.arange(N_ROWS), np.arange(N_COLS)
#: Part of the full well that the brightest pixel reaches.
FILLED = 0.62
#: Points per pixel at which profiles are summed.
FINE = 9


@dataclass(frozen=True)
class Nuisance:
    """What a scene does beside its transit; the default is nothing. Lengths in pixels."""

    column: float = 37.4  # of the trace at row 250
    tilt: float = 0.0025  # columns per row
    core: float = 1.5  # of the Moffat profile at 5 micron
    power: float = 2.6  # ... its exponent
    jump: float = 0.0  # of the pointing, at 60 % of the exposure
    widening: float = 0.0  # share by which the profile widens at 35 % of the exposure
    drift: float = 0.0  # of the pointing, from the middle to either end
    settling: float = 0.0  # share of the flux, decaying over five integrations
    neighbour: tuple[float, float] | None = None  # share of the star's light, column
    gradient: float = 0.004  # of the background, per column
    gain_factor: float = 1.0  # of the gain reference
    telegraph: float = 0.0  # share of pixels that toggle and that no mask knows, beyond the generator's 0.1 %
    showers: int = 0  # large faint events in every fifth integration, 24 to 240 DN at their peak
    lost: int | None = None  # integration in which the antenna moved
    empty_times: bool = False  # INT_TIMES has no row


def profile(center: np.ndarray, core: np.ndarray, power: float) -> np.ndarray:
    """Return the share of every pixel in its row's light, (n_rows, n_cols): a Moffat function summed over pixels."""
    inside = (np.arange(FINE) - FINE // 2) / FINE
    points = (COLUMNS[:, None] + inside).ravel()
    values = (1 + ((points - center[:, None]) / core[:, None]) ** 2) ** -power
    far = np.arange(-3000, 3001) / 10
    whole = np.array([0.1 * ((1 + (far / width) ** 2) ** -power).sum() for width in core])
    return values.reshape(N_ROWS, N_COLS, FINE).mean(axis=2) / whole[:, None]


@dataclass
class Maker:
    """What takes the place of the generator's own star, bad pixels, ramps and references."""

    nuisance: Nuisance
    seed: int
    scenes: ModuleType
    rng: np.random.Generator = field(init=False)
    original: dict[str, Any] = field(init=False)

    def __post_init__(self):
        """Draw with a stream of its own; remember what is replaced."""
        self.rng = np.random.default_rng([self.seed, 77])
        self.original = {name: getattr(self.scenes, name) for name in ("ramps", "bad_pixels", "references")}

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put them there, and take them away again."""
        names = ("scene", "ramps", "bad_pixels", "references")
        with mock.patch.multiple(self.scenes, **{name: getattr(self, name) for name in names}):
            yield

    def scene(self, n_ints: int, n_groups: int, _: Any) -> dict[str, Any]:
        """Return star, sky and truth, under the names that the generator uses."""
        now, wave = self.nuisance, self.scenes.WAVE(ROWS)
        time, number = np.linspace(-1, 1, n_ints), np.arange(n_ints)
        peak = FILLED * self.scenes.WELL / (n_groups * self.scenes.P["tframe"])
        lines = 1 - 0.12 * np.exp(-0.5 * ((ROWS % 41 - 20) / 2.5) ** 2)
        base = peak * np.exp(-(398 - ROWS) / 105) * lines / (1 + np.exp((ROWS - 397) / 1.2))
        transit = np.clip(1.15 * (1 - (np.abs(time - 0.03) / 0.45) ** 8), 0, 1)
        depth = 0.011 + 0.0015 * np.sin(ROWS / 23)
        x, y = self._wander(n_ints, 0.007), self._wander(n_ints, 0.006)
        x = x + now.jump * (number >= int(0.6 * n_ints)) + now.drift * time
        moved = np.stack([np.interp(ROWS - shift, ROWS, base) for shift in y])
        spectra = moved * (1 - depth * transit[:, None]) * (1 + 4e-4 * time + self._settling(number))[:, None]
        star = np.stack([spectra[k][:, None] * self._light(k, x[k], n_ints, wave) for k in number])
        sky = self._sky(wave, base)[None] * (1 + 0.008 * time)[:, None, None]
        reference = np.zeros((N_ROWS, N_COLS), bool)
        reference[:, :N_REFERENCE] = True
        star[:, reference], sky[:, reference] = 0, 0
        motion = {"xs": x - x.mean(), "ys": y - y.mean(), "x_mean": x.mean()}
        about = {"wave": wave, "t": time, "shape": transit, "depth": depth, "base": base, "sigma": self._core(wave)}
        light = {"spec": spectra, "star": star.astype(np.float32), "bkg": sky.astype(np.float32), "ref": reference}
        return about | motion | light | {"drift_slope": np.full(N_ROWS, 4e-4)}

    def ramps(self, k: int, rate: np.ndarray, n_groups: int, *rest: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the generator's ramps; showers on top, whose few DN are left linear."""
        raw, hits = self.original["ramps"](k, rate, n_groups, *rest)
        for _ in range(self.nuisance.showers * (k % 5 == 3)):
            y, x = self.rng.integers(100, 395), self.rng.integers(8, 70)
            width, height = self.rng.uniform(4, 20), self.rng.uniform(24, 240)
            distance = (ROWS[:, None] - y) ** 2 + (COLUMNS - x) ** 2
            mean = height * np.exp(-0.5 * distance / width**2) * (COLUMNS >= N_REFERENCE)
            electrons = self.rng.poisson(mean * self.scenes.GAIN)
            raw[self.rng.integers(1, n_groups) :] += electrons / self.scenes.GAIN
        return raw, hits

    def bad_pixels(self, rng: np.random.Generator, reference: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return dead, hot and telegraph pixels."""
        dead, hot, toggling = self.original["bad_pixels"](rng, reference)
        more = (self.rng.random(reference.shape) < self.nuisance.telegraph) & ~(reference | dead | hot)
        return dead, hot, toggling | more

    def references(self, *arguments: Any) -> None:
        """Write the generator's references, with a gain that may be wrong."""
        with mock.patch.object(self.scenes, "GAIN", self.scenes.GAIN * self.nuisance.gain_factor):
            self.original["references"](*arguments)

    def _wander(self, n_ints: int, step: float) -> np.ndarray:
        path = np.zeros(n_ints)
        for k in range(1, n_ints):
            path[k] = 0.8 * path[k - 1] + step * self.rng.normal()
        return path

    def _settling(self, number: np.ndarray) -> np.ndarray:
        return self.nuisance.settling * np.exp(-number / 5)

    def _core(self, wave: np.ndarray) -> np.ndarray:
        return self.nuisance.core + 0.7 * np.clip(wave - 5, 0, None) / 8

    def _light(self, k: int, shift: float, n_ints: int, wave: np.ndarray) -> np.ndarray:
        now = self.nuisance
        center = now.column + now.tilt * (ROWS - 250) + shift
        core = self._core(wave) * (1 + now.widening * (k >= int(0.35 * n_ints)))
        if k == now.lost:
            return np.mean([profile(center + step, 1.5 * core, now.power) for step in (0, 2, 4, 6)], axis=0)
        return profile(center, core, now.power)

    def _sky(self, wave: np.ndarray, base: np.ndarray) -> np.ndarray:
        now, across = self.nuisance, COLUMNS - 36
        sky = (20 + 170 * (wave / 12) ** 3)[:, None] * (1 + now.gradient * across + 3e-5 * across**2)
        if now.neighbour:
            share, column = now.neighbour
            sky = sky + share * base[:, None] * profile(np.full(N_ROWS, column), self._core(wave), now.power)
        return sky


def make(folder: Path, nuisance: Nuisance, scenes: ModuleType, *, seed: int, groups: int, ints: int) -> None:
    """Write a scene to a folder that holds nothing else: raw files, crds/ and truth.npz.

    scenes : module
        `scenes.lrs` of the independent generator.
    ints : int
        Integrations, half of them in each of two segments.
    """
    shutil.rmtree(folder, ignore_errors=True)
    maker = Maker(nuisance, seed, scenes)
    with maker.in_place(), contextlib.redirect_stdout(io.StringIO()):
        scenes.make(folder, seed, groups=groups, ints=ints // 2, linearity="known")
    if nuisance.empty_times:
        for path in folder.glob("*_uncal.fits"):
            _empty_times(path)


def _empty_times(path: Path) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus["INT_TIMES"].data = hdus["INT_TIMES"].data[:0]
