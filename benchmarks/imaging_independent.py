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
#: What the figures of the table mean, and where the scene itself sets a limit.
NOTES = """
**Sky.** The offset is a median, and that of a Poisson distribution lies a sixth of an electron below its mean: -0.04
% of this sky for every reduction. Where the scene has a wisp, its light fainter than 0.002 DN/s counts as sky (+0.04
to +0.06 %), which a reduction that subtracts the wisp does not have: the standard pipeline keeps it. A jump
search that ignores the 1/f noise between groups took 0.03 to 0.08 % of the sky on the noisiest detectors (seeds 4103,
4109), as it does in the standard pipeline; ours now allows for it. The outputs beside whose rows reference pixels lie
then agree with these to 0.01-0.05 %. The two between come out darker by 0.13 % on average (from 0.45 % darker to 0.1 %
brighter): 0.04 % of that is the median's. Most of the rest is the output that holds the big galaxy: by means instead of
medians it is 0.25, 0.25 and 0.29 % darker on seeds 4103, 4105 and 4109, the other -0.11, -0.04 and -0.07 %. In nine
rates of other seeds, in which the noise is known, that output's error is -0.09 +- 0.07 % on average (0.22 % rms), the
other's 0.05 +- 0.03 % (0.10 %), that of the outer ones 0.03 % (0.04 %). The galaxy's wings reach beyond its output,
and some of them is taken for noise: with its light taken off by truth that output's sky, by means, goes from -0.30 to
-0.12 % on seed 4104, -0.28 to 0.00 on 4109, -0.25 to -0.16 on 4103, -0.23 to -0.12 on 4105, but -0.23 to +0.32 on 4401.
Profiles along its ellipses, solved for together with the noise, were tried in its place and are not used: -0.07, -0.32,
-0.17, -0.03 and -0.19 %, while rows went from 0.00063, 0.00068, 0.00085, 0.00081 and 0.00077 to 0.00065, 0.00084,
0.00079, 0.00080 and 0.00081 DN/s.

**How well a level can be told.** Were the noise known exactly, the sky of these nine rates would score -0.061 %
(-0.051 to -0.071 %), by the median alone; ours score -0.032 % (0.045 % rms). The standard pipeline's figure happens to
be nearer to zero than the median's on seeds 4101, 4105, 4111, 4203 and 4301, where even a perfect estimate would be
worse. The least error that the data allow for the level of an output (`benchmarks/level_limits.py`, percent of the sky,
noisier and quieter kind of detector) is 0.21 and 0.13 from the reference rows at both ends of the frame, which are all
that an inner output has, 0.02 and 0.01 from the pixels beside the rows of an outer one, and 0.03 from a sky that is the
same on both sides of a border. The reference rows can therefore hardly improve what the sky tells.

**Rows.** With all sources subtracted by truth and every pixel used, the same estimator reaches 0.00067 and 0.00068 DN/s
on seeds 4101 and 4105 (the white noise of the pixels of a row is removed in part, so this is below their mean error).
Steep light stays masked only in rows of which it is 70 % of the usable pixels, as that of edge-on galaxies along the
rows is.

**Big galaxy.** It covers an output from edge to edge over hundreds of rows, and its error is that of one output's
level times this area: in 24 rates of six scenes, each with other noise, 0.10 % of its light (rms). The scenes of the
table scatter by about twice that. It is not the wings that limit it. On seeds 4104, 4109, 4401 and 4701 the errors
were 0.33, 0.21, -0.34 and -0.33 %; with all wide light known they are 0.40, 0.25, -0.27 and -0.14 %, with the true
steps of the noise at the borders of its output 0.06, 0.06, 0.16 and 0.19 %. A step over 16 rows is measured to 1.0 to
1.5 % of the sky (a cubic that is free in every bin costs most of it: with all light known it is 0.25 %), and the noise
that it tells is 0.2 to 0.8 %, so that a third and more of a bump of the noise under the galaxy stays in the image.
Steps from 48 to 128 pixels on either side beside polynomials of second or third degree, with the galaxy modelled along
fitted ellipses and subtracted, and (but for 4401) compact sources looked for anew in what is left, are known to 0.8 to
1.3 %, and leave 0.28 to 0.42, 0.21 to 0.31, -0.06 to -0.40 and -0.29 to -0.40 %; without that search 0.12 to 0.17
instead of 0.03 % on 4303. Fainter sources and halos on the galaxy make steps of their own. They are not used. Part of
the error where there is a wisp is what the wisp leaves: on seed 4401 it fell from -0.34 to -0.25 % as the wisp left
fell from 1.1 to 0.5 %.
"""
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


def page(results: dict[str, Any], commit: str) -> str:
    """Return the page of the documentation: a row for each detector of a seed, a column for each figure."""
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
    return "\n".join([*lines, NOTES])


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
        PAGE.write_text(page(results, commit))


if __name__ == "__main__":
    main()
