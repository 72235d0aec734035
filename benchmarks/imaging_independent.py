"""NIRCam images of an independent generator: the standard pipeline with and without clean_flicker_noise, and ours.

    DETECTORIST_SCENES=FOLDER python benchmarks/imaging_independent.py WORK --seeds 2201 2202

FOLDER holds a package `scenes` with `imaging` (python -m scenes.imaging DIR --seed N), `stock` (the standard pipeline
on it) and `score` (products against the truth). WORK is for scenes and products, 2 GB a seed while it runs. What was
found is added to WORK/independent.json seed by seed and printed as a table, seed by seed and detector by detector.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

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
#: Settings of the standard pipeline, by the name of the column.
STANDARD = {
    "standard": (),
    "standard, 1/f": (
        "clean_flicker_noise.skip=False",
        "clean_flicker_noise.fit_by_channel=True",
        "jump.expand_large_events=True",
    ),
}


def run_module(folder: Path, *words: object) -> None:
    """Run `python -m` of the generator's package; what it prints is shown only when it fails."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", *map(str, words)]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def reduce_ours(scene: Path, products: Path) -> None:
    """Reduce the exposures of a scene by the default recipe, as a user does."""
    files = sorted(map(str, scene.glob("*_uncal.fits")))
    references = ["--references", str(scene / "crds"), "--wisp-templates", str(scene / "wisps")]
    command = [str(Path(sys.executable).with_name("detectorist")), "run", "imaging", *files, "-o", str(products)]
    subprocess.run([*command, *references], check=True, stdout=subprocess.DEVNULL)


def score(generator: Path, scene: Path, products: Path) -> dict[str, dict[str, Any]]:
    """Return {detector: figures} of the products."""
    target = products / "score.json"
    run_module(generator, "scenes.score", "imaging", scene, products, "--json", target)
    found = json.loads(target.read_text())
    return {name.rsplit("_rate", 1)[0].rsplit("_", 1)[1]: figures for name, figures in found.items()}


def measure_seed(generator: Path, work: Path, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Return {reduction: {detector: figures}} of a seed; its scene and products are removed."""
    scene = work / f"seed{seed}"
    run_module(generator, "scenes.imaging", scene, "--seed", seed)
    found = {}
    for number, (name, settings) in enumerate(STANDARD.items()):
        run_module(generator, "scenes.stock", scene, products := scene / f"standard{number}", *settings)
        found[name] = score(generator, scene, products)
    reduce_ours(scene, products := scene / "ours")
    found["detectorist"] = score(generator, scene, products)
    shutil.rmtree(scene)
    return found


def table_of(results: dict[str, Any]) -> Table:
    """Return all figures, seed by seed, beside what is asked."""
    table = Table("seed", "detector", "figure", "asked", *STANDARD, "detectorist")
    for seed, by_reduction in results.items():
        for detector in next(iter(by_reduction.values())):
            for figure, (asked, decimals) in FIGURES.items():
                values = [one[detector].get(figure) for one in by_reduction.values()]
                shown = ["" if value is None else f"{value:.{decimals}f}" for value in values]
                if any(shown):
                    table.add_row(seed, detector, figure, "" if asked is None else f"{asked:g}", *shown)
    return table


def main() -> None:
    """Measure seeds that are not there yet, and show all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    chosen = parser.parse_args()
    if "DETECTORIST_SCENES" not in os.environ:
        parser.error("DETECTORIST_SCENES is not set: the folder of the generator's package is needed")
    generator, work = Path(os.environ["DETECTORIST_SCENES"]), chosen.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    target = work / "independent.json"
    results = json.loads(target.read_text()) if target.exists() else {}
    for seed in chosen.seeds:
        if str(seed) not in results:
            results[str(seed)] = measure_seed(generator, work, seed)
            target.write_text(json.dumps(results, indent=1))
    Console(width=150).print(table_of(results))


if __name__ == "__main__":
    main()
