"""How often a threshold takes noise for something: measured on noise alone.

python benchmarks/validation.py false_alarms --end-to-end 1
"""

from __future__ import annotations

import numpy as np

import imaging_scores
from detectorist.algorithms.dq import JUMP_DET
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.images.sources import mask_sources
from detectorist.algorithms.ramps.snowballs import flag_snowballs
from detectorist.algorithms.spectra.outliers import flag_outliers
from detectorist.algorithms.wisps.wisps import find_wisps
from validated import Rows

N_OUTPUTS = 4
#: Standard deviations of white noise and of 1/f noise common to the outputs and of each, DN/s: those of the scenes.
WHITE, COMMON, OWN = 0.0127, 0.007, 0.01
#: Ordinary hits: what 100 s leave on a full frame (5 per cm2 and second), and mean length of their tracks, pixel.
HITS, TRACK_PIX = 6700, 1.5


def noise_image(rng: np.random.Generator, size: int, *, stripes: float = 1.0) -> np.ndarray:
    """Return an empty sky of 0.3 DN/s with white and 1/f noise, the latter `stripes` times the usual."""
    readout = alternating_readout(size, N_OUTPUTS)
    pink = imaging_scores.pink_image(rng, readout, size, common=stripes * COMMON, own=stripes * OWN, slope=1.0)
    return (0.3 + pink + WHITE * rng.normal(size=(size, size))).astype(np.float32)


def sources(rows: Rows, rng: np.random.Generator, n: int) -> None:
    """Measure how much of an empty field is masked."""
    for name, stripes in (("white noise", 0.0), ("and 1/f noise as strong as in the scenes", 1.0), ("twice that", 2.0)):
        size, masked = 1024, []
        for _ in range(4 * n):
            image = noise_image(rng, size, stripes=stripes)
            masked.append(mask_sources(image, np.zeros(image.shape, bool), n_outputs=N_OUTPUTS).mask.mean())
        rows.add(f"{4 * n} fields", "sources", f"empty field masked, {name}", "{:.2%}", "", np.mean(masked))


def wisps(rows: Rows, rng: np.random.Generator, n: int) -> None:
    """Measure how often a wisp is found where there is none."""
    size, tries = 512, 300 * n
    y, x = np.mgrid[:size, :size]
    template = 0.25 * np.exp(-((y - 300 - 60 * np.sin(x / 90)) ** 2) / 1800) * (x > 100)
    template = template[None].astype(np.float32)
    nothing = np.zeros((size, size), bool)
    pulls = []
    for _ in range(tries):
        fit = find_wisps(noise_image(rng, size), nothing, template, mask=nothing).fit
        pulls.append(fit.scale[0] / fit.error[0])
    scene = f"{tries} images without wisps"
    rows.add(scene, "wisps", "a wisp found", "{:.2%}", "0.13 %", np.mean(np.array(pulls) > 3))
    # Strengths are never negative: half of those of noise are 0.
    rows.add(
        scene, "wisps", "rms of strength over error, expected 0.71", "{:.2f}", "", np.sqrt(np.mean(np.square(pulls)))
    )


def ordinary_hits(rng: np.random.Generator, size: int, n_groups: int, per_group: int) -> np.ndarray:
    """Return flags (1, n_groups, size, size) of ordinary cosmic rays: straight tracks with their four neighbours."""
    flags = np.zeros((1, n_groups, size, size), np.uint8)
    for group in range(n_groups):
        for _ in range(rng.poisson(per_group)):
            y, x, angle = *rng.uniform(0, size, 2), rng.uniform(0, np.pi)
            along = np.arange(0, rng.exponential(TRACK_PIX) + 0.5, 0.5)
            rows, columns = (y + along * np.sin(angle)).astype(int), (x + along * np.cos(angle)).astype(int)
            for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
                inside = (rows + dy >= 0) & (rows + dy < size) & (columns + dx >= 0) & (columns + dx < size)
                flags[0, group, (rows + dy)[inside], (columns + dx)[inside]] |= JUMP_DET
    return flags


def snowballs(rows: Rows, rng: np.random.Generator, n: int) -> None:
    """Measure how often ordinary hits are taken for a large event."""
    size, n_groups = 1024, 10
    found = {radius: 0 for radius in (1.0, 2.0, 3.0, 4.0)}
    for _ in range(2 * n):
        flags = ordinary_hits(rng, size, n_groups, HITS // 4)
        for radius in found:
            found[radius] += len(flag_snowballs(flags, min_radius_pix=radius).events)
    frames = 2 * n * n_groups * (size / 2048) ** 2
    for radius, events in found.items():
        what = f"false events in a group of a full frame, `min_radius_pix` {radius:g}"
        rows.add(
            f"{frames:.0f} groups with {HITS} ordinary hits each", "snowballs", what, "{:.2g}", "", events / frames
        )


def rateints_outliers(rows: Rows, rng: np.random.Generator, n: int) -> None:
    """Measure how often Gaussian noise is taken for an outlier."""
    shape, tries = (12, 256, 256), 10 * n
    found = {cut: 0 for cut in (4.0, 5.0, 6.0, 10.0)}
    for _ in range(tries):
        cube = rng.normal(size=shape).astype(np.float32) + 0.5 * rng.normal(size=(12, 256, 1)).astype(np.float32)
        for cut in found:
            found[cut] += int(flag_outliers(cube, sigma_cut=cut).flagged.sum())
    for cut, n_found in found.items():
        what = f"false outliers, `sigma_cut` {cut:g}"
        scene = f"{tries * np.prod(shape):.0e} values".replace("e+0", "e")
        rows.add(scene, "rateints_outliers", what, "{:.1e}", "", n_found / (tries * np.prod(shape)))


def end_to_end(rows: Rows, n: int, _: int) -> None:
    """Measure all, on `n` times the usual number of trials."""
    rng = np.random.default_rng(2026)
    for measure in (snowballs, sources, wisps, rateints_outliers):
        measure(rows, rng, n)
