"""Snowballs inside averaged groups: what they leave in rates, from raw ramps, beside the same exposure without them.

    python benchmarks/snowballs_split.py WORK [--patterns MEDIUM8 RAPID] [--groups 4] [--seed 1]

A small frame of four outputs is simulated without snowballs. Events with a saturated core and a halo that falls as a
power law of the distance are added to its raw ramp, in the first, a middle and the last frame of every group: where
frames are averaged their charge is split over two groups. One lies at an edge. Both are reduced by the default recipe,
and with the large events of the standard jump step. `touched` counts usable pixels with charge of an event, `deviating`
those whose rate changed by more than five of its errors, `lost` those that became unusable.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits
from rich.console import Console
from rich.table import Table

from detectorist.detectors import NIRCAM, NIRCAM_READOUT_PATTERNS

DETECTOR, SIZE = "NRCB1", 512
#: Charge in the core, at its edge, and the slope and end (in radii of the core) of the halo; of a pixel's well, e-.
CORE_E, EDGE_E, SLOPE, HALO = 4e5, 9_000.0, 2.6, 9.0
#: Level that saturates a read, DN over the level after the reset.
SATURATED_DN = 0.9 * NIRCAM[DETECTOR].full_well_e / NIRCAM[DETECTOR].gain


def events(n_groups: int, n_frames: int, rng: np.random.Generator) -> list[tuple[int, int, float, float, float]]:
    """Return group, frame within it, y, x and radius of the core of every event; the first lies at the edge."""
    when = [(group, frame) for group in range(n_groups) for frame in sorted({0, n_frames // 2, n_frames - 1})]
    side = int(np.ceil(np.sqrt(len(when))))
    places = [(y, x) for y in range(side) for x in range(side)]
    step = (SIZE - 60) / side
    found = []
    for (group, frame), (row, column) in zip(when, places, strict=False):
        y, x = 30 + (row + 0.5) * step + rng.uniform(-3, 3), 30 + (column + 0.5) * step + rng.uniform(-3, 3)
        found.append((group, frame, y, 6.0 if not found else x, rng.uniform(3.0, 6.5)))
    return found


def charge(y0: float, x0: float, core: float, rng: np.random.Generator) -> np.ndarray:
    """Return the electrons of an event, (SIZE, SIZE)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    angle = np.arctan2(y - y0, x - x0)
    ragged = core * (1 + 0.1 * np.cos(2 * angle + rng.uniform(0, 6)) + 0.06 * np.cos(5 * angle + rng.uniform(0, 6)))
    distance = np.hypot(y - y0, x - x0) / ragged
    halo = EDGE_E * np.maximum(distance, 1) ** -SLOPE * (distance < HALO)
    expected = np.where(distance < 1, CORE_E, halo)
    expected[:4] = expected[-4:] = 0
    expected[:, :4] = expected[:, -4:] = 0
    return rng.poisson(expected).astype(float)


def strike(raw: np.ndarray, n_frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the ramp (n_groups, SIZE, SIZE) with events, and where they are, (SIZE, SIZE) bool."""
    gain, struck, touched = NIRCAM[DETECTOR].gain, raw.astype(float), np.zeros(raw.shape[1:], bool)
    level = raw[0].astype(float)
    for group, frame, y, x, core in events(len(raw), n_frames, rng):
        added = charge(y, x, core, rng) / gain
        touched |= added > 0
        after = np.zeros(len(raw))
        after[group], after[group + 1 :] = (n_frames - frame) / n_frames, 1
        # Frames after the event are full where it saturates; their mean with those before is what is read.
        full = np.minimum(struck + added, np.maximum(struck, level + SATURATED_DN * 1.1))
        struck += after[:, None, None] * (full - struck)
    return np.clip(np.round(struck), 0, 65_535).astype(raw.dtype), touched


def measure(work: Path, pattern: str, n_groups: int, seed: int) -> dict[str, dict[str, int]]:
    """Return, for the default recipe and the standard steps, how many pixels deviate and how many are lost."""
    from detectorist import reduce_imaging
    from detectorist.simulate.imaging.scene import ImagingScene

    folder = work / f"{pattern}_{seed}"
    left_out = ("snowballs", "drift", "wisps")
    scene = ImagingScene().with_detector(name=DETECTOR, size=SIZE, outputs=4, pattern=pattern).without(*left_out)
    scene.write(folder, groups=n_groups, seed=seed)
    (plain,) = folder.glob("*_uncal.fits")
    (folder / "struck").mkdir(exist_ok=True)
    hit = folder / "struck" / plain.name
    n_frames = NIRCAM_READOUT_PATTERNS[pattern][0]
    with fits.open(plain) as hdus:
        ramp = hdus["SCI"].data
        ramp[0], touched = strike(ramp[0].copy(), n_frames, np.random.default_rng([seed, 9]))
        hdus.writeto(hit, overwrite=True)
    found = {}
    standard = ["snowballs.skip=true", "jump.expand_large_events=true"]
    for name, settings in (("detectorist", []), ("standard large events", standard)):
        rates = []
        for file, kind in ((plain, "plain"), (hit, "hit")):
            out = folder / f"out_{kind}_{'own' if not settings else 'standard'}"
            reduce_imaging(file, out, references=folder / "crds", settings=[*settings, "stripes.skip=true"], workers=1)
            (rate,) = out.rglob("*_rate.fits")
            with fits.open(rate) as hdus:
                rates.append([np.array(hdus[part].data) for part in ("SCI", "ERR", "DQ")])
        found[name] = _compare(*rates, touched)
    return found


def _compare(plain, hit, touched):
    usable = touched & (plain[2] & 1 == 0) & np.isfinite(plain[0])
    kept = usable & (hit[2] & 1 == 0) & np.isfinite(hit[0])
    deviating = kept & (np.abs(hit[0] - plain[0]) > 5 * hit[1])
    return {"deviating": int(deviating.sum()), "lost": int((usable & ~kept).sum()), "touched": int(usable.sum())}


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    patterns = ["MEDIUM8", "DEEP8", "SHALLOW4", "BRIGHT2", "RAPID"]
    parser.add_argument("--patterns", nargs="+", default=patterns, choices=sorted(NIRCAM_READOUT_PATTERNS))
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    table = Table("pattern", "groups", "reduction", "touched", "deviating", "lost")
    for pattern in chosen.patterns:
        for name, one in measure(chosen.work, pattern, chosen.groups, chosen.seed).items():
            counts = (str(one[key]) for key in ("touched", "deviating", "lost"))
            table.add_row(pattern, str(chosen.groups), name, *counts)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
