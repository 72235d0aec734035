"""Time and quality of the coronagraphy corrections, on scenes whose truth is known.

    python benchmarks/coron.py SCENES                 # passes over the data and peak memory
    python benchmarks/coron.py SCENES --quality       # errors against the truth
    python benchmarks/coron.py --variants             # errors on other stripes, sizes, numbers of integrations
    python benchmarks/coron.py --whole                # CPU time of the pipeline over that of the standard one

SCENES is a folder with coron_rateints.npz, coron_truth.npz, coron_ramp.npz and coron_ramp_truth.npz: 20
rates of 320 x 320 pixels in DN/s with stripes and outliers, and ramps of 10 x 4 x 320 x 320 in DN with kTC
noise, stripes and cosmic rays. Without SCENES, similar ones are made.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import coron_scores as scores
from detectorist.algorithms.flicker.one_over_f import stripes_of_integrations, stripes_of_ramps
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.ramps.ktc import measure_ktc
from detectorist.algorithms.spectra.outliers import flag_outliers
from measure import cpu_seconds, passes, peak_above

#: Settings of other scenes: the corrections may not be tuned to one.
VARIANTS = {
    "half the stripes": {"rms": 0.4},
    "twice the stripes": {"rms": 1.6},
    "no stripes": {"rms": 1e-6},
    "steeper, 1/f^1.3": {"slope": 1.3},
    "flatter, 1/f^0.7": {"slope": 0.7},
    "5 integrations": {"n_ints": 5},
    "60 integrations of 160 x 160": {"n_ints": 60, "size": 160},
    "640 x 640, 4 integrations": {"n_ints": 4, "size": 640},
    "3 % bad pixels": {"bad_fraction": 0.03},
}

#: Companions put in, one at a time, 3 to 40 sigma strong. Few say little of the worst.
N_COMPANIONS = 60


class Exposure:
    """A scene of integrations and one of ramps, with the calls that correct them."""

    def __init__(self, rates, ramps):
        (self.z, self.t), (self.ramp, self.ramp_truth) = rates, ramps
        self.mask = (self.z["dq"] & 1) > 0
        self.readout = alternating_readout(self.z["data"].shape[-1])
        n_groups = self.ramp["data"].shape[1]
        self.times = float(self.ramp["group_time"]) * np.arange(1, n_groups + 1)

    def ktc(self):
        """Measure the offsets of the ramps."""
        return measure_ktc(self.ramp["data"], self.ramp["groupdq"], self.times, saturation=self.ramp["sat"])

    def outliers(self):
        """Flag outliers across integrations."""
        return flag_outliers(self.z["data"], self.z["err"], self.mask)

    def stripes(self, model_type="flicker", *, cube=None):
        """Estimate the stripes of the integrations, or of `cube` in their place."""
        cube = self.z["data"] if cube is None else cube
        return stripes_of_integrations(cube, self.mask, readout=self.readout, model_type=model_type)

    def companion_changes(self, *, seed, n_trials=N_COMPANIONS):
        """Return what is taken from companions, in sigma."""
        return scores.companion_changes(
            self.z, self.t, lambda cube: self.stripes(cube=cube).stripes, seed=seed, n_trials=n_trials
        )

    def ramp_stripes(self, model_type="flicker"):
        """Estimate the stripes of the ramps."""
        return stripes_of_ramps(
            self.ramp["data"],
            self.ramp["groupdq"],
            self.times,
            np.zeros(self.ramp["data"].shape[-2:], bool),
            readout=self.readout,
            saturation=self.ramp["sat"],
            model_type=model_type,
        )


def load(folder: Path) -> Exposure:
    """Read a scene from its files."""

    def arrays(name):
        with np.load(folder / f"{name}.npz") as stored:
            return {key: stored[key] for key in stored.files}

    return Exposure(
        (arrays("coron_rateints"), arrays("coron_truth")), (arrays("coron_ramp"), arrays("coron_ramp_truth"))
    )


def time_table(exposure: Exposure, title: str) -> Table:
    """Measure CPU time and peak memory."""
    table = Table("correction", "passes", "asked", "peak, MB", title=title)
    for name, asked, call, data in (
        ("1/f on integrations", 2500, exposure.stripes, exposure.z["data"]),
        ("1/f on ramps", 2500, exposure.ramp_stripes, exposure.ramp["data"]),
        ("kTC", 60, exposure.ktc, exposure.ramp["data"]),
        ("outliers over integrations", 150, exposure.outliers, exposure.z["data"]),
    ):
        table.add_row(name, f"{passes(call, [data]):,.0f}", f"<= {asked:,}", f"{peak_above(call) / 1e6:.0f}")
    return table


def quality_table(exposure: Exposure, title: str) -> Table:
    """Measure errors against the truth."""
    z, t, ramp, truth = exposure.z, exposure.t, exposure.ramp, exposure.ramp_truth
    table = Table("quality", "before", "after", "asked", title=title)
    found = exposure.stripes()
    before, after = scores.stripes_left(z, t, z["data"]), scores.stripes_left(z, t, z["data"] - found.stripes)
    table.add_row("1/f on integrations, rows, DN/s", f"{before['rows']:.3f}", f"{after['rows']:.4f}", "<= 0.075")
    table.add_row("1/f on integrations, pixels", f"{before['pixels']:.3f}", f"{after['pixels']:.4f}", "<= 0.40")
    table.add_row("light of the halo changed, %", f"{before['halo_pct']:.2f}", f"{after['halo_pct']:.2f}", "< 0.5")
    taken = np.abs(exposure.companion_changes(seed=1)).max()
    table.add_row(f"companion, most of {N_COMPANIONS} changed, sigma", "", f"{taken:.3f}", "< 0.2")
    nothing = np.zeros(1)
    old = scores.pulls(z, t, z["data"], nothing, nothing)
    new = scores.pulls(z, t, z["data"] - found.stripes, found.variance, found.mean_variance)
    for name, one, other in zip(("integrations", "exposure"), old, new, strict=True):
        table.add_row(f"pull width, rate of {name}", f"{one:.3f}", f"{other:.3f}", "0.95-1.05")
    for model_type in ("savgol", "median", "mean"):
        left = scores.stripes_left(z, t, z["data"] - exposure.stripes(model_type).stripes)
        table.add_row(f"{model_type}: rows / pixels", "", f"{left['rows']:.3f} / {left['pixels']:.3f}", "")
    rows = [
        scores.slope_rows(ramp, truth, data, exposure.times)
        for data in (ramp["data"], ramp["data"] - exposure.ramp_stripes().stripes, ramp["data"] - truth["oneoverf"])
    ]
    table.add_row(
        f"1/f on ramps, rows of the slope ({rows[2]:.3f} without)", f"{rows[0]:.3f}", f"{rows[1]:.4f}", "<= 0.080"
    )
    left, with_jump = scores.offsets_left(ramp, truth, exposure.ktc().offset)
    table.add_row("kTC left, DN", f"{truth['ktc'].std():.1f}", f"{left:.2f}", "<= 13.5")
    table.add_row("kTC left on ramps with a jump, DN", "", f"{with_jump:.2f}", "<= 20")
    caught, false = scores.outliers_found(z, t, exposure.outliers().flagged)
    table.add_row("outliers >= 15 sigma caught", "", f"{100 * caught:.1f} %", ">= 97 %")
    table.add_row("false outliers", "", str(false), "<= 2")
    return table


def variants_table(seed: int) -> Table:
    """Measure errors on scenes unlike the usual one."""
    table = Table(
        "integrations with", "rows", "pixels", "pulls", "halo, %", "outliers caught, false", title=f"seed {seed}"
    )
    for name, settings in VARIANTS.items():
        z, t = scores.make_integrations(seed, **settings)
        exposure = Exposure((z, t), scores.make_ramps(seed, n_ints=1, size=32))
        found = exposure.stripes()
        before, after = scores.stripes_left(z, t, z["data"]), scores.stripes_left(z, t, z["data"] - found.stripes)
        pulls = scores.pulls(z, t, z["data"] - found.stripes, found.variance, found.mean_variance)
        caught, false = scores.outliers_found(z, t, exposure.outliers().flagged)
        table.add_row(
            name,
            f"{before['rows']:.3f} -> {after['rows']:.3f}",
            f"{before['pixels']:.3f} -> {after['pixels']:.3f}",
            f"{pulls[0]:.3f}, {pulls[1]:.3f}",
            f"{after['halo_pct']:.2f}",
            f"{100 * caught:.1f} %, {false}",
        )
    return table


def whole_table(seed: int) -> Table:
    """Measure the CPU time of whole pipelines on a simulated exposure of 10 integrations of 4 groups."""
    from jwst.pipeline import Detector1Pipeline

    from detectorist.crds_source import use_references
    from detectorist.modes.coron.pipeline import Coron1Pipeline
    from detectorist.simulate.coron.scene import CoronScene

    logging.disable(logging.WARNING)
    table = Table(
        "pipeline", "CPU, s", "over the standard one", "asked", title=f"NIRCam, 10 x 4 x 320 x 320, seed {seed}"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = str(CoronScene().write(folder, ints=10, groups=4, rolls=1, dithers=0, seed=seed)[0])
        use_references(Path(folder) / "crds")
        stock, ours = (
            float(np.median(cpu_seconds(lambda pipeline=pipeline: pipeline.call(path))))
            for pipeline in (Detector1Pipeline, Coron1Pipeline)
        )
    table.add_row("standard", f"{stock:.2f}", "", "")
    table.add_row("coronagraphic", f"{ours:.2f}", f"{ours / stock:.2f}", "<= 1.25")
    return table


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", type=Path, help="folders of scenes")
    parser.add_argument("--quality", action="store_true", help="errors against the truth instead of time and memory")
    parser.add_argument("--variants", action="store_true", help="errors on other scenes")
    parser.add_argument("--whole", action="store_true", help="CPU time of the whole pipeline")
    parser.add_argument("--seed", type=int, default=5, help="of the scenes that are made")
    chosen = parser.parse_args()
    console = Console()
    if chosen.whole:
        console.print(whole_table(chosen.seed))
        return
    if chosen.variants:
        console.print(variants_table(chosen.seed))
        return
    for folder in chosen.scenes or [None]:
        made = f"made, seed {chosen.seed}"
        exposure = (
            load(folder) if folder else Exposure(scores.make_integrations(chosen.seed), scores.make_ramps(chosen.seed))
        )
        table = quality_table if chosen.quality else time_table
        console.print(table(exposure, str(folder or made)))


if __name__ == "__main__":
    main()
