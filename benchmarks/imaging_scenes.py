"""NIRCam rates and group flags with their truth, for who has none on disk: what `imaging_scores` describes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import imaging_scores as scores
from detectorist.algorithms.dq import JUMP_DET, SATURATED
from detectorist.algorithms.flicker.smoother import Readout, alternating_readout
from detectorist.simulate.imaging.sky import wisp_templates

SIZE, N_OUTPUTS, N_GROUPS = 2048, 4, 9
#: Level of the sky, white noise of a pixel, scatter of the columns, DN/s.
SKY, WHITE, COLUMNS = 0.30, 0.020, 0.004
#: 1/f noise, DN/s rms: common to the outputs, and of each.
COMMON, OWN = 0.0072, 0.0096
#: Strengths of the wisps: of one template, and of two components.
WISP_SCALE, TWO_SCALES = 0.72, (0.72, 0.45)
#: Noise of the templates, DN/s, where they have light.
TEMPLATE_NOISE = 0.004
DO_NOT_USE, DEAD, REFERENCE_PIXEL = 1, 1024, 2**31
#: Radii of the snowballs of a ramp, pixel; a core has this part of the radius.
RADII, CORE = (5, 6, 7, 8, 10, 12, 14, 17, 21, 26, 32, 40), 0.4


@dataclass(frozen=True)
class Scene:
    """A frame with its truth, and the flags of a ramp.

    Attributes
    ----------
    name : str
    folder : Path or None
        Where nircam_rate.npz, nircam_truth.npz, groupdq.npz and groupdq_truth.npz are; None makes them.
    seed : int
        Of what is made.
    """

    name: str
    folder: Path | None = None
    seed: int = 1

    @cached_property
    def rates(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What is measured, and the truth."""
        if self.folder is None:
            return make_rates(self.seed)
        return _load(self.folder / "nircam_rate.npz"), _load(self.folder / "nircam_truth.npz")

    @cached_property
    def flags(self) -> tuple[np.ndarray, np.ndarray]:
        """Group flags (1, n_groups, ny, nx), and snowballs (n, 4): group, y, x, radius."""
        if self.folder is None:
            return make_flags(self.seed)
        return _load(self.folder / "groupdq.npz")["groupdq"], _load(self.folder / "groupdq_truth.npz")["cat"]

    @property
    def bad(self) -> np.ndarray:
        """Bad and reference pixels."""
        return self.rates[1]["bad"] | self.rates[1]["ref"]


def readout_of(nx: int = SIZE) -> Readout:
    """Return the readout of the scenes."""
    return alternating_readout(nx, N_OUTPUTS)


def draw_stripes(rng: np.random.Generator, readout: Readout, n_rows: int, **noise: float) -> np.ndarray:
    """Return 1/f noise and offsets of columns, mean zero; noise: common, own (rms), slope."""
    spectrum = {"common": COMMON, "own": OWN, "slope": 1.0} | noise
    stripes = scores.pink_image(rng, readout, n_rows, **spectrum)
    stripes += COLUMNS * rng.normal(size=stripes.shape[1])
    return stripes - stripes.mean()


def templates(size: int = SIZE) -> np.ndarray:
    """Return two components of wisps, (2, ny, nx), DN/s at strength 1."""
    return wisp_templates("NRCA3", "F200W", (size, size), 0.10)


def make_rates(seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return (scene, truth) of a full frame: stars, six large galaxies, stripes, a wisp, bad and reference pixels."""
    rng = np.random.default_rng([seed, 3])
    light = draw_field(rng)
    readout = readout_of()
    horizontal = scores.pink_image(rng, readout, SIZE, common=COMMON, own=OWN, slope=1.0)
    vertical = np.broadcast_to(COLUMNS * rng.normal(size=SIZE), horizontal.shape)
    err = WHITE * np.sqrt(1 + 3 * light)
    clean = SKY + light + err * rng.normal(size=light.shape)
    wisp = templates().sum(axis=0)
    bad = rng.random(light.shape) < 0.004
    border = np.ones(light.shape, bool)
    border[4:-4, 4:-4] = False
    lost = bad | border
    without = clean + horizontal + vertical
    dq = np.where(bad, DO_NOT_USE | DEAD, 0) | np.where(border, REFERENCE_PIXEL | DO_NOT_USE, 0)
    noisy = wisp + TEMPLATE_NOISE * rng.normal(size=wisp.shape) * (wisp > 1e-4)
    scene = {"rate": without + WISP_SCALE * wisp, "rate_nowisp": without}
    scene = {name: np.where(lost, 0, image).astype(np.float32) for name, image in scene.items()}
    scene |= {"err": err.astype(np.float32), "dq": dq.astype(np.uint32), "wisp_template": noisy.astype(np.float32)}
    truth = {"clean": np.where(lost, 0, clean), "src": light, "horiz": horizontal, "vert": vertical, "wisp": wisp}
    truth = {name: np.where(border, 0, image).astype(np.float32) for name, image in truth.items()}
    return scene, truth | {"bad": bad, "ref": border}


def draw_field(rng: np.random.Generator, *, size: int = SIZE) -> np.ndarray:
    """Return light of stars, small and large galaxies, DN/s."""
    light = np.zeros((size, size))
    n = round(1494 * (size / SIZE) ** 2)
    flux = np.minimum(0.4 * rng.random(n) ** (-1 / 1.3), 400)
    sigma = np.exp(rng.normal(np.log(1.6), 0.45, n)).clip(0.9, 7)
    for f, s, x, y in zip(flux, sigma, *rng.uniform(6, size - 6, (2, n)), strict=True):
        rows, columns, yy, xx = _box(light.shape, x, y, int(6 * s) + 2)
        light[rows, columns] += f / (2 * np.pi * s * s) * np.exp(-0.5 * ((xx - x) ** 2 + (yy - y) ** 2) / s**2)
    for radius, peak in ((45, 1.5), (70, 2.5), (35, 1.0), (55, 1.2), (28, 3.0), (90, 0.8)):
        x, y = rng.uniform(0.12, 0.88, 2) * size
        add_galaxy(light, x, y, radius * size / SIZE, peak, rng.uniform(0.35, 0.9), rng.uniform(0, np.pi))
    return light


def add_galaxy(light: np.ndarray, x: float, y: float, radius: float, peak: float, ratio: float, angle: float) -> None:
    """Add an exponential disk of a half-light radius, brightest pixel, axis ratio and position angle, in place."""
    rows, columns, yy, xx = _box(light.shape, x, y, int(8 * radius))
    along = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
    across = ((yy - y) * np.cos(angle) - (xx - x) * np.sin(angle)) / ratio
    light[rows, columns] += peak * np.exp(-1.678 * np.hypot(along, across) / radius)


def _box(shape, x, y, half):
    """Return slices of a box about a place, as far as it lies in the image, and its pixels."""
    rows = slice(max(round(y) - half, 0), min(round(y) + half + 1, shape[0]))
    columns = slice(max(round(x) - half, 0), min(round(x) + half + 1, shape[1]))
    return rows, columns, *np.mgrid[rows, columns]


def make_flags(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return group flags of a ramp (1, n_groups, ny, nx) with its snowballs (n, 4): group, y, x, radius.

    Small hits, stars that are saturated all along, and 12 snowballs with a core that stays saturated and a ragged edge.
    """
    rng = np.random.default_rng([seed, 4])
    flags = np.zeros((1, N_GROUPS, SIZE, SIZE), np.uint8)
    for group in range(1, N_GROUPS):
        y, x = rng.integers(4, SIZE - 5, (2, 2500))
        flags[0, group, y, x] |= JUMP_DET
        wide = rng.random(y.size) < 0.4
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            flags[0, group, y[wide] + dy, x[wide] + dx] |= JUMP_DET
    for _ in range(40):
        x, y = rng.uniform(100, SIZE - 100, 2)
        rows, columns, yy, xx = _box((SIZE, SIZE), x, y, 12)
        flags[0, :, rows, columns][:, np.hypot(yy - y, xx - x) < rng.uniform(3, 9)] = SATURATED
    events: list[tuple[int, float, float, float]] = []
    for radius in RADII:
        y, x = _apart(rng, events)
        group = int(rng.integers(1, N_GROUPS - 1))
        events.append((group, y, x, float(radius)))
        rows, columns, yy, xx = _box((SIZE, SIZE), x, y, 90)
        distance = np.hypot(yy - y, xx - x)
        core = distance < CORE * radius
        struck = flags[0, group, rows, columns]
        struck[(distance < radius + 0.6 * rng.normal(size=distance.shape)) & ~core] |= JUMP_DET
        flags[0, group:, rows, columns][:, core] = SATURATED
    return flags, np.array(events)


def _apart(rng, events):
    """Return a place farther than 260 pixels from all events."""
    while True:
        y, x = (float(one) for one in rng.integers(100, SIZE - 100, 2))
        if all(np.hypot(y - other[1], x - other[2]) > 260 for other in events):
            return y, x


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
