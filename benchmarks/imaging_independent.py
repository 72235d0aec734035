"""NIRCam images of an independent generator: the standard pipeline with and without clean_flicker_noise, and ours.

    DETECTORIST_SCENES=FOLDER python benchmarks/imaging_independent.py WORK --seeds 2201 2202 [--detectors NRCA3 NRCB5]

FOLDER holds a package `scenes` with `imaging` (python -m scenes.imaging DIR --seed N), `stock` (the standard pipeline
on it) and `score` (products against the truth). WORK is for scenes and products, 2 GB a seed while it runs. What was
found is added to WORK/independent.json, reduction by reduction, so that a run that was stopped goes on; it is printed
as a table and, with --write, put into docs/validation/imaging_independent.md. With --keep scenes stay, for another
run: --again measures ours anew, and --only takes one kind of reduction. The generator knows NRCB1 and NRCB4: the
others are made of what it takes from those, mirrored as they are and with their gains.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from detectorist.detectors import NIRCAM
from page_notes import notes_of

PAGE = Path(__file__).parents[1] / "docs" / "validation" / "imaging_independent.md"
ORDER = ("standard", "standard, 1/f", "detectorist")

#: Figures of the scorer, what is asked of their size, and the decimals shown.
FIGURES = {
    "wisp_residual_scale": (0.03, 4),
    "row_rms": (0.0009, 5),
    "column_rms": (0.0006, 5),
    "sky_offset_pct": (0.1, 3),
    "big_galaxy_flux_error_pct": (0.3, 3),
    "points_pull_mad": (None, 3),
    "points_bright_flux_bias_pct": (None, 3),
    "galaxies_pull_mad": (None, 3),
    "galaxies_bright_flux_bias_pct": (None, 3),
    "snowball_pixels_deviating": (10, 0),
}
#: Detectors with wisps, and the filters in which they are simulated: those of the generator's two, or a long one.
WISPS, FILTERS = ("NRCA3", "NRCA4", "NRCB3", "NRCB4"), {"wisps": "F150W", "short": "F200W", "long": "F277W"}
#: Makes a scene of any detectors: words are folder, seed, and detectors as JSON.
GENERATE = """
import json, sys
from scenes import imaging
folder, seed, detectors = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
for name, own in detectors.items():
    imaging.DET.setdefault(name, {**imaging.DET["NRCB4" if own["wisps"] else "NRCB1"], **own})
imaging.make(folder, seed, list(detectors))
"""
#: Settings of the standard pipeline, by the name of the column.
STANDARD = {
    "standard": (),
    "standard, 1/f": (
        "clean_flicker_noise.skip=False",
        "clean_flicker_noise.fit_by_channel=True",
        "jump.expand_large_events=True",
    ),
}


def run_python(folder: Path, *words: object) -> None:
    """Run python in the generator's folder; what it prints is shown only when it fails."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *map(str, words)]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def in_the_generators_words(name: str) -> dict[str, Any]:
    """Return what the generator needs to know of a detector."""
    facts = NIRCAM[name]
    wisps = name in WISPS
    kind = "long" if facts.is_long_wave else "wisps" if wisps else "short"
    return {
        "det": name,
        "module": name[3],
        "channel": "LONG" if facts.is_long_wave else "SHORT",
        "filter": FILTERS[kind],
        "fast": facts.fast_axis,
        "slow": -2 * facts.fast_axis,
        "gain": facts.gain,
        "aperture": f"{name[:3]}{name[3:].replace('LONG', '5')}_FULL",
        "wisps": wisps,
    }


def generate(generator: Path, scene: Path, seed: int, detectors: list[str]) -> None:
    """Make a scene."""
    described = json.dumps({name: in_the_generators_words(name) for name in detectors})
    scene.mkdir(parents=True, exist_ok=True)
    run_python(generator, "-c", GENERATE, scene, seed, described)


def reduce_ours(scene: Path, products: Path) -> None:
    """Reduce the exposures of a scene by the default recipe, as a user does."""
    files = sorted(map(str, scene.glob("*_uncal.fits")))
    references = ["--references", str(scene / "crds"), "--wisp-templates", str(scene / "wisps")]
    command = [str(Path(sys.executable).with_name("detectorist")), "run", "imaging", *files, "-o", str(products)]
    subprocess.run([*command, *references], check=True, stdout=subprocess.DEVNULL)


def score(generator: Path, scene: Path, products: Path) -> dict[str, dict[str, Any]]:
    """Return {detector: figures} of the products."""
    target = products / "score.json"
    run_python(generator, "-m", "scenes.score", "imaging", scene, products, "--json", target)
    found = json.loads(target.read_text())
    return {name.rsplit("_rate", 1)[0].rsplit("_", 1)[1]: figures for name, figures in found.items()}


def measure_seed(
    generator: Path, scene: Path, seed: int, detectors: list[str], known: dict[str, Any], wanted: Collection[str]
) -> Iterator[dict[str, dict[str, dict[str, Any]]]]:
    """Yield {reduction: {detector: figures}} of a seed, reduction by reduction; products are removed."""
    found = dict(known)
    if not (scene / "done").exists():
        generate(generator, scene, seed, detectors)
        (scene / "done").touch()
    products = scene / "products"
    for name in wanted:
        if name in found:
            continue
        if name in STANDARD:
            run_python(generator, "-m", "scenes.stock", scene, products, *STANDARD[name])
        else:
            reduce_ours(scene, products)
        found[name] = score(generator, scene, products)
        shutil.rmtree(products)
        yield found


def rows_of(results: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield seed, detector, figure, what is asked of its size, and what each reduction reaches, in words."""
    for seed, by_reduction in results.items():
        for detector in next(iter(by_reduction.values())):
            for figure, (asked, decimals) in FIGURES.items():
                values = [by_reduction.get(name, {}).get(detector, {}).get(figure) for name in ORDER]
                shown = ["" if value is None else f"{value:.{decimals}f}" for value in values]
                if any(shown):
                    yield (seed, detector.upper(), figure, "" if asked is None else f"{asked:g}", *shown)


def table_of(results: dict[str, Any]) -> Table:
    """Return all figures, seed by seed, beside what is asked."""
    table = Table("seed", "detector", "figure", "asked", *ORDER)
    for row in rows_of(results):
        table.add_row(*row)
    return table


def page(results: dict[str, Any], commit: str, notes: str) -> str:
    """Return the page of the documentation: a row for each detector of a seed, a column for each figure; the notes."""
    figures = list(FIGURES)
    lines = [
        "# NIRCam images of an independent generator",
        "",
        f"Measured {datetime.now(UTC).date().isoformat()} by `benchmarks/imaging_independent.py` (detectorist "
        f"{version('detectorist')} at {commit}, jwst {version('jwst')}), from raw ramps, with the default recipe. "
        "The generator and the scorer share no code with this project. Each cell is ours, then the standard pipeline, "
        "then the standard pipeline with clean_flicker_noise by channel and expanded large events. Rows and columns: "
        "rms, DN/s.",
        "",
        "| seed, detector | " + " | ".join(figures) + " |",
        "|---" * (len(figures) + 1) + "|",
        "| *asked* | " + " | ".join("" if asked is None else f"{asked:g}" for asked, _ in FIGURES.values()) + " |",
    ]
    cells: dict[str, dict[str, str]] = {}
    for seed, detector, figure, _, *values in rows_of(results):
        cells.setdefault(f"{seed} {detector}", {})[figure] = ", ".join(one or "-" for one in (values[-1], *values[:-1]))
    for name, by_figure in cells.items():
        lines.append(f"| {name} | " + " | ".join(by_figure.get(figure, "") for figure in figures) + " |")
    return "\n".join([*lines, "", notes])


def main() -> None:
    """Measure seeds that are not there yet, and show all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--detectors", nargs="+", default=["NRCB1", "NRCB4"], choices=sorted(NIRCAM))
    parser.add_argument("--only", choices=["standard", "detectorist"], help="reductions to make; without it all")
    parser.add_argument("--again", action="store_true", help="measure our reduction anew")
    parser.add_argument("--keep", action="store_true", help="keep the scenes for another run")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    chosen = parser.parse_args()
    if "DETECTORIST_SCENES" not in os.environ:
        parser.error("DETECTORIST_SCENES is not set: the folder of the generator's package is needed")
    generator, work = Path(os.environ["DETECTORIST_SCENES"]), chosen.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    target = work / "independent.json"
    results = json.loads(target.read_text()) if target.exists() else {}
    wanted = {"standard": tuple(STANDARD), "detectorist": ("detectorist",), None: ORDER}[chosen.only]
    for seed in map(str, chosen.seeds):
        known, scene = results.get(seed, {}), work / f"seed{seed}"
        if chosen.again:
            known.pop("detectorist", None)
        if not set(known) >= set(wanted):
            for found in measure_seed(generator, scene, int(seed), chosen.detectors, known, wanted):
                results[seed] = found
                target.write_text(json.dumps(results, indent=1))
        if not chosen.keep:
            shutil.rmtree(scene, ignore_errors=True)
    Console(width=150).print(table_of(results))
    if chosen.write:
        command = ["git", "describe", "--always", "--dirty"]
        commit = subprocess.run(command, cwd=PAGE.parent, check=True, capture_output=True, text=True).stdout.strip()
        PAGE.write_text(page(results, commit, notes_of(PAGE)))


if __name__ == "__main__":
    main()
