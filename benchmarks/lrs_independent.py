"""LRS on scenes that others made: generator, standard pipeline and default recipe side by side, seed by seed.

    python benchmarks/lrs_independent.py --scenes FOLDER --work FOLDER [SEED:GROUPS ...] [--stage ours --stage table]

FOLDER (or the environment variable DETECTORIST_SCENES) holds the package `scenes`: a generator (`python -m scenes.lrs`)
and a scorer (`python -m scenes.score`) that share no code with this project, and the standard stage 1
(`python -m scenes.stock`). Even seeds have a linearity reference that is exact, odd ones the identity. Every scene has
a twin without electronic drifts and interference, which tells what noise alone allows: it is reduced with the groups
that were chosen for the scene, so that both have the same photons. Scenes and standard products are kept in --work
and not made again. Writes docs/validation/lrs_independent.json and the page beside it; rows of other seeds stay.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "validation" / "lrs_independent.json"
#: None of these seeds was looked at while the recipe was made.
CASES = ("2412:12", "2413:12", "2431:30", "2432:30", "2433:30", "2460:60", "2461:60", "2462:60", "2500:100", "2501:100")
OWN_BOX = "own box on rateints"
#: Seeds whose figures were seen before settings of the recipe were chosen: marked in the table.
SEEN = (2410, 2411, 2430)
#: Figures of the scorer: name here, section of the scores (None: the rates; the rest: spectra), its name there.
FIGURES = {
    "white": ("spectra", "white_over_expected"),
    "white_about_fit": ("spectra", "white_scatter_about_fit_over_expected"),
    "depth_sigma": ("spectra", "depth_error_sigma"),
    "chi2_expected": ("spectra", "chi2_dof_expected_noise"),
    "chi2_own": ("spectra", "chi2_dof_product_errors"),
    "row_noise": ("spectra", "noise_over_expected_per_row"),
    "flux_pull": ("spectra", "flux_pull_mad"),
    "bin_rms_ppm": ("spectra", "depth_bin_rms_ppm"),
    "brightest": (None, "pixel_brightest_tenth_ratio"),
    "hits_left": (None, "strong_cosmic_rays_left_beyond_5_sigma"),
    "background_pull": (None, "pixel_background_pull_mad"),
    "background_bias": (None, "pixel_background_bias_DNs"),
}


@dataclass(frozen=True)
class Case:
    """A scene: its seed and the groups of its ramps."""

    seed: int
    groups: int
    work: Path

    @classmethod
    def parse(cls, text: str, work: Path) -> Case:
        """Return the case of "SEED:GROUPS"."""
        seed, groups = text.split(":")
        return cls(int(seed), int(groups), work)

    @property
    def name(self) -> str:
        """What its folders are called."""
        return f"{self.seed}_{self.groups}"

    def folder(self, what: str) -> Path:
        """Return the folder of scene, twin, stock, ours or ours_twin."""
        return self.work / what / self.name


def run(command: list[str], cwd: Path, log: Path) -> float:
    """Run a command, its words in a log; return the CPU time it took in seconds."""
    log.parent.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("w") as handle:
        done = subprocess.run(command, cwd=cwd, stdout=handle, stderr=subprocess.STDOUT, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}, see {log}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_scenes(case: Case, scenes: Path) -> None:
    for what, extra in (("scene", []), ("twin", ["--clean"])):
        folder = case.folder(what)
        if not (folder / "truth.npz").is_file():
            command = [sys.executable, "-m", "scenes.lrs", str(folder), "--seed", str(case.seed)]
            run([*command, "--groups", str(case.groups), *extra], scenes, folder.with_suffix(".log"))


def reduce_by_standard(case: Case, scenes: Path) -> None:
    folder = case.folder("stock")
    if not (folder / "cpu.json").is_file():
        command = [sys.executable, "-m", "scenes.stock", str(case.folder("scene")), str(folder)]
        cpu = run(command, scenes, folder.with_suffix(".log"))
        (folder / "cpu.json").write_text(json.dumps(cpu))


def groups_dropped(case: Case) -> str:
    """Return the setting by which the twin loses the groups that were chosen for the scene."""
    record = json.loads((case.folder("ours") / "record.json").read_text())
    chosen = next(numbers["drop_groups"]["groups"] for numbers in record.values() if "drop_groups" in numbers)
    return f"drop_groups.drop_groups={chosen or None}"


def reduce_by_default(case: Case, scene: str, target: str, settings: Sequence[str] = ()) -> None:
    source, folder = case.folder(scene), case.folder(target)
    shutil.rmtree(folder, ignore_errors=True)
    files = [str(path) for path in sorted(source.glob("*_uncal.fits"))]
    command = [sys.executable, "-m", "detectorist", "run", "lrs", *files]
    command += [part for setting in settings for part in ("--set", setting)]
    cpu = run([*command, "-o", str(folder), "--references", str(source / "crds")], ROOT, folder.with_suffix(".log"))
    (folder / "cpu.json").write_text(json.dumps(cpu))
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True)
    (folder / "commit.txt").write_text(commit.strip())


def score(case: Case, scenes: Path, scene: str, products: str) -> dict[str, Any]:
    """Return the scores of products; those that are newer than the products are taken as they are."""
    target, made = case.folder(products).with_suffix(".json"), case.folder(products) / "cpu.json"
    if target.is_file() and made.is_file() and target.stat().st_mtime > made.stat().st_mtime:
        return json.loads(target.read_text())
    command = [sys.executable, "-m", "scenes.score", "lrs", str(case.folder(scene)), str(case.folder(products))]
    run([*command, "--json", str(target)], scenes, target.with_suffix(".score.log"))
    return json.loads(target.read_text())


def figures_of(scores: dict[str, Any]) -> dict[str, float]:
    spectra = scores.get("stage_2_output.nc") or scores[OWN_BOX]
    found = {name: (spectra if section else scores).get(key, float("nan")) for name, (section, key) in FIGURES.items()}
    # Any box extracts the same rates: what the two stages 1 differ by, without the extraction.
    found["box_white"] = scores[OWN_BOX]["white_over_expected"]
    found["box_depth_sigma"] = scores[OWN_BOX]["depth_error_sigma"]
    return found


def false_flags(case: Case, products: str) -> float:
    """Return the share of samples flagged as jumps where no cosmic ray was: of pixels without any hit in the frame."""
    import numpy as np
    from astropy.io import fits

    truth = np.load(case.folder("scene") / "truth.npz")
    files = sorted(case.folder(products).rglob("*_rateints.fits"))
    flags = np.concatenate([fits.getdata(path, "DQ") for path in files])
    hit = np.zeros(flags.shape, bool)
    k, _, y, x, _ = truth["cosmic_rays"].T.astype(int)
    hit[k, y, x] = True
    sound = ~(hit | truth["hot"] | truth["dead"] | truth["warm"] | truth["ref"])
    return float(((flags & 4) > 0)[sound].mean() / case.groups)


def white_over_own_errors(case: Case) -> float:
    """Return the scatter of white light (5-12 um) about the truth over the errors that the spectra come with."""
    import numpy as np
    import xarray as xr

    truth = np.load(case.folder("scene") / "truth.npz")
    with xr.open_dataset(case.folder("ours") / "stage_2" / "stage_2_output.nc", decode_times=False) as file:
        spectra = file.isel(wavelength=(file.wavelength.values >= 5) & (file.wavelength.values <= 12)).load()
    order = np.argsort(truth["wave"])
    rows = order[np.rint(np.interp(spectra.wavelength, truth["wave"][order], np.arange(order.size))).astype(int)]
    true = truth["spec"][:, rows]
    true = true * np.median(spectra.flux.values / true, axis=0)
    left = (spectra.flux.values - true).sum(axis=1)
    # What the pointing does to rows is no noise: the scorer's depths take it out as well.
    terms = np.column_stack([np.ones(len(left)), truth["t"], truth["xs"], truth["ys"]])
    left -= terms @ np.linalg.lstsq(terms, left, rcond=None)[0]
    own = np.sqrt((spectra.flux_error.values**2).sum(axis=1)).mean()
    return float(left.std(ddof=terms.shape[1]) / own)


def measure(case: Case, scenes: Path) -> dict[str, Any]:
    ours, twin = (score(case, scenes, a, b) for a, b in (("scene", "ours"), ("twin", "ours_twin")))
    stock = figures_of(score(case, scenes, "scene", "stock"))
    found = figures_of(ours)
    found["white_over_twin"] = found["white"] / figures_of(twin)["white"]
    found["white_own"] = white_over_own_errors(case)
    n_ints = ours["stage_2_output.nc"]["integrations"]
    # What numba compiles in the first of two reductions is no cost of a reduction.
    for numbers, name, runs in ((found, "ours", ("ours", "ours_twin")), (stock, "stock", ("stock",))):
        numbers["false_flags"] = false_flags(case, name)
        cpu = min(json.loads((case.folder(each) / "cpu.json").read_text()) for each in runs)
        numbers["cpu_ms_per_int"] = 1e3 * cpu / n_ints
    linearity = "identity" if case.seed % 2 else "exact"
    code = (case.folder("ours") / "commit.txt").read_text()
    about = {"seed": case.seed, "groups": case.groups, "linearity": linearity, "code": code}
    return about | {"ours": found, "stock": stock}


#: Columns of the page: heading, figure, format.
COLUMNS = (
    ("white light / expected", "white", ".2f"),
    ("... / noise alone", "white_over_twin", ".2f"),
    ("white light / own errors", "white_own", ".2f"),
    ("depth error (sigma)", "depth_sigma", "+.1f"),
    ("chi2, expected noise", "chi2_expected", ".2f"),
    ("chi2, own errors", "chi2_own", ".2f"),
    ("noise of a row / expected", "row_noise", ".2f"),
    ("pull of the flux", "flux_pull", ".2f"),
    ("brightest pixels (%)", "brightest", "+.2f"),
    ("strong hits left (%)", "hits_left", ".3f"),
    ("false flags (1e-6)", "false_flags", ".1f"),
    ("background pull", "background_pull", ".2f"),
    ("background bias (DN/s)", "background_bias", "+.2f"),
    ("CPU (ms per integration)", "cpu_ms_per_int", ".0f"),
)
#: What is asked of every seed: words, figure, lowest and highest value (None: no limit), in the units of the page.
BARS = (
    ("white light / expected, each", "white", None, 1.15),
    ("white light / noise alone, each", "white_over_twin", None, 1.05),
    ("depth error, each (sigma)", "depth_sigma", -2.5, 2.5),
    ("chi2 with expected noise, each", "chi2_expected", 0.7, 1.4),
    ("chi2 with own errors, each", "chi2_own", 0.7, 1.4),
    ("brightest pixels, each (%)", "brightest", -0.3, 0.3),
    ("strong hits left, each (%)", "hits_left", None, 0.1),
    ("false flags, each (1e-6)", "false_flags", None, 100.0),
)
#: ... and of the mean over the seeds.
BARS_OF_MEAN = (
    ("white light / expected, mean", "white", None, 1.05),
    ("depth error, mean (sigma)", "depth_sigma", -0.3, 0.3),
    ("chi2 with expected noise, mean", "chi2_expected", 0.85, 1.15),
    ("chi2 with own errors, mean", "chi2_own", 0.85, 1.15),
)
IN_UNITS = {
    "brightest": lambda value: 100 * (value - 1),
    "hits_left": lambda value: 100 * value,
    "false_flags": lambda value: 1e6 * value,
}


def page_of(found: dict[str, Any]) -> str:
    """Return the table as a page: every figure of ours beside that of the standard pipeline, and their means."""
    lines = [
        "# MIRI LRS on scenes of an independent generator",
        "",
        f"Measured {found['date']} by `benchmarks/lrs_independent.py`, with the default recipe. Seeds with a star were "
        "looked at while settings of the recipe were chosen, others were not. The generator and the scorer share no "
        "code with this project. Each cell is ours, then the standard stage 1, plain box. *Expected* is the noise "
        "of optimal slopes of groups 4 to n - 2, so that what keeps more groups can be below 1; *noise alone* is the "
        "same scene without drifts and interference, reduced by the same recipe with the groups that were chosen for "
        "the scene. *Own errors* are those that the spectra come with, which keep all the groups that were used. CPU "
        "times include the start of "
        "Python, the figures and the report, spread over the integrations; compilation is left out. *Code* is the "
        "commit that was measured.",
        "",
        "| seed, groups, linearity reference | " + " | ".join(name for name, *_ in COLUMNS) + " | code |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for case in found["cases"]:
        cells = [_cell(case, key, form) for _, key, form in COLUMNS]
        seen = "\\*" if case["seed"] in SEEN else ""
        cells.append(case["code"])
        lines.append(f"| {case['seed']}{seen}, {case['groups']}, {case['linearity']} | " + " | ".join(cells) + " |")
    means = []
    for _, key, form in COLUMNS:
        both = [[case[who].get(key) for case in found["cases"]] for who in ("ours", "stock")]
        means.append(", ".join(_format(sum(each) / len(each), key, form) for each in both if None not in each))
    lines += ["| mean | " + " | ".join(means) + " | |", "", *_bars_of(found["cases"]), "", *found.get("remarks", ())]
    return "\n".join([*lines, ""])


def _bars_of(cases: list[dict[str, Any]]) -> list[str]:
    """Return a table of what is asked, what was found, and the seeds that miss it."""
    lines = ["## What is asked", "", "| | asked | found | missed by |", "|---|---|---|---|"]
    forms = {key: form for _, key, form in COLUMNS}
    for words, key, low, high in BARS:
        values = [IN_UNITS.get(key, float)(case["ours"][key]) for case in cases]
        missed = [str(case["seed"]) for case, value in zip(cases, values, strict=True) if not _holds(value, low, high)]
        span = f"{min(values):{forms[key]}} to {max(values):{forms[key]}}"
        lines.append(f"| {words} | {_asked(low, high)} | {span} | {', '.join(missed) or 'none'} |")
    for words, key, low, high in BARS_OF_MEAN:
        mean = sum(IN_UNITS.get(key, float)(case["ours"][key]) for case in cases) / len(cases)
        shown = "none" if _holds(mean, low, high) else "the mean"
        lines.append(f"| {words} | {_asked(low, high)} | {mean:{forms[key]}} | {shown} |")
    return lines


def _holds(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _asked(low: float | None, high: float | None) -> str:
    return f"at most {high:g}" if low is None else f"{low:g} to {high:g}"


def _cell(case: dict[str, Any], key: str, form: str) -> str:
    both = [case[who].get(key) for who in ("ours", "stock")]
    return ", ".join(_format(value, key, form) for value in both if value is not None)


def _format(value: float, key: str, form: str) -> str:
    return format(IN_UNITS.get(key, float)(value), form)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="SEED:GROUPS")
    parser.add_argument("--scenes", type=Path, default=os.environ.get("DETECTORIST_SCENES"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--stage", choices=("scenes", "stock", "ours", "table"), action="append")
    parser.add_argument("--remark", action="append", default=[], help="a sentence for the end of the page")
    wanted = parser.parse_args()
    if wanted.scenes is None:
        raise SystemExit("--scenes or DETECTORIST_SCENES: the folder that holds the package `scenes` is needed")
    stages = wanted.stage or ("scenes", "stock", "ours", "table")
    cases = [Case.parse(text, wanted.work.resolve()) for text in wanted.cases]
    rows = []
    for case in cases:
        if "scenes" in stages:
            make_scenes(case, wanted.scenes)
        if "stock" in stages:
            reduce_by_standard(case, wanted.scenes)
        if "ours" in stages:
            reduce_by_default(case, "scene", "ours")
            reduce_by_default(case, "twin", "ours_twin", [groups_dropped(case)])
        if "table" in stages:
            rows.append(measure(case, wanted.scenes))
            print(json.dumps(rows[-1], indent=1), flush=True)
        print(f"{datetime.now(UTC):%H:%M:%S} {case.name}: {', '.join(stages)} done", flush=True)
    if rows:
        kept = json.loads(TARGET.read_text()) if TARGET.is_file() else {"cases": [], "remarks": []}
        new = {(row["seed"], row["groups"]) for row in rows}
        rows += [row for row in kept["cases"] if (row["seed"], row["groups"]) not in new]
        rows.sort(key=lambda row: (row["groups"], row["seed"]))
        remarks = wanted.remark or kept["remarks"]
        found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cases": rows, "remarks": remarks}
        TARGET.write_text(json.dumps(found, indent=1) + "\n")
        TARGET.with_suffix(".md").write_text(page_of(found))


if __name__ == "__main__":
    main()
