"""The default LRS recipe with the electronics that are assumed, and with those of a real array.

    python benchmarks/lrs_electronics.py [--seeds 3] [--ints 40] [--groups 20] [--only SETTING SEED]

Every exposure is simulated with the sizes of decay, first and last group, interference and drifts that the simulator
assumes, and with those of ground ramps (`detectorist simulate lrs --detector measured`); the latter is reduced a second
time with the reset decay, which the reference files know exactly, left in, and simulated a second time with the same
photons and reads and no electronic signal: what is alike in both rows is no effect of the electronics. Writes
docs/validation/lrs_electronics.json and the page beside it; `--only` makes one row, and keeps the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.modes.lrs.reduction import reduce_exposure
from detectorist.reduction.runner import Request
from detectorist.simulate.lrs.comparison import compare_lrs
from detectorist.simulate.lrs.scene import LrsScene

TARGET = Path(__file__).resolve().parent.parent / "docs" / "validation" / "lrs_electronics.json"
ELECTRONIC = ("reset_decay", "first_frame", "last_frame", "emi", "drift")
#: Setting: the scene, and settings of the recipe.
SETTINGS: dict[str, tuple[LrsScene, tuple[str, ...]]] = {
    "assumed": (LrsScene(), ()),
    "measured": (LrsScene().with_measured_electronics(), ()),
    "same noise, no electronics": (LrsScene().with_measured_electronics().without(*ELECTRONIC), ()),
    "measured, decay left in": (LrsScene().with_measured_electronics(), ("reset.skip=true",)),
}
COLUMNS = (
    ("white light / expected", "white", ".2f"),
    ("depth error (sigma)", "depth_sigma", "+.1f"),
    ("chi2 per bin, own errors", "chi2", ".2f"),
    ("CPU (ms per integration)", "cpu_ms", ".0f"),
)


def measure(setting: str, seed: int, *, ints: int, groups: int) -> dict[str, Any]:
    """Simulate, reduce and compare one exposure."""
    scene, changes = SETTINGS[setting]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        files = scene.write(raw, ints=ints, groups=groups, segments=1, seed=seed)
        start = time.process_time()
        request = Request(files, Path(folder) / "out", references=str(raw / "crds"), settings=list(changes))
        spectra = reduce_exposure(request).spectra
        seconds = time.process_time() - start
        got = compare_lrs(spectra.dataset, raw / "truth.nc")
    return {
        "setting": setting,
        "seed": seed,
        "groups": groups,
        "ints": ints,
        "white": got.scatter / got.expected_scatter,
        "depth_sigma": got.mean_depth_pull,
        "chi2": got.chi2 / got.depth.size,
        "cpu_ms": 1e3 * seconds / ints,
    }


def page_of(found: dict[str, Any]) -> str:
    """Return the table as a page."""
    names = [name for name, *_ in COLUMNS]
    lines = [
        "# MIRI LRS with the electronics of a real array",
        "",
        f"Measured {found['date']} by `benchmarks/lrs_electronics.py`, with the default recipe. *Assumed* is the "
        "simulator's default, *measured* has the sizes and signs of ground ramps ({doc}`../simulator`). *Expected* is "
        "the noise of a perfect 9-pixel box on the same photons and reads; an optimal extraction can be below it. The "
        "scatter of n integrations is known to 1 / sqrt(2 n) only, chi2 per bin to 0.32. *Same noise, no electronics* "
        "has the photons and reads of the measured array and no electronic signal: chi2 that is alike in both comes "
        "from the noise drawn. *Decay left in* is the measured array with the reset step skipped: the recipe depends "
        "on that step. The first integration, whose decay is larger and slower, then comes out 0.5 % low, for the "
        "linearity correction takes the decay for light; a concern says so, and it is to be left out of fits.",
        "",
        "| electronics | seed | integrations, groups | " + " | ".join(names) + " |",
        "|---" * (len(names) + 3) + "|",
    ]
    for row in found["cases"]:
        cells = [format(row[key], form) for _, key, form in COLUMNS]
        lines.append(f"| {row['setting']} | {row['seed']} | {row['ints']}, {row['groups']} | {' | '.join(cells)} |")
    for setting in SETTINGS:
        rows = [row for row in found["cases"] if row["setting"] == setting]
        if rows:
            cells = [format(float(np.mean([row[key] for row in rows])), form) for _, key, form in COLUMNS]
            lines.append(f"| {setting}, mean | | | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ints", type=int, default=40)
    parser.add_argument("--groups", type=int, default=20)
    parser.add_argument("--only", nargs=2, metavar=("SETTING", "SEED"))
    wanted = parser.parse_args()
    everything = [(setting, seed) for seed in range(1, wanted.seeds + 1) for setting in SETTINGS]
    chosen = [(wanted.only[0], int(wanted.only[1]))] if wanted.only else everything
    found: dict[str, Any] = {
        "cases": json.loads(TARGET.read_text())["cases"] if wanted.only and TARGET.exists() else []
    }
    for setting, seed in chosen:
        row = measure(setting, seed, ints=wanted.ints, groups=wanted.groups)
        print(json.dumps(row), flush=True)
        kept = [one for one in found["cases"] if (one["setting"], one["seed"]) != (setting, seed)]
        found = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "cases": sorted([*kept, row], key=_order)}
        TARGET.write_text(json.dumps(found, indent=1) + "\n")
        TARGET.with_suffix(".md").write_text(page_of(found))


def _order(row: dict[str, Any]) -> tuple[int, int]:
    return list(SETTINGS).index(row["setting"]), row["seed"]


if __name__ == "__main__":
    main()
