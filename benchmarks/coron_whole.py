"""Whole reductions of coronagraphic exposures that others simulated, beside the standard pipeline.

    python benchmarks/coron_whole.py FOLDER [FOLDER ...]           # scenes on disk: *_uncal.fits, truth.npz, crds
    python benchmarks/coron_whole.py --seeds 12 13                 # made by `python -m scenes.coron`
    python benchmarks/coron_whole.py --miri 5                      # both MIRI coronagraphs, of our own simulator
    python benchmarks/coron_whole.py FOLDER --store                # into docs/validation/coron_whole.json

The environment variable DETECTORIST_SCENES names the folder with the package `scenes`, whose generator
(`scenes.coron`), standard reduction (`scenes.stock`) and scorer (`scenes.score`) run as commands of their own. A scene
of another generator needs a `truth.npz` of the same form.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

from detectorist.simulate.coron.scene import SCENES
from validated import Figure, Rows, store

#: Figure of the scorer -> what it is, form, what is asked. Over the exposures of a scene the worst counts.
FIGURES = {
    "halo_flux_error_pct": ("light of the halo, error, %, largest", "{:.3f}", "≤ 0.1"),
    "rateints_far_pull_mad": ("pull width, rates of integrations, far from the star", "{:.3f}", "0.95–1.05"),
    "rate_far_pull_mad": ("pull width, rate, far from the star", "{:.3f}", "0.95–1.05"),
    "rateints_near_pull_mad": ("pull width, rates of integrations, near the star", "{:.3f}", "0.95–1.05"),
    "rate_near_pull_mad": ("pull width, rate, near the star", "{:.3f}", "0.95–1.05"),
    "rateints_row_rms": ("rows of the rates of integrations, DN/s rms", "{:.4f}", "≤ standard"),
    "rate_row_rms": ("rows of the rate, DN/s rms", "{:.4f}", "≤ standard"),
    "rate_row_rms_white_only": ("rows of white noise alone, DN/s rms", "{:.4f}", ""),
    "rateints_rc_pixels_usable_and_beyond_5": ("RC pixels that are usable and wrong by 5 sigma", "{:.0f}", ""),
}
#: The command `detectorist` of the package that is imported.
COMMAND = ("-m", "detectorist")
#: Scenes of MIRI.
MIRI = ("miri", "miri-lyot")
#: Columns of the table.
OURS, STANDARD = "ours", "standard"


def main() -> None:
    """Reduce and score scenes, print and store the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="scenes on disk")
    parser.add_argument("--seeds", nargs="*", type=int, default=[], help="scenes to make")
    parser.add_argument("--miri", nargs="*", type=int, default=[], help="seeds of MIRI scenes to make")
    parser.add_argument("--store", action="store_true", help="store as a validation table of the documentation")
    chosen = parser.parse_args()
    rows = Rows()
    with tempfile.TemporaryDirectory() as made:
        for seed in chosen.seeds:
            chosen.folders.append(Path(made) / f"seed {seed}")
            run_scenes("coron", str(chosen.folders[-1]), "--seed", str(seed))
        for seed, kind in product(chosen.miri, MIRI):
            chosen.folders.append(Path(made) / f"{kind} {seed} (own simulator)")
            simulate_miri(chosen.folders[-1], kind, seed)
        for folder in chosen.folders:
            with tempfile.TemporaryDirectory() as products:
                scores = {who: score(folder, Path(products) / who, who) for who in (OURS, STANDARD)}
            Console().print(table_of(folder.name, scores))
            rows.collect(folder.name, figures(scores))
            if chosen.store:  # after each scene: reductions take minutes
                print(store(rows, "coron_whole", script="benchmarks/coron_whole.py"))


def simulate_miri(folder: Path, kind: str, seed: int) -> None:
    """Make exposures of a target and its reference star, and their truth in the form of the scorer."""
    scene = SCENES[kind]().without("jitter", "outliers")
    files = scene.write(folder, rolls=1, dithers=1, backgrounds=False, seed=seed)
    names, rates, companions, centres = [path.name for path in files], [], [], []
    for path in files:
        with xr.open_dataset(str(path).replace("_uncal.fits", "_truth.nc"), engine="h5netcdf") as truth:
            rates.append(truth.rate.values.mean(axis=0) + truth.dark.values / truth.attrs["gain"])
            companions.append(np.zeros_like(rates[-1]))
            centres.append((truth.attrs["star_y"], truth.attrs["star_x"]))
            bad = truth.bad_pixels.values != 0
    np.savez(
        folder / "truth.npz",
        **{"names": names, "rate": rates, "companion": companions, "bad": bad, "rc": np.zeros_like(bad)},
        **{"star_yx": centres, "is_ref": ["002001" in name for name in names]},
    )


def reduce_scene(folder: Path, products: Path, who: str) -> None:
    """Reduce a scene to rates, in a folder that is not there yet."""
    products.mkdir()
    if who == STANDARD:
        run_scenes("stock", str(folder), str(products))
        return
    files = map(str, sorted(folder.glob("*_uncal.fits")))
    command = [sys.executable, *COMMAND, "run", "coron", *files, "-o", str(products)]
    run([*command, "--references", str(folder / "crds"), "--quiet"])


def score(folder: Path, products: Path, who: str) -> dict[str, dict[str, float]]:
    """Reduce a scene and return the scorer's figures of each exposure."""
    reduce_scene(folder, products, who)
    path = products / "scores.json"
    run_scenes("score", "coron", str(folder), str(products), "--json", str(path))
    return json.loads(path.read_text())


def run_scenes(module: str, *arguments: str) -> None:
    """Run a module of the package `scenes`."""
    where = os.environ.get("DETECTORIST_SCENES")
    if not where:
        raise SystemExit("DETECTORIST_SCENES must name the folder with the package `scenes`")
    run([sys.executable, "-m", f"scenes.{module}", *map(_absolute, arguments)], cwd=where)


def _absolute(argument: str) -> str:
    return str(Path(argument).resolve()) if os.sep in argument or Path(argument).exists() else argument


def run(command: list[str], cwd: str | None = None) -> None:
    """Run a command; its words only matter where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def worst(scores: dict[str, dict[str, float]], name: str) -> float:
    """Return a figure of the exposure in which it is worst: pulls by their distance from 1, others by size."""
    values = [one[name] for one in scores.values()]
    if isinstance(values[0], str):  # "3 of 1752"
        return float(sum(int(value.split()[0]) for value in values))
    return max(values, key=lambda value: abs(value - 1) if "pull" in name else abs(value))


def figures(scores: dict[str, dict[str, dict[str, float]]]) -> Iterator[Figure]:
    """Return the worst of every figure, of both pipelines."""
    for name, (what, form, asked) in FIGURES.items():
        yield Figure("whole", what, worst(scores[OURS], name), asked, form)
        if "white" not in name:
            yield Figure("whole", f"{what}: standard pipeline", worst(scores[STANDARD], name), "", form)


def table_of(title: str, scores: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return a table of all figures, the worst exposure of each."""
    table = Table("worst exposure", OURS, STANDARD, "asked", title=title)
    for name, (what, form, asked) in FIGURES.items():
        table.add_row(what, *(form.format(worst(scores[who], name)) for who in (OURS, STANDARD)), asked)
    return table


if __name__ == "__main__":
    main()
