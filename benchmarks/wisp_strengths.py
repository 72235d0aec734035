"""Strengths of wisps at the level of rates: what is left of the wisp, and whether the stated errors are honest.

    DETECTORIST_SCENES=FOLDER python benchmarks/wisp_strengths.py WORK --seeds 31 32 33

FOLDER holds a package `scenes` with `imaging` (stars and galaxies, wisps of filaments) and `common` (1/f noise). Ridges
and patches are made here. What was found is kept case by case in a file of WORK that is named after the state of the
algorithms (a hash of their source), so that results of other code are not taken; the table shows all seeds, and
--write puts it into docs/validation/wisp_strengths.md.
`left` is the part of the wisp that stays, over all its pixels; `pull` the error of the subtracted light over the
stated one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

import detectorist.algorithms
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.wisps.wisps import find_wisps
from page_notes import notes_of

PAGE = Path(__file__).parents[1] / "docs" / "validation" / "wisp_strengths.md"
N = 2048
SKY, WHITE = 0.25, 0.0148  # DN/s
#: Standard deviation of 1/f noise common to the outputs, of each alone, and of their levels, DN/s.
COMMON, OWN, LEVEL = 0.0019, 0.0006, 0.0005
#: Clock ticks of an output's row and rows of a frame, overheads included.
ROW_TICKS, FRAME_ROWS = 524, 2049


@dataclass(frozen=True)
class Case:
    """A wisp, its template and what lies on it.

    strength : of the two components. shape : "filaments" of the generator, "ridges" of this file. peak : of ridges,
    DN/s. galaxy : "generator" (which puts it on the filaments), "core" (narrow, where the wisp is brightest) or "off".
    shift_pix, blur_pix, noise : of the template. separate : two templates, one for each component.
    """

    strength: tuple[float, float]
    shape: str = "filaments"
    peak: float = 0.2
    galaxy: str = "generator"
    shift_pix: tuple[float, float] = (0.0, 0.0)
    blur_pix: float = 0.0
    noise: float = 0.003
    separate: bool = False


CASES = {
    "two components, one template": Case((0.86, 0.63)),
    "two components, galaxy elsewhere": Case((0.63, 0.86), galaxy="off"),
    "two components, two templates": Case((0.86, 0.4), separate=True),
    "none": Case((0, 0)),
    "0.03": Case((0.03, 0.03), galaxy="off"),
    "0.1": Case((0.1, 0.1)),
    "0.3": Case((0.3, 0.3), galaxy="core"),
    "1": Case((1, 1)),
    "2": Case((2, 2), galaxy="off"),
    "galaxy core on the wisp": Case((1, 1), "ridges", 0.15, galaxy="core"),
    "ridges, template shifted": Case((0.8, 0.8), "ridges", 0.1, shift_pix=(2, -1)),
    "ridges, template blurred": Case((1.1, 1.1), "ridges", 0.35, galaxy="off", blur_pix=2.5),
    "faint ridges, noisy template": Case((1, 1), "ridges", 0.05, galaxy="off", noise=0.009),
    "ridges, two components": Case((0.8, 1.1), "ridges", 0.1),
    "bright ridges": Case((1, 1), "ridges", 0.4),
}


def ridges(seed: int, peak: float) -> np.ndarray:
    """Return arcs of 6 to 25 pixels width, some of them broken, and mottled patches; brightest place `peak`."""
    rng = np.random.default_rng([seed, 1])
    y, x = np.mgrid[:N, :N].astype(np.float32)
    wisp = np.zeros((N, N), np.float32)
    for _ in range(rng.integers(3, 7)):
        centre, angle, radius = rng.uniform(400, 1600, 2), rng.uniform(-np.pi, np.pi), rng.uniform(400, 2500)
        yc, xc = centre - radius * np.array([np.sin(angle), np.cos(angle)])
        across = np.hypot(y - yc, x - xc) - radius
        along = radius * np.angle(np.exp(1j * (np.arctan2(y - yc, x - xc) - angle)))
        length, width = rng.uniform(100, 350), rng.uniform(6, 25)
        beads = 1 + rng.uniform(0, 0.6) * np.sin(along / rng.uniform(20, 60))
        wisp += rng.uniform(0.4, 1) * beads / np.cosh(across / width) ** 2 * np.exp(-(np.abs(along / length) ** 3))
    for _ in range(rng.integers(2, 5)):
        yc, xc = rng.uniform(300, 1700, 2)
        mottle = ndimage.zoom(
            ndimage.gaussian_filter(rng.standard_normal((N // 8, N // 8)), rng.uniform(3, 7)), 8, order=1
        )
        inside = np.clip(1 - ((y - yc) ** 2 + (x - xc) ** 2) / rng.uniform(200, 450) ** 2, 0, None)
        wisp += rng.uniform(0.2, 0.5) * np.clip(mottle / mottle.std(), 0, None) * inside**2
    return peak * wisp / wisp.max()


def compact_galaxy(y0: float, x0: float, seed: int) -> np.ndarray:
    """Return a de Vaucouleurs-like galaxy whose core is as narrow as filaments, DN/s."""
    rng = np.random.default_rng([seed, 2])
    y, x = np.mgrid[:N, :N].astype(np.float32)
    angle, axis_ratio = rng.uniform(0, np.pi), rng.uniform(0.4, 0.9)
    a = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
    b = ((y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)) / axis_ratio
    return rng.uniform(15, 40) * np.exp(-5 * ((np.hypot(a, b) + 1) / rng.uniform(40, 80)) ** 0.35)


@dataclass
class Sky:
    """Stars and galaxies, the large galaxy among them, and two components of wisps of the generator, DN/s."""

    sources: np.ndarray
    large: np.ndarray
    wisps: tuple[np.ndarray, np.ndarray]


def sky_of_generator(work: Path, seed: int) -> Sky:
    """Return what the generator draws for a seed; kept in `work`, for it takes half a minute."""
    from scenes import imaging

    kept = work / f"sky{seed}.npz"
    if not kept.exists():
        rng = np.random.default_rng([seed, 3])
        sources, large, *_ = imaging.sources(rng, 1.75)
        wisps = imaging.wisp_component(rng, 760, 1330, 7), imaging.wisp_component(rng, 900, 1080, 6)
        np.savez(kept, *(np.asarray(one, np.float32) for one in (sources, large, *wisps)))
    with np.load(kept) as arrays:
        sources, large, first, second = (arrays[name] for name in arrays.files)
    return Sky(sources, large, (first, second))


def noise_of_generator(seed: int) -> np.ndarray:
    """Return white and 1/f noise of a rate as NRCB4 is read, DN/s."""
    from scenes import common

    rng = np.random.default_rng([seed, 4])
    shared = COMMON * common.flicker(ROW_TICKS * FRAME_ROWS, rng)
    outputs = []
    for k in range(4):
        line = shared + OWN * common.flicker(ROW_TICKS * FRAME_ROWS, rng)
        rows = line.reshape(FRAME_ROWS, ROW_TICKS)[:N, : N // 4]
        outputs.append((rows[:, ::-1] if k % 2 else rows) + LEVEL * rng.standard_normal())
    return common.orient(np.concatenate(outputs, axis=1), -1, 2) + WHITE * rng.standard_normal((N, N))


@dataclass
class Image:
    """What `find_wisps` is given, and the wisp that is in it."""

    image: np.ndarray
    bad: np.ndarray
    templates: np.ndarray
    wisp: np.ndarray


def make_image(case: Case, sky: Sky, seed: int) -> Image:
    """Return the image of a case."""
    rng = np.random.default_rng([seed, 5])
    filaments = case.shape == "filaments"
    parts = sky.wisps if filaments else (ridges(seed, case.peak), ridges(seed + 1000, 0.7 * case.peak))
    wisp = case.strength[0] * parts[0] + case.strength[1] * parts[1]
    sources = sky.sources if case.galaxy == "generator" else sky.sources - sky.large
    if case.galaxy == "core":
        place = np.unravel_index(np.argmax(ndimage.gaussian_filter(parts[0], 20)), wisp.shape)
        sources = sources + compact_galaxy(*(place + rng.normal(0, 15, 2)), seed)
    elif case.galaxy == "off":
        sources = sources + compact_galaxy(350, 1700, seed)
    bad = np.ones((N, N), bool)
    bad[4:-4, 4:-4] = rng.random((N - 8, N - 8)) < 0.005
    light = parts if case.separate else (parts[0] + parts[1],)
    image = SKY + sources + wisp + noise_of_generator(seed)
    return Image(image.astype(np.float32), bad, np.stack([_template(one, case, rng) for one in light]), wisp)


def _template(light, case, rng):
    light = ndimage.shift(light, case.shift_pix, order=1) if any(case.shift_pix) else light
    light = ndimage.gaussian_filter(light, case.blur_pix) if case.blur_pix else light
    smooth = 5 * case.noise * ndimage.gaussian_filter(rng.standard_normal((N, N)), 3)
    return (light + case.noise * rng.standard_normal((N, N)) + smooth).astype(np.float32)


def measure(made: Image) -> dict[str, float]:
    """Return what is left of the wisp, strengths and their errors, and the CPU time, s."""
    readout = alternating_readout(N, 4, fast_direction=-1, slow_direction=1)
    start = time.process_time()
    found = find_wisps(made.image, made.bad, made.templates, readout=readout)
    seconds = time.process_time() - start
    fit = found.fit
    # Of strengths that are not significant nothing is subtracted, but they are measured.
    lit = ~made.bad & (np.maximum(made.wisp, made.templates.sum(axis=0)) > 0.01)
    clean = [ndimage.gaussian_filter(one, 1.5) for one in made.templates]
    light = found.image if fit.significant else np.tensordot(fit.scale, clean, 1)
    shape = made.wisp if made.wisp.any() else sum(clean)
    norm = float((shape[lit] ** 2).sum())
    error_of_light = _error_of_light(fit.covariance, clean, shape, lit)
    missed = float(((made.wisp - light) * shape)[lit].sum()) / norm
    return {
        "wisp": bool(made.wisp.any()),
        "scale": float(fit.scale.mean()),
        "error": float(fit.error.mean()),
        "left": missed,
        "left_error": error_of_light,
        "pull": -missed / error_of_light,
        "measured": fit.measured,
        "significant": fit.significant,
        "cpu_s": seconds,
    }


def _error_of_light(covariance, templates, shape, lit):
    norm = float((shape[lit] ** 2).sum())
    each = np.array([float((one * shape)[lit].sum()) / norm for one in templates])
    return float(np.sqrt(each @ covariance @ each))


def state_of_the_code() -> str:
    """Return a hash of the source of the algorithms."""
    digest = hashlib.sha256()
    for file in sorted(Path(detectorist.algorithms.__path__[0]).rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def summary(results: dict[str, dict[str, float]]) -> str:
    """Return mean and scatter of the pulls, and how many cases leave more than asked."""
    pulls = np.array([one["pull"] for one in results.values()])
    present = [one for one in results.values() if one["wisp"]]
    many = [name for name, one in results.items() if one["wisp"] and one["significant"] and abs(one["left"]) > 0.03]
    missed = [name for name, one in results.items() if one["wisp"] and not one["significant"]]
    return (
        f"{len(results)} cases: pulls {pulls.mean():+.2f} +- {pulls.std():.2f}, {(np.abs(pulls) > 3).sum()} beyond 3. "
        f"More than 0.03 of the wisp is left, or subtracted in excess, in {len(many)} of {len(present)} cases "
        f"({_by_case(many)}); not significant: {_by_case(missed)}."
    )


def _by_case(names: list[str]) -> str:
    """Return how often each case occurs among names "seed, case"."""
    counts = Counter(name.partition(", ")[2] for name in names)
    return "; ".join(f"{case}: {count}" for case, count in counts.most_common()) or "none"


def table_of(results: dict[str, dict[str, float]]) -> Table:
    """Return all cases."""
    table = Table("seed, case", "scale", "error", "left", "pull", "measured", "CPU s")
    for name, one in results.items():
        shown = (f"{one['scale']:.4f}", f"{one['error']:.4f}", f"{one['left']:+.3f}", f"{one['pull']:+.2f}")
        table.add_row(name, *shown, str(one["measured"]), f"{one['cpu_s']:.1f}")
    return table


def by_case(results: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of a table of the kinds of cases over all seeds."""
    lines = ["| case | n | left, rms | stated, rms | left, mean | pulls |", "|---|---|---|---|---|---|"]
    for case in CASES:
        some = [one for name, one in results.items() if name.split(", ", 1)[1] == case]
        if some:
            left, error, pull = (np.array([one[key] for one in some]) for key in ("left", "left_error", "pull"))
            rms = [np.sqrt((values**2).mean()) for values in (left, error)]
            shown = f"{rms[0]:.4f} | {rms[1]:.4f} | {left.mean():+.4f} | {pull.mean():+.2f} +- {pull.std():.2f}"
            lines.append(f"| {case} | {len(some)} | {shown} |")
    return lines


def page(results: dict[str, dict[str, float]], notes: str) -> str:
    """Return the page of the documentation, with the notes that it had."""
    lines = [
        "# Strengths of wisps",
        "",
        f"Measured {datetime.now(UTC).date().isoformat()} by `benchmarks/wisp_strengths.py` (detectorist "
        f"{version('detectorist')}), at the level of rates. Stars, galaxies, filaments and 1/f noise are of a "
        "generator that shares no code with this project; ridges and patches are made by the benchmark. *Left* is the "
        "part of the wisp that stays, over all its pixels; *pull* the error of the light that is subtracted, over the "
        "stated one. Where the strength is not significant nothing is subtracted; the pull is that of the strength.",
        "",
        summary(results),
        "",
        *by_case(results),
        "",
        *notes.splitlines(),
        "",
        "## All cases",
        "",
        "| seed, case | strength | stated error | left | pull |",
        "|---|---|---|---|---|",
    ]
    for name, one in results.items():
        left = f"{one['left']:+.3f}" if one["wisp"] else ""
        lines.append(f"| {name} | {one['scale']:.4f} | {one['error']:.4f} | {left} | {one['pull']:+.2f} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure the cases that are not there yet, and show all of the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--only", nargs="+", choices=CASES, help="measure these cases")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    chosen = parser.parse_args()
    if "DETECTORIST_SCENES" not in os.environ:
        parser.error("DETECTORIST_SCENES is not set: the folder of the generator's package is needed")
    sys.path.append(os.environ["DETECTORIST_SCENES"])
    chosen.work.mkdir(parents=True, exist_ok=True)
    target = chosen.work / f"wisp_strengths_{state_of_the_code()}.json"
    results = json.loads(target.read_text()) if target.exists() else {}
    wanted = [(f"{seed}, {name}", seed, name) for seed in chosen.seeds for name in chosen.only or CASES]
    for key, seed, name in wanted:
        if key not in results:
            results[key] = measure(make_image(CASES[name], sky_of_generator(chosen.work, seed), seed))
            target.write_text(json.dumps(results, indent=1))
    shown = {key: results[key] for key, *_ in wanted}
    console = Console(width=150)
    console.print(table_of(shown))
    console.print(summary(shown))
    if chosen.write:
        PAGE.write_text(page(shown, notes_of(PAGE)))


if __name__ == "__main__":
    main()
