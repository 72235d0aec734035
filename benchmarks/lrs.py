"""Time, memory and quality of the MIRI LRS corrections, on scenes whose truth is known.

    python benchmarks/lrs.py SCENES                 # CPU seconds, passes over the data, peak memory
    python benchmarks/lrs.py SCENES --quality       # errors against the truth
    python benchmarks/lrs.py --end-to-end 5         # simulate, reduce and compare, for five seeds

SCENES is a folder with miri_lrs_rateints.npz, miri_lrs_truth.npz, miri_ramp.npz and miri_ramp_truth.npz: frames of
100 x 416 x 72 in DN/s with outliers and bad pixels, and ramps of 10 x 20 x 416 x 72 in DN with electronic drift. The
scenes carry 5.5 e-/DN and 10 s integrations. Without SCENES nothing but --end-to-end can be run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import lrs_scores as scores
from detectorist.algorithms import alignment, background, extraction, profile, refpix, trace
from detectorist.algorithms.dq import DO_NOT_USE, OUTLIER, has
from detectorist.algorithms.flags import count_flags
from measure import cpu_seconds, passes, peak_above

RECIPE_COLUMNS = {
    "bkg_col_left_start": 12,
    "bkg_col_left_end": 22,
    "bkg_col_right_start": 50,
    "bkg_col_right_end": 68,
}
#: Gain (e-/DN) of the scenes, their integration time and the read noise of a rate.
GAIN, T_INT_S, READ_NOISE_DN_S = 5.5, 10.0, 3.0
#: The windows and threshold of the published recipes.
CLEANING = {"window_heights": scores.WINDOWS, "dq_bits_to_mask": [0], "outlier_threshold": 5.0}


@dataclass(frozen=True)
class Cleaned:
    """A scene after cleaning, background subtraction and cleaning again."""

    flagged: np.ndarray
    unusable: np.ndarray
    variance: np.ndarray
    frames: np.ndarray
    errors: np.ndarray
    profile: np.ndarray


def clean(z) -> Cleaned:
    """Run the first part of stage 2 as the recipes do."""
    data, err, dq = z["data"], z["err"], z["dq"]
    first = profile.clean_outliers(data, err, dq, **CLEANING)
    measured = background.measure_background(first.apply(data, err, dq)[0], err, **RECIPE_COLUMNS)
    subtracted = data - measured.image
    second = profile.clean_outliers(subtracted, err, dq, **CLEANING)
    frames, errors, flags = second.apply(subtracted, err, dq)
    unusable = has(flags, DO_NOT_USE | OUTLIER)
    return Cleaned(first.replaced, unusable, measured.variance, frames, errors, second.profile)


def timed_calls(z, ramp) -> Iterator[tuple[str, float, Callable[[], object], list[np.ndarray]]]:
    """Yield (name, passes asked, call, arrays that it reads)."""
    data, err, dq = (np.ascontiguousarray(z[name]) for name in ("data", "err", "dq"))
    done = clean(z)
    frames, errors, shape, variance = done.frames, done.errors, done.profile, done.variance
    yield (
        "CleanOutliers",
        300,
        lambda: profile.clean_outliers(data, err, dq, **CLEANING).apply(data, err, dq),
        [data, err, dq],
    )
    yield (
        "Align",
        150,
        lambda: alignment.measure_shifts(frames, errors, done.unusable, background_variance=variance),
        [frames],
    )
    yield "background", 40, lambda: background.measure_background(frames, err, **RECIPE_COLUMNS), [frames]
    yield (
        "box with widths",
        25,
        lambda: (
            extraction.extract_box(frames, errors, background_variance=variance),
            trace.fit_trace(frames, errors),
        ),
        [frames, errors],
    )
    yield (
        "optimal",
        35,
        lambda: extraction.extract_optimal(frames, shape, errors, background_variance=variance),
        [frames, errors],
    )
    yield "InspectDQ", 40, lambda: count_flags(dq), [dq]
    reads = ramp["data"]
    yield (
        "reference pixels, smoothed",
        60,
        lambda: refpix.subtract_reference_drift(
            reads, refpix.measure_reference_drift(reads[..., :4], smoothing_length=31).drift
        ),
        [reads],
    )
    yield (
        "reference pixels, auto",
        60,
        lambda: refpix.subtract_reference_drift(
            reads, refpix.measure_reference_drift(reads[..., :4], smoothing="auto").drift
        ),
        [reads],
    )


def time_table(folder: Path) -> Table:
    """Measure the time and memory of every correction."""
    z, ramp = _load(folder / "miri_lrs_rateints.npz"), _load(folder / "miri_ramp.npz")
    table = Table("correction", "CPU s", "passes", "asked", "peak above input / input", title=str(folder))
    for name, asked, call, arrays in timed_calls(z, ramp):
        cpu = float(np.median(cpu_seconds(call)))
        peak = peak_above(call) / sum(array.nbytes for array in arrays)
        table.add_row(name, f"{cpu:.3f}", f"{passes(call, arrays):.0f}", f"<= {asked}", f"{peak:.2f}")
    return table


def quality_table(folder: Path) -> Table:
    """Measure errors against the truth of one scene."""
    z, t = _load(folder / "miri_lrs_rateints.npz"), _load(folder / "miri_lrs_truth.npz")
    table = Table("quality", "measured", "asked", title=str(folder))
    done = clean(z)
    found = scores.score_outliers(z, t, done.flagged)
    table.add_row("outliers >= 8 sigma caught, worst window", f"{100 * found['caught_worst']:.2f} %", ">= 98 %")
    table.add_row("false alarms", f"{found['false']:.1e}", "<= 1e-4")
    for name, asked, value in _spectra_rows(z, t, done):
        table.add_row(name, f"{value:.3f}", asked)
    shifts = alignment.measure_shifts(done.frames, done.errors, done.unusable, background_variance=done.variance)
    x_error, y_error = scores.shift_errors(t, shifts.x_pix, shifts.y_pix)
    table.add_row("x shift error, pixel rms", f"{x_error:.5f}", "<= 0.0016")
    table.add_row("y shift error, pixel rms", f"{y_error:.5f}", "<= 0.015")
    ramp, ramp_truth = _load(folder / "miri_ramp.npz"), _load(folder / "miri_ramp_truth.npz")
    drift = refpix.measure_reference_drift(ramp["data"][..., :4], smoothing="auto").drift
    left = scores.drift_left(ramp_truth, ramp["data"], refpix.subtract_reference_drift(ramp["data"], drift))
    table.add_row("reference-pixel drift left, DN", f"{left:.3f}", "<= 1.6")
    return table


def _spectra_rows(z, t, done: Cleaned) -> Iterator[tuple[str, str, float]]:
    frames, errors, shape, variance = done.frames, done.errors, done.profile, done.variance
    for units, factor in (("DN/s", 1.0), ("electron/s", GAIN)):
        box = extraction.extract_box(frames, errors, background_variance=variance, units=units, gain=GAIN)
        if factor == 1.0:
            ratio = scores.white_light_ratio(z, t, box.flux) / scores.oracle_ratio(z, t)
            yield "white-light scatter over an oracle's", "<= 1.04", ratio
        truth = factor * scores.truth_spectrum(t)
        yield f"pull width, box, {units}", "0.95-1.05", scores.pull_width(box.flux, box.error, truth)
        best = extraction.extract_optimal(
            frames,
            shape,
            errors,
            median_spatial_profile=True,
            background_variance=variance,
            units=units,
            gain=GAIN,
        )
        truth = factor * scores.truth_spectrum(t, slice(28, 45))
        yield f"pull width, optimal, {units}", "0.95-1.05", scores.pull_width(best.flux, best.error, truth)


def end_to_end_table(n_seeds: int, recipe: str) -> Table:
    """Simulate, reduce and compare with the truth for several seeds.

    200 integrations, since the scatter of n values is itself known to 1 / sqrt(2 n) only.
    """
    from detectorist.pipelines.reduction import Request, reduce_lrs
    from detectorist.simulate.builder import LrsScene
    from detectorist.simulate.comparison import compare_lrs

    table = Table("seed", "white light / expected", "depth, sigma", "chi2 / bins", title=f"end to end, recipe {recipe}")
    chi2, n_bins = 0.0, 0
    for seed in range(1, n_seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            files = LrsScene().write(raw, ints=200, groups=20, segments=4, seed=seed)
            spectra = reduce_lrs(Request(files, Path(folder) / "out", recipe=recipe, references=str(raw / "crds")))
            got = compare_lrs(spectra.dataset, raw / "truth.nc")
        chi2, n_bins = chi2 + got.chi2, n_bins + got.depth.size
        table.add_row(
            str(seed),
            f"{got.scatter / got.expected_scatter:.3f}",
            f"{got.mean_depth_pull:+.2f}",
            f"{got.chi2:.1f} / {got.depth.size}",
        )
    table.add_row("pooled", "<= 1.10 each", "within 3 each", f"{chi2 / n_bins:.2f} per dof (asked 0.67-1.40)")
    return table


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", type=Path, help="folders of scenes")
    parser.add_argument("--quality", action="store_true", help="errors against the truth instead of time and memory")
    parser.add_argument("--end-to-end", type=int, metavar="SEEDS", default=0, help="number of simulated exposures")
    parser.add_argument("--recipe", default="best", help="recipe of --end-to-end")
    chosen = parser.parse_args()
    if not chosen.scenes and not chosen.end_to_end:
        parser.error("a folder of scenes, or --end-to-end SEEDS, is needed")
    console = Console()
    for folder in chosen.scenes:
        console.print(quality_table(folder) if chosen.quality else time_table(folder))
    if chosen.end_to_end:
        console.print(end_to_end_table(chosen.end_to_end, chosen.recipe))


if __name__ == "__main__":
    main()
