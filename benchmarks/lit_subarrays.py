"""Light that fills frames, subarrays above all: rows, columns and light before and after 1/f noise is subtracted.

    python benchmarks/lit_subarrays.py [--scenes ordinary gradient nebula galaxy ...] [--seeds 0 1 2 3 4 5 6 7]

Ramps with 1/f noise that all outputs share and noise of each, columns that differ, read noise and photons, fitted with
the weights of the ramp fit. `rows` and `columns` are standard deviations of means over rows of an output and over
columns, `light` is the part of the light's changes over the frame that is lost or added, `sky` the error of the mean
over the level of the sky: rms over the seeds, first without a correction (what the standard pipeline does in
subarrays), then after it. Light can be told from slow noise only by its shape where frames have no reference pixels.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from detectorist.algorithms.flicker.destripe import destripe
from detectorist.algorithms.flicker.group_spectrum import noise_of_groups
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.ramps.fit_weights import SNR_LIMITS, WEIGHT_POWERS
from detectorist.detectors import NIRCAM_READOUT_PATTERNS, PIXEL_TIME_S

GAIN, READ_E, KTC_E = 2.0, 10.0, 15.0
#: Standard deviations of a frame's 1/f noise, shared and of each output, and of columns, e-. Frequency below which the
#: noise has one power, Hz.
SHARED_E, OWN_E, COLUMNS_E, FLAT_HZ = 3.4, 1.3, 0.5, 0.3
#: Deviations that are clipped before means are taken, in standard deviations: cores of stars are no stripes.
CLIP_SIGMA = 6.0
BORDER_PIX = 4


@dataclass(frozen=True)
class Scene:
    """A kind of light, the frame, the ramp, and how strong the 1/f noise is."""

    light: str
    shape: tuple[int, int] = (320, 320)
    n_outputs: int = 1
    pattern: str = "SHALLOW4"
    n_groups: int = 5
    strength: float = 1.0

    @property
    def has_border(self) -> bool:
        """Whether there are reference pixels: frames of four outputs reach the edges of the detector."""
        return self.n_outputs == 4


SCENES = {
    "ordinary": Scene("stars"),
    "gradient": Scene("gradient", pattern="MEDIUM8"),
    "nebula": Scene("nebula"),
    "galaxy": Scene("galaxy"),
    "galaxy-2-groups": Scene("galaxy", pattern="DEEP8", n_groups=2, strength=2.0),
    "galaxy-640": Scene("galaxy", (640, 640), pattern="BRIGHT2", n_groups=4, strength=2.0),
    "nebula-4-outputs": Scene("nebula", (256, 2048), 4, strength=2.0),
    "gradient-4-outputs": Scene("gradient", (1024, 1024), 4),
    "edge-on-4-outputs": Scene("edge-on", (1024, 1024), 4),
}


def series(rng: np.random.Generator, n: int, slope: float) -> np.ndarray:
    """Return noise of a standard deviation of 1 whose power falls with the frequency to this power, (n,)."""
    frequency = np.fft.rfftfreq(2 * n, PIXEL_TIME_S)
    amplitude = (FLAT_HZ**slope + frequency**slope) ** -0.5
    amplitude[0] = 0.0
    parts = rng.normal(size=(2, frequency.size)) * amplitude
    return np.fft.irfft(parts[0] + 1j * parts[1], 2 * n)[:n] * n / np.sqrt((amplitude**2).sum())


def flicker(rng: np.random.Generator, scene: Scene, readout, slope: float) -> np.ndarray:
    """Return the 1/f noise of one frame, (ny, nx), e-."""
    ny, nx = scene.shape
    row = readout.width + readout.overhead_pix
    shared, image = SHARED_E * series(rng, ny * row, slope), np.empty((ny, nx))
    for first, last, direction in readout.outputs:
        both = shared + OWN_E * series(rng, ny * row, slope)
        image[:, first:last] = both.reshape(ny, row)[:, : readout.width][:, ::direction]
    return scene.strength * image


def light_of(rng: np.random.Generator, scene: Scene) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the light, the part of it that fills the frame, (ny, nx), and the level of the sky, DN/s."""
    ny, nx = scene.shape
    y, x = np.mgrid[:ny, :nx].astype(float)
    sky, stars = rng.uniform(0.2, 0.6), np.zeros(scene.shape)
    for _ in range(max(2, ny * nx // 8000)):
        at_y, at_x = rng.uniform(0, ny), rng.uniform(0, nx)
        near = tuple(slice(max(0, int(at) - 60), int(at) + 60) for at in (at_y, at_x))
        radius = np.hypot(y[near] - at_y, x[near] - at_x)
        stars[near] += 200 * 10 ** rng.uniform(-3, 0) * (1 + (radius / 1.3) ** 2) ** -2.2
    wide = np.zeros(scene.shape)
    if scene.light == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        wide = 0.3 * sky * (np.cos(angle) * (2 * x / nx - 1) + np.sin(angle) * (2 * y / ny - 1))
    elif scene.light == "nebula":
        wide = rng.uniform(0.3, 2) * sky * np.exp(0.7 * clouds(rng, scene.shape))
    elif scene.light in ("galaxy", "edge-on"):
        angle, thin = (rng.uniform(0, np.pi), rng.uniform(0.35, 1)) if scene.light == "galaxy" else (0.0, 0.05)
        dy, dx = y - ny * rng.uniform(0.35, 0.65), x - nx * rng.uniform(0.35, 0.65)
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        wide = rng.uniform(1, 20) * np.exp(-np.hypot(along, across / thin) / (rng.uniform(0.15, 0.35) * min(ny, nx)))
    return sky + stars + wide, wide, sky


def clouds(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return a field of mean 0 and standard deviation 1 whose power falls steeply with the wave number."""
    doubled = 2 * shape[0], 2 * shape[1]
    number = np.hypot(np.fft.fftfreq(doubled[0])[:, None], np.fft.rfftfreq(doubled[1])[None])
    amplitude = (number**2 + (1 / 400) ** 2) ** (-0.5 * rng.uniform(1.3, 1.9))
    parts = rng.normal(size=(2, *number.shape)) * amplitude
    field = np.fft.irfft2(parts[0] + 1j * parts[1], s=doubled)[: shape[0], : shape[1]]
    return (field - field.mean()) / field.std()


def ramps_of(rng: np.random.Generator, scene: Scene, light: np.ndarray, live: np.ndarray, readout):
    """Return ramps (1, n_groups, ny, nx), DN, and the times of the groups, s."""
    ny, nx = scene.shape
    frames, skipped = NIRCAM_READOUT_PATTERNS[scene.pattern]
    step = frames + skipped
    frame_s = ny * (readout.width + readout.overhead_pix) * PIXEL_TIME_S
    times = (np.arange(scene.n_groups) * step + (frames + 1) / 2) * frame_s
    slope, charge = rng.uniform(1.0, 1.3), KTC_E * rng.normal(size=scene.shape)
    ramps, before = np.empty((1, scene.n_groups, ny, nx), np.float32), 0.0
    for group, time in enumerate(times):
        expected = np.where(live, GAIN * light * (time - before), 0.0)
        charge, before = charge + rng.poisson(expected), time
        noise = flicker(rng, scene, readout, slope) + READ_E * rng.normal(size=scene.shape)
        noise += scene.strength * COLUMNS_E * rng.normal(size=nx)
        ramps[0, group] = (charge + noise / np.sqrt(frames)) / GAIN
    return ramps, times


def rate_of(ramps: np.ndarray, times: np.ndarray, read: float) -> np.ndarray:
    """Return the slope of every ramp, (ny, nx), DN/s, with weights by its signal over its noise; read : DN."""
    rise = GAIN * np.maximum(ramps[0, -1] - ramps[0, 0], 0)
    snr = rise / np.sqrt(rise + 2 * (GAIN * read) ** 2)
    power = np.array(WEIGHT_POWERS)[np.searchsorted(SNR_LIMITS, snr, side="right")]
    away = (np.arange(len(times)) - (len(times) - 1) / 2)[:, None, None]
    weight = np.abs(away / max(np.abs(away).max(), 0.5)) ** power * away
    return (weight * ramps[0]).sum(axis=0) / (weight * away).sum(axis=0) / (times[1] - times[0])


def figures_of(error: np.ndarray, live: np.ndarray, wide: np.ndarray, sky: float, n_outputs: int) -> list[float]:
    """Return rows and columns, DN/s, and the errors of the light's changes and of the sky, percent."""
    inside = np.s_[BORDER_PIX:, BORDER_PIX:-BORDER_PIX] if not live.all() else np.s_[:, :]
    error, wide = np.clip(error, *(CLIP_SIGMA * error[live].std() * np.array([-1, 1])))[inside], wide[inside]
    rows = np.concatenate([part.mean(axis=1) for part in np.array_split(error, n_outputs, axis=1)])
    changes = wide - wide.mean()
    lost = (changes * error).sum() / (changes**2).sum() if changes.any() else 0.0
    return [rows.std(), error.mean(axis=0).std(), 100 * lost, 100 * error.mean() / sky]


def measure(name: str, seed: int) -> tuple[list[float], list[float]]:
    """Return the figures of a scene before and after."""
    scene = SCENES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    readout = alternating_readout(scene.shape[1], scene.n_outputs)
    light, wide, sky = light_of(rng, scene)
    live = np.ones(scene.shape, bool)
    if scene.has_border:
        live[:BORDER_PIX] = live[:, :BORDER_PIX] = live[:, -BORDER_PIX:] = False
    ramps, times = ramps_of(rng, scene, light, live, readout)
    rate = rate_of(ramps, times, READ_E / GAIN / np.sqrt(NIRCAM_READOUT_PATTERNS[scene.pattern][0]))
    flags = np.zeros(ramps.shape, np.uint8)
    told = noise_of_groups(ramps, flags, ~live, readout=readout, times_s=times)
    reference = ~live if scene.has_border else None
    found = destripe(rate[None], ~live[None], readout=readout, reference=reference, group_noise=told)
    before = np.where(live, rate - light, 0.0)
    after = np.where(live, before - found.horizontal[0] - found.vertical[0], 0.0)
    before, after = (figures_of(error, live, wide, sky, scene.n_outputs) for error in (before, after))
    return before, after


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    chosen = parser.parse_args()
    table = Table("scene", "rows", "columns", "light, %", "sky, %", title="before / after")
    for name in chosen.scenes:
        each = np.array([measure(name, seed) for seed in chosen.seeds])
        before, after = np.sqrt((each**2).mean(axis=0))
        forms = (".4f", ".4f", ".2f", ".2f")
        table.add_row(name, *(f"{a:{form}} / {b:{form}}" for a, b, form in zip(before, after, forms, strict=True)))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
