"""How often the report raises a concern on scenes of an independent generator: as they are, and spoiled on purpose.

    python benchmarks/concerns_elsewhere.py FOLDER [--mode lrs] [--seeds 4 12] [--quick] [--json FILE]

FOLDER holds the generator as a package `scenes` (modules lrs, imaging, coron, each with a command `OUT --seed N`); by
default the one that the environment variable DETECTORIST_SCENES names. Every scene is reduced with the default recipe,
which should raise no concern (false alarms), and with one correction left out or misled, which should raise one
(missed). A concern of any check counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detectorist.campaign.api import reduce
from detectorist.modes import load_mode
from detectorist.modes.exposure import Exposure
from detectorist.modes.job import DONE
from detectorist.report.quality_checks import find_suspects

#: Spoiled reductions of each mode: what is the matter -> settings.
SPOILED: dict[str, dict[str, tuple[str, ...]]] = {
    "lrs": {
        "aperture beside the trace": (
            "extract_1d_optimal.trace_position=constant",
            "extract_1d_optimal.aperture_center=30",
        ),
        "gain twice too large": ("set_custom_gain.skip=false", "set_custom_gain.gain_value=7.8"),
        "cosmic rays left": ("jump.skip=true", "clean_outliers.outlier_threshold=1000.0"),
    },
    "imaging": {
        "1/f noise left": ("stripes.skip=true",),
        "wisps left": ("wisps.skip=true",),
        "cosmic rays left": ("jump.skip=true",),
    },
    "coron": {
        "1/f noise left": ("subtract_1overf.skip=true",),
        "cosmic rays left": ("jump.skip=true",),
    },
}
#: Arguments with which a scene is quick to make and to reduce.
QUICK = {"lrs": ("--ints", "20"), "imaging": ("--detectors", "NRCB4"), "coron": ()}


@dataclass
class Count:
    """Exposures that a concern was raised on, of all, and its words."""

    raised: int = 0
    total: int = 0
    words: list[str] = field(default_factory=list)

    def add(self, reasons: Sequence[str]) -> None:
        """Count an exposure with the reasons for concern."""
        self.total += 1
        self.raised += bool(reasons)
        self.words += reasons


def make_scene(generator: Path, mode: str, target: Path, seed: int, *, quick: bool) -> None:
    """Let the generator make a scene."""
    command = [
        sys.executable,
        "-m",
        f"scenes.{mode}",
        str(target),
        "--seed",
        str(seed),
        *(QUICK[mode] if quick else ()),
    ]
    subprocess.run(command, cwd=generator, check=True, stdout=subprocess.DEVNULL)


def concerns_of(mode: str, scene: Path, out: Path, settings: Sequence[str]) -> dict[str, list[str]]:
    """Reduce a scene and return {exposure: reasons for concern}; one that fails is a concern, too."""
    overrides = list(settings)
    if mode == "imaging" and (scene / "wisps").is_dir():
        overrides.insert(0, f"wisps.template_dir={json.dumps(str(scene / 'wisps'))}")
    files = sorted(scene.glob("*_uncal.fits"))
    section, found = load_mode(mode).section(), {}
    entries = reduce(mode, files, out, references=scene / "crds", settings=overrides)
    for name, entry in entries.items():
        numbers = entry.record.steps.get("exposure", {})
        exposure = Exposure(name, mode, entry.state, out, message=entry.record.message, numbers=numbers)
        # Each by itself: what exposures of one run are to each other is not judged here.
        suspects = find_suspects([exposure], section.columns, section.checks)
        found[name] = [concern.words for suspect in suspects for concern in suspect.concerns]
        assert entry.state == DONE or found[name]
    return found


def count(mode: str, generator: Path, seeds: Sequence[int], *, quick: bool) -> dict[str, Count]:
    """Return {what is the matter: count} over the seeds; "" for nothing."""
    counts = {what: Count() for what in ("", *SPOILED[mode])}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            scene = Path(folder) / "scene"
            make_scene(generator, mode, scene, seed, quick=quick)
            for what, settings in {"": (), **SPOILED[mode]}.items():
                out = Path(folder) / (what.replace(" ", "_").replace("/", "_") or "good")
                for reasons in concerns_of(mode, scene, out, settings).values():
                    counts[what].add(reasons)
    return counts


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path, nargs="?", default=os.environ.get("DETECTORIST_SCENES"))
    parser.add_argument("--mode", choices=SPOILED, action="append")
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    parser.add_argument("--quick", action="store_true", help="small scenes")
    parser.add_argument("--json", type=Path, help="write the counts there")
    chosen = parser.parse_args()
    if chosen.generator is None:
        parser.error("no generator: name its folder, or set DETECTORIST_SCENES")
    told = {}
    for mode in chosen.mode or SPOILED:
        for what, counted in count(mode, Path(chosen.generator), chosen.seeds, quick=chosen.quick).items():
            print(f"{mode:8} {what or 'good':28} concern on {counted.raised} of {counted.total}", flush=True)
            told[f"{mode}: {what or 'good'}"] = [counted.raised, counted.total, sorted(set(counted.words))]
            if bool(what) != bool(counted.raised):
                print("    " + "\n    ".join(sorted(set(counted.words)) or ["nothing was said"]))
    if chosen.json:
        chosen.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
