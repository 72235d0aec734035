"""Time, memory and quality of the MIRI LRS corrections, on scenes whose truth is known.

    python benchmarks/lrs.py [SCENES ...]            # CPU seconds, passes over the data, peak memory
    python benchmarks/lrs.py [SCENES ...] --quality  # errors against the truth
    python benchmarks/lrs.py --variants              # the same with other traces, gains and outlier rates
    python benchmarks/lrs.py --end-to-end 5          # simulate, reduce and compare, for five seeds

SCENES are folders with miri_lrs_rateints.npz, miri_lrs_truth.npz, miri_ramp.npz and miri_ramp_truth.npz: frames of
100 x 416 x 72 in DN/s with outliers and bad pixels, and ramps of 10 x 20 x 416 x 72 in DN with electronic drift.
Without any a scene of the same kind is made (--seed).
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

import lrs_scenes as scenes
import lrs_scores as scores
from detectorist.algorithms.dq import DO_NOT_USE, OUTLIER, has
from detectorist.algorithms.flags import count_flags
from detectorist.algorithms.ramps import refpix
from detectorist.algorithms.spectra import alignment, background, extraction, profile, trace
from measure import cpu_seconds, passes, peak_above

RECIPE_COLUMNS = {
    "bkg_col_left_start": 12,
    "bkg_col_left_end": 22,
    "bkg_col_right_start": 50,
    "bkg_col_right_end": 68,
}
#: Scenes that no parameter was chosen on.
VARIANTS = (
    scenes.Variant(seed=31, trace_column=33.0),
    scenes.Variant(seed=32, trace_column=38.5, outlier_rate=0.01),
    scenes.Variant(seed=33, gain=12.0, read_noise_dn_s=1.5),
    scenes.Variant(seed=34, outlier_rate=0.001, trace_column=35.4),
)
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


@dataclass(frozen=True)
class Scene:
    """Rates and ramps with their truth."""

    name: str
    rates: dict[str, np.ndarray]
    rates_truth: dict[str, np.ndarray]
    ramps: dict[str, np.ndarray]
    ramps_truth: dict[str, np.ndarray]
    gain: float = 5.5

    @classmethod
    def load(cls, folder: Path) -> Scene:
        """Read a scene from a folder."""
        names = ("miri_lrs_rateints", "miri_lrs_truth", "miri_ramp", "miri_ramp_truth")
        return cls(str(folder), *(_load(folder / f"{name}.npz") for name in names))

    @classmethod
    def make(cls, variant: scenes.Variant) -> Scene:
        """Make a scene."""
        rates, ramps = scenes.make_rates(variant), scenes.make_ramps(variant.seed)
        return cls(str(variant), *rates, *ramps, gain=variant.gain)


def time_table(scene: Scene) -> Table:
    """Measure the time and memory of every correction."""
    table = Table("correction", "CPU s", "passes", "asked", "peak above input / input", title=scene.name)
    for name, asked, call, arrays in timed_calls(scene.rates, scene.ramps):
        cpu = float(np.median(cpu_seconds(call)))
        peak = peak_above(call) / sum(array.nbytes for array in arrays)
        table.add_row(name, f"{cpu:.3f}", f"{passes(call, arrays):.0f}", f"<= {asked}", f"{peak:.2f}")
    return table


def quality_table(scene: Scene) -> Table:
    """Measure errors against the truth of one scene."""
    z, t = scene.rates, scene.rates_truth
    table = Table("quality", "measured", "asked", title=scene.name)
    done = clean(z)
    found = scores.score_outliers(z, t, done.flagged)
    table.add_row("outliers >= 8 sigma caught, worst window", f"{100 * found['caught_worst']:.2f} %", ">= 98 %")
    table.add_row("false alarms", f"{found['false']:.1e}", "<= 1e-4")
    for name, asked, value in _spectra_rows(z, t, done, scene.gain):
        table.add_row(name, f"{value:.3f}", asked)
    shifts = alignment.measure_shifts(done.frames, done.errors, done.unusable, background_variance=done.variance)
    x_error, y_error = scores.shift_errors(t, shifts.x_pix, shifts.y_pix)
    table.add_row("x shift error, pixel rms", f"{x_error:.5f}", "<= 0.0016")
    table.add_row("y shift error, pixel rms", f"{y_error:.5f}", "<= 0.015")
    ramp, ramp_truth = scene.ramps, scene.ramps_truth
    drift = refpix.measure_reference_drift(ramp["data"][..., :4], smoothing="auto").drift
    left = scores.drift_left(ramp_truth, ramp["data"], refpix.subtract_reference_drift(ramp["data"], drift))
    table.add_row("reference-pixel drift left, DN", f"{left:.3f}", "<= 1.6")
    return table


def _spectra_rows(z, t, done: Cleaned, gain: float) -> Iterator[tuple[str, str, float]]:
    frames, errors, shape, variance = done.frames, done.errors, done.profile, done.variance
    for units, factor in (("DN/s", 1.0), ("electron/s", gain)):
        box = extraction.extract_box(frames, errors, background_variance=variance, units=units, gain=gain)
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
            gain=gain,
        )
        truth = factor * scores.truth_spectrum(t, slice(28, 45))
        yield f"pull width, optimal, {units}", "0.95-1.05", scores.pull_width(best.flux, best.error, truth)


def end_to_end_table(n_seeds: int, recipe: str) -> Table:
    """Simulate, reduce and compare with the truth for several seeds.

    200 integrations, since the scatter of n values is itself known to 1 / sqrt(2 n) only.
    """
    from detectorist.modes.lrs.reduction import reduce_exposure
    from detectorist.reduction.runner import Request
    from detectorist.simulate.lrs.comparison import compare_lrs
    from detectorist.simulate.lrs.scene import LrsScene

    table = Table("seed", "white light / expected", "depth, sigma", "chi2 / bins", title=f"end to end, recipe {recipe}")
    chi2, n_bins = 0.0, 0
    for seed in range(1, n_seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            files = LrsScene().write(raw, ints=200, groups=20, segments=4, seed=seed)
            request = Request(files, Path(folder) / "out", recipe=recipe, references=str(raw / "crds"))
            got = compare_lrs(reduce_exposure(request).spectra.dataset, raw / "truth.nc")
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
    parser.add_argument("--variants", action="store_true", help="quality on scenes that differ")
    parser.add_argument("--seed", type=int, default=20261120, help="of the scene that is made where none is given")
    parser.add_argument("--end-to-end", type=int, metavar="SEEDS", default=0, help="number of simulated exposures")
    parser.add_argument("--recipe", default="default", help="recipe of --end-to-end")
    chosen = parser.parse_args()
    console = Console()
    if chosen.end_to_end:
        console.print(end_to_end_table(chosen.end_to_end, chosen.recipe))
    elif chosen.variants:
        for variant in VARIANTS:
            console.print(quality_table(Scene.make(variant)))
    else:
        made = [Scene.load(folder) for folder in chosen.scenes] or [Scene.make(scenes.Variant(seed=chosen.seed))]
        for scene in made:
            console.print(quality_table(scene) if chosen.quality else time_table(scene))


if __name__ == "__main__":
    main()
