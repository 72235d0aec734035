"""Light that fills frames, after stripes are subtracted: a nebula, and a cluster of galaxies with intracluster light.

    python benchmarks/diffuse_light.py [--seeds 1 2] [--scenes nebula cluster] [--no-reference]

Rates of a full frame with the 1/f noise of the simulator and a border of reference pixels, which see it without light
and with a white noise of their own (`--no-reference`: they are not used, as where a subarray has none). `light` is the
error of all light of the nebula or cluster over the level of the sky, in percent, `brightest` that of its brighter
half, `before` the error that the noise makes when nothing is subtracted; `masked` is the share of the frame that was
masked.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import fft, ndimage

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.detectors import PIXEL_TIME_S
from detectorist.simulate.core.noise_spectra import Spectrum, draw_series
from detectorist.simulate.core.time_line import TimeLine

N, SKY, WHITE = 2048, 0.25, 0.0148  # DN/s
#: Standard deviations of 1/f noise, common to the outputs and of each alone, DN/s.
COMMON, OWN = 0.0035, 0.0013
#: White noise of a reference pixel, DN/s, as of rates of simulated exposures: there are no photons in it.
REFERENCE_WHITE = 0.0025
#: Turbulent light: power falls as the wave number to this power.
TURBULENCE = -3.2


def nebula(rng: np.random.Generator) -> np.ndarray:
    """Return a nebula over half of the frame: lognormal turbulence behind a ragged front, with stars."""
    wave = np.hypot(fft.fftfreq(N)[:, None], fft.rfftfreq(N)[None])
    wave[0, 0] = np.inf
    noise = fft.rfft2(rng.standard_normal((N, N)))
    field = fft.irfft2(noise * wave ** (TURBULENCE / 2), (N, N))
    field /= field.std()
    x = np.arange(N)[None] / N
    front = 1 / (1 + np.exp((x - 0.5 - 0.06 * ndimage.gaussian_filter(field, 30)) / 0.015))
    return 0.35 * np.exp(0.6 * field - 0.18) * front


def cluster(rng: np.random.Generator) -> np.ndarray:
    """Return the core of a cluster: intracluster light as a beta model, a bright galaxy, and a hundred others."""
    y, x = np.mgrid[:N, :N].astype(float)
    yc, xc = rng.uniform(800, 1250, 2)
    squared = ((x - xc) ** 2 + 1.6 * (y - yc) ** 2 + 0.8 * (x - xc) * (y - yc)) / 260**2
    light = 0.25 * (1 + squared) ** -1.3 + 18 * (1 + squared * (260 / 14) ** 2) ** -1.1
    for _ in range(110):
        y0, x0 = np.array([yc, xc]) + 350 * rng.standard_t(3, 2)
        core, peak, axis_ratio = rng.uniform(2, 9), 10 ** rng.uniform(-0.7, 1.2), rng.uniform(0.4, 1)
        inside = (abs(y - y0) < 40 * core) & (abs(x - x0) < 40 * core)
        light[inside] += peak * (1 + ((x - x0) ** 2 + ((y - y0) / axis_ratio) ** 2)[inside] / core**2) ** -1.8
    return light


def stars(rng: np.random.Generator) -> np.ndarray:
    """Return two hundred stars with wings."""
    light = np.zeros((N, N))
    for y0, x0 in rng.uniform(0, N, (200, 2)):
        y, x = (np.arange(max(0, int(c) - 60), min(N, int(c) + 61)) for c in (y0, x0))
        squared = (y[:, None] - y0) ** 2 + (x[None] - x0) ** 2
        light[np.ix_(y, x)] += 10 ** rng.uniform(-0.5, 2.5) * (1 + squared / 1.4**2) ** -2.0
    return light


SCENES = {"nebula": nebula, "cluster": cluster}


def flicker(rng: np.random.Generator) -> np.ndarray:
    """Return 1/f noise of a rate, DN/s."""
    line, spectrum = TimeLine(N, N, n_outputs=4, frame_overhead_rows=1), Spectrum(1.1, 0.3)
    shared, *own = (draw_series(line.frame_clocks, PIXEL_TIME_S, spectrum, (0.1, np.inf), rng) for _ in range(5))
    unit = shared.std()
    return line.images(np.array([COMMON * shared + OWN * one for one in own]) / unit)[0]


@dataclass(frozen=True)
class Light:
    """What is printed of a scene, percent."""

    light: float
    brightest: float
    before: float
    masked: float


def measure(name: str, seed: int, *, with_reference: bool = True) -> Light:
    """Return the errors of the light."""
    rng = np.random.default_rng([seed, 17])
    diffuse = SCENES[name](rng)
    noise = flicker(rng)
    image = SKY + diffuse + stars(rng) + noise + WHITE * rng.standard_normal((N, N))
    bad = np.ones((N, N), bool)
    bad[4:-4, 4:-4] = False
    image[bad] = (noise + REFERENCE_WHITE * rng.standard_normal((N, N)))[bad]
    found = destripe(
        image[None].astype(np.float32),
        bad[None],
        readout=alternating_readout(N, 4),
        reference=bad if with_reference else None,
        flat=np.ones((N, N), np.float32),
    )
    left = noise - found.horizontal[0] - found.vertical[0]
    dark = ~bad & (diffuse < 0.003)
    lit, bright = ~bad & (diffuse > 0.02), ~bad & (diffuse > np.median(diffuse[diffuse > 0.02]))

    def error(of, where):
        level = np.median(of[dark]) if dark.sum() > 1000 else 0.0
        return 100 * float((of[where] - level).sum() / diffuse[where].sum())

    return Light(error(left, lit), error(left, bright), error(noise, lit), 100 * float(found.mask.mean()))


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--no-reference", action="store_true")
    chosen = parser.parse_args()
    table = Table("scene", "seed", "light, %", "brightest, %", "before, %", "masked, %")
    for name in chosen.scenes:
        for seed in chosen.seeds:
            one = measure(name, seed, with_reference=not chosen.no_reference)
            table.add_row(
                name, str(seed), f"{one.light:+.3f}", f"{one.brightest:+.3f}", f"{one.before:+.3f}", f"{one.masked:.0f}"
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
