"""Rates of a star with a transit, drawn from formulae of its own, with one nuisance at a time."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf

N_ROWS, N_COLS = 416, 72
GAIN, TIME_S, READ_DN_S = 4.0, 8.0, 0.9
ROWS, COLUMNS = np.arange(N_ROWS), np.arange(N_COLS)


@dataclass
class Nuisance:
    """What a scene does beside its transit; the default is nothing."""

    seed: int = 1
    n_ints: int = 48
    peak: float = 2500.0  # DN/s, of the brightest row's brightest pixel, about
    column: float = 37.4
    tilt: float = 0.0025
    wings: bool = False  # a Moffat profile, undersampled at short wavelengths
    jump_pix: float = 0.0  # of the pointing, at 62 % of the exposure
    widening: float = 0.0  # of the profile, at 40 %
    gradient: float = 0.004  # of the background, per column
    curvature: float = 2e-5
    neighbour: tuple[float, int] | None = None  # share of the star, column
    settling: float = 0.0  # share of the flux, decaying over six integrations
    telegraph: float = 0.0  # share of pixels that toggle and that no mask knows
    showers: int = 0  # faint wide events of 3 to 30 DN/s (24 to 240 DN in one group), in every fifth integration
    lost: int | None = None  # an integration in which the antenna moved
    error_factor: float = 1.0  # of ERR, as a wrong gain makes it
    x: np.ndarray = field(init=False)

    def __post_init__(self):
        self.rng = np.random.default_rng([self.seed, 1807])
        self.time = np.linspace(-1, 1, self.n_ints)
        self.transit = 1 / (1 + (np.abs(self.time - 0.05) / 0.45) ** 16)
        step = np.arange(self.n_ints) >= int(0.62 * self.n_ints)
        wander = np.zeros(self.n_ints)
        for k in range(1, self.n_ints):
            wander[k] = 0.9 * wander[k - 1] + 0.005 * self.rng.normal()
        self.x = wander + self.jump_pix * step

    def profile(self, k):
        """Return the share of every pixel in its row's light, in integration k."""
        center = (self.column + self.tilt * (ROWS - 250) + self.x[k])[:, None]
        width = 1 + self.widening * (k >= int(0.4 * self.n_ints))
        sigma = width * (1.3 + 0.7 * (np.clip(400 - ROWS, 0, None) / 300) ** 1.2)[:, None]
        if self.wings:
            fine = (np.arange(11) - 5) / 11
            distance = (COLUMNS[:, None] + fine).ravel() - center
            moffat = (1 + (distance / (0.95 * sigma)) ** 2) ** -2.2
            shares = moffat.reshape(N_ROWS, N_COLS, 11).mean(axis=2)
            return shares / shares.sum(axis=1, keepdims=True)
        edges = np.arange(N_COLS + 1) - 0.5
        return sum(
            share * 0.5 * np.diff(erf((edges - center) / (wide * sigma * np.sqrt(2))), axis=1)
            for share, wide in ((0.93, 1.0), (0.07, 3.2))
        )

    def spectra(self):
        """Return the true flux of the star, (n_ints, n_rows), and its mean out of transit."""
        lines = 1 - 0.08 * np.exp(-0.5 * ((ROWS % 37 - 18) / 3.0) ** 2)
        star = self.peak * 3.6 * np.exp(-(395 - ROWS) / 110) / (1 + np.exp((ROWS - 396) / 1.5)) * lines
        in_time = (1 - 0.012 * self.transit) * (1 + 5e-4 * self.time)
        in_time = in_time * (1 + self.settling * np.exp(-np.arange(self.n_ints) / 6))
        return star * in_time[:, None], star

    def make(self):
        """Return (data, err, dq, flux) and the noise of a weighted sum of every row, (n_rows,)."""
        flux, star = self.spectra()
        light = np.stack([flux[k][:, None] * self.profile(k) for k in range(self.n_ints)])
        across = (1 + self.gradient * (COLUMNS - 36)) * (1 + self.curvature * (COLUMNS - 36) ** 2)
        sky = (25 + 170 * np.clip((400 - ROWS) / 250, 0, 1.4) ** 3)[:, None] * across
        if self.neighbour:
            share, column = self.neighbour
            sky = sky + share * star[:, None] * np.exp(-0.5 * ((COLUMNS - column) / 1.8) ** 2) / 4.5
        mean = light + sky * (1 + 0.01 * self.time)[:, None, None]
        variance = mean / (GAIN * TIME_S) + READ_DN_S**2
        if self.lost is not None:
            smeared = sum(np.roll(light[self.lost], shift, axis=1) for shift in range(8)) / 8
            mean[self.lost] += smeared - light[self.lost]
        data = mean + np.sqrt(variance) * self.rng.normal(size=mean.shape)
        self._add_hits(data)
        err, dq = self.error_factor * np.sqrt(variance), np.zeros(data.shape, np.uint32)
        dead = self.rng.random((N_ROWS, N_COLS)) < 0.0035
        data[:, dead], err[:, dead] = np.nan, np.nan
        dq[:, dead] |= 1
        shares = light.mean(axis=0) / light.mean(axis=0).sum(axis=1, keepdims=True)
        noise = 1 / np.sqrt((shares**2 / variance.mean(axis=0)).sum(axis=1))
        return data.astype(np.float32), err.astype(np.float32), dq, flux, noise

    def _add_hits(self, data):
        toggling = self.rng.random((N_ROWS, N_COLS)) < self.telegraph
        height = self.rng.uniform(100, 1000, toggling.sum())
        for k, image in enumerate(data):
            image[toggling] += height * (self.rng.random(height.size) < 0.3)
            n = self.rng.poisson(20)
            image[self.rng.integers(0, N_ROWS, n), self.rng.integers(4, N_COLS, n)] += self.rng.exponential(300, n)
            if k % 5 == 3:
                for _ in range(self.showers):
                    y, x, wide = self.rng.integers(100, 390), self.rng.integers(10, 70), self.rng.uniform(4, 20)
                    distance = (ROWS[:, None] - y) ** 2 + (COLUMNS - x) ** 2
                    patch = self.rng.uniform(3, 30) * np.exp(-0.5 * distance / wide**2)
                    data[k] += patch + self.rng.normal(size=patch.shape) * np.sqrt(patch / (GAIN * TIME_S))
