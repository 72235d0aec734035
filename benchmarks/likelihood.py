"""Ramp fits of known truth: least squares after the jump step, likelihood with its own search for jumps, and both.

    python benchmarks/likelihood.py [--ints 20] [--pixels 500]
    python benchmarks/likelihood.py --scenes FOLDER --work FOLDER SEED:GROUPS ...

MIRI LRS ramps (one read a group, 0.159 s, gain 5.5, read noise 4.2 DN) of several rates and lengths, with and without
cosmic rays: in a tenth of the ramps, of 10^1.5 to 10^3.5 DN, in any group. Thresholds are those of the default LRS
recipe, 4.5 sigma. Bias and pull are those of slopes against the true rate in units of their errors; scatter is in
units of the best that is possible (inverse of the covariance at the true rate, no cosmic ray).

With --scenes, whole reductions by the default LRS recipe with each of them, on scenes of the independent generator
(`lrs_independent.py` says what that is; scenes and scores in --work are kept). Both write their part of
docs/validation/likelihood.json and the page beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from detectorist.engine.jump import flag_jumps
from detectorist.engine.likelihood import fit_ramps_by_likelihood, read_times_s, spacing_of
from detectorist.engine.ramp_fit import fit_ramps
from lrs_independent import ROOT, Case, figures_of, make_scenes, run, score
from measure import cpu_seconds

TARGET = Path(__file__).resolve().parent.parent / "docs" / "validation" / "likelihood.json"
FRAME_S, GAIN, READ_NOISE_DN = 0.159, 5.5, 4.2
RATES_DN_S = (0.0, 3.0, 30.0, 300.0, 3000.0)
GROUPS = (5, 12, 30, 100)
SIGMA = 4.5


class Ramps(NamedTuple):
    """What a fit takes."""

    data: np.ndarray
    groupdq: np.ndarray
    pixeldq: np.ndarray
    gain: np.ndarray
    read_noise: np.ndarray


def simulate(rng: np.random.Generator, rate: float, shape: tuple[int, int, int], *, struck: float) -> Ramps:
    """Return ramps (n_ints, n_groups, 1, n_pix) of a rate in DN/s; `struck` is the share of those with a hit."""
    n_ints, n_groups, n_pix = shape
    electrons = np.cumsum(rng.poisson(rate * GAIN * FRAME_S, shape), axis=1)
    hit = (rng.random((n_ints, n_pix)) < struck) * 10 ** rng.uniform(1.5, 3.5, (n_ints, n_pix))
    group = rng.integers(1, n_groups, (n_ints, n_pix))
    data = electrons / GAIN + rng.normal(0, READ_NOISE_DN, shape)
    data += hit[:, None] * (np.arange(n_groups)[:, None] >= group[:, None])
    image = np.ones((1, n_pix), np.float32)
    data = data.astype(np.float32)[:, :, None]
    cds = image * np.float32(READ_NOISE_DN * np.sqrt(2))
    return Ramps(data, np.zeros(data.shape, np.uint8), np.zeros((1, n_pix), np.uint32), image * np.float32(GAIN), cds)


def jumps_flagged(ramps: Ramps) -> Ramps:
    """Return the ramps after the jump step."""
    thresholds = ("threshold_sigma", "three_group_threshold_sigma", "four_group_threshold_sigma")
    settings: dict[str, Any] = dict.fromkeys(thresholds, SIGMA)
    return ramps._replace(groupdq=flag_jumps(*ramps, n_frames=1, flag_4_neighbors=False, **settings).groupdq)


def by_least_squares(ramps: Ramps) -> Any:
    times = {"group_time_s": FRAME_S, "frame_time_s": FRAME_S, "n_frames": 1}
    return fit_ramps(*jumps_flagged(ramps), **times, drop_unusable_groups=True).rateints


def by_likelihood(ramps: Ramps) -> Any:
    times = read_times_s(ramps.data.shape[1], frame_time_s=FRAME_S, n_frames=1, group_gap=0)
    return fit_ramps_by_likelihood(*ramps, read_times_s=times).rateints


def by_both(ramps: Ramps) -> Any:
    return by_likelihood(jumps_flagged(ramps))


FITS: dict[str, Callable[[Ramps], Any]] = {
    "OLS_C after jump": by_least_squares,
    "LIKELY": by_likelihood,
    "LIKELY after jump": by_both,
}


def least_error(rate: float, n_groups: int) -> float:
    """Return the error of the best unbiased slope of all groups, DN/s."""
    spacing = spacing_of(read_times_s(n_groups, frame_time_s=FRAME_S, n_frames=1, group_gap=0))
    photons, reads = rate / GAIN, READ_NOISE_DN**2
    covariance = np.diag(photons * spacing.alpha_photons + reads * spacing.alpha_reads)
    beside = photons * spacing.beta_photons + reads * spacing.beta_reads
    covariance += np.diag(beside, 1) + np.diag(beside, -1)
    return float(1 / np.sqrt(np.linalg.inv(covariance).sum()))


def measure(rate: float, n_groups: int, *, struck: float, ints: int, pixels: int) -> dict[str, dict[str, float]]:
    ramps = simulate(
        np.random.default_rng([n_groups, int(rate), int(100 * struck)]), rate, (ints, n_groups, pixels), struck=struck
    )
    found = {}
    for name, fit in FITS.items():
        result = fit(ramps)
        good = np.isfinite(result.slope) & (result.err > 0) & np.isfinite(result.err)
        error = result.slope[good].astype(float) - rate
        pull = error / result.err[good]
        found[name] = {
            "bias": float(np.mean(error) / np.median(result.err[good])),
            "pull": float(np.std(pull)),
            "pull_mad": float(1.4826 * np.median(np.abs(pull - np.median(pull)))),
            "scatter": float(np.std(error) / least_error(rate, n_groups)),
            "beyond_5": float(np.mean(np.abs(pull) > 5)),
            "lost": float(1 - good.mean()),
        }
    return found


def page_of(found: dict[str, Any]) -> str:
    lines = [
        "# Least squares and likelihood on ramps of known truth",
        "",
        f"Measured {found['date']} by `benchmarks/likelihood.py`: MIRI LRS ramps, one read a group. *Bias* is the mean "
        "error in units of the error of one slope, *pull* the standard deviation of error over stated error, *scatter* "
        "that of the error over the least that is possible, *beyond 5* the share of slopes that are wrong by more than "
        "five stated errors. Each cell: OLS_C after the jump step, LIKELY alone, LIKELY after the jump step; all "
        "searches for jumps at 4.5 sigma.",
        "",
        "| rate (DN/s), groups, ramps with a hit | bias | pull | scatter / least | beyond 5 (1e-4) | lost (1e-4) |",
        "|---|---|---|---|---|---|",
    ]
    for case in found["cases"]:
        cells = []
        for key, factor, form in (("bias", 1, "+.3f"), ("pull", 1, ".3f"), ("scatter", 1, ".3f")):
            cells.append(", ".join(format(factor * one[key], form) for one in case["fits"].values()))
        for key in ("beyond_5", "lost"):
            cells.append(", ".join(format(1e4 * one[key], ".1f") for one in case["fits"].values()))
        name = f"{case['rate']:g}, {case['groups']}, {case['struck']:.0%}"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    costs = ", ".join(f"{value:.1f} s ({name})" for name, value in found["cpu_s"].items())
    lines += ["", f"CPU time of a million ramps of 20 groups: {costs}."]
    if "reductions" in found:
        lines += reductions_page(found["reductions"])
    return "\n".join([*lines, ""])


#: Reductions: their name, settings on top of the default recipe.
REDUCTIONS = {
    "OLS_C after jump": (),
    "LIKELY after jump": ("ramp_fit.algorithm=LIKELY",),
}
#: Columns of their table: heading, figure of `lrs_independent.FIGURES`, factor, format.
REDUCTION_COLUMNS = (
    ("white light / expected", "white", 1, ".3f"),
    ("depth error (sigma)", "depth_sigma", 1, "+.2f"),
    ("chi2, expected noise", "chi2_expected", 1, ".2f"),
    ("chi2, own errors", "chi2_own", 1, ".2f"),
    ("noise of a row / expected", "row_noise", 1, ".3f"),
    ("pull of the flux", "flux_pull", 1, ".3f"),
    ("strong hits left (%)", "hits_left", 100, ".3f"),
    ("background pull", "background_pull", 1, ".3f"),
)


def reduce(case: Case, name: str, scenes: Path) -> dict[str, float]:
    """Return the scorer's figures of one reduction; a score in the work folder is taken as it is."""
    products = name.lower().replace(" ", "_")
    kept = case.folder(products).with_suffix(".json")
    if not kept.is_file():
        source, folder = case.folder("scene"), case.folder(products)
        files = [str(path) for path in sorted(source.glob("*_uncal.fits"))]
        command = [sys.executable, "-m", "detectorist", "run", "lrs", *files]
        command += [part for setting in REDUCTIONS[name] for part in ("--set", setting)]
        run([*command, "-o", str(folder), "--references", str(source / "crds")], ROOT, folder.with_suffix(".log"))
        score(case, scenes, "scene", products)
    return figures_of(json.loads(kept.read_text()))


def measure_reductions(names: Sequence[str], scenes: Path, work: Path) -> list[dict[str, Any]]:
    cases = [Case.parse(text, work.resolve()) for text in names]
    for case in cases:
        make_scenes(case, scenes)
    return [
        {"seed": case.seed, "groups": case.groups, "fits": {name: reduce(case, name, scenes) for name in REDUCTIONS}}
        for case in cases
    ]


def reductions_page(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of reductions as lines of a page."""
    names = [name for name, *_ in REDUCTION_COLUMNS]
    lines = [
        "",
        "## The default LRS recipe with each of them",
        "",
        "On scenes of an independent generator ({doc}`lrs_independent` says what the figures are). Each cell: "
        f"{', '.join(REDUCTIONS)}.",
        "",
        f"| seed, groups | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in rows:
        cells = [
            ", ".join(format(factor * one[key], form) for one in row["fits"].values())
            for _, key, factor, form in REDUCTION_COLUMNS
        ]
        lines.append(f"| {row['seed']}, {row['groups']} | {' | '.join(cells)} |")
    return [*lines, "", choice_of(rows)]


def choice_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return which fit is the default, and why, with the means of these scenes."""

    def means(key: str) -> str:
        both = [np.mean([row["fits"][name][key] for row in rows]) for name in REDUCTIONS]
        return "{:.3f} and {:.3f}".format(*both)

    return (
        "The default is OLS_C after the jump step. LIKELY would replace it if light curves were better with it, and in "
        f"the mean of these scenes white light is {means('white')} of the expected noise, and the noise of single rows "
        f"{means('row_noise')}: no difference that would be worth more than twice the time of the fit. Errors of faint "
        f"pixels are truer with LIKELY (pull of the background {means('background_pull')}), which the scaling of "
        "errors to the scatter makes good in spectra. `--set ramp_fit.algorithm=LIKELY` chooses it."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ints", type=int, default=20)
    parser.add_argument("--pixels", type=int, default=500)
    parser.add_argument("cases", nargs="*", metavar="SEED:GROUPS")
    parser.add_argument("--scenes", type=Path, default=os.environ.get("DETECTORIST_SCENES"))
    parser.add_argument("--work", type=Path)
    wanted = parser.parse_args()
    found = json.loads(TARGET.read_text()) if TARGET.is_file() else {}
    if wanted.cases:
        if wanted.scenes is None or wanted.work is None:
            raise SystemExit("--scenes (or DETECTORIST_SCENES) and --work are needed for reductions")
        new = measure_reductions(wanted.cases, wanted.scenes, wanted.work)
        measured = {(row["seed"], row["groups"]) for row in new}
        kept = [row for row in found.get("reductions", []) if (row["seed"], row["groups"]) not in measured]
        found["reductions"] = sorted([*kept, *new], key=lambda row: (row["groups"], row["seed"]))
    else:
        found |= measure_fits({"ints": wanted.ints, "pixels": wanted.pixels})
    TARGET.write_text(json.dumps(found, indent=1) + "\n")
    page = page_of(found)
    TARGET.with_suffix(".md").write_text(page)
    print(page)


def measure_fits(size: dict[str, int]) -> dict[str, Any]:
    """Return all cases of known truth, and the time that the fits take."""
    cases = [
        {"rate": rate, "groups": n, "struck": struck, "fits": measure(rate, n, struck=struck, **size)}
        for struck in (0.0, 0.1)
        for n in GROUPS
        for rate in RATES_DN_S
    ]
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cases": cases, "cpu_s": _costs(size)}


def _costs(size: dict[str, int]) -> dict[str, float]:
    """Return the CPU time of each fit per million ramps of 20 groups, s."""
    ramps = simulate(np.random.default_rng(1), 30.0, (size["ints"], 20, size["pixels"]), struck=0.1)
    millions = size["ints"] * size["pixels"] / 1e6
    return {name: float(np.median(cpu_seconds(lambda fit=fit: fit(ramps)))) / millions for name, fit in FITS.items()}


if __name__ == "__main__":
    main()
