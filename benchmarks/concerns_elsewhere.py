"""How often the report raises a concern on scenes of an independent generator: as they are, and spoiled on purpose.

    python benchmarks/concerns_elsewhere.py FOLDER --mode lrs --seeds 301 302 --out pieces/lrs_1.json
    python benchmarks/concerns_elsewhere.py --mode lrs --reduced OUT ... --out pieces/lrs_2.json
    python benchmarks/concerns_elsewhere.py --own --mode imaging --seeds 501 502 --out pieces/own_1.json
    python benchmarks/concerns_elsewhere.py --table pieces/*.json     # docs/validation/concerns_elsewhere.json

FOLDER holds the generator as a package `scenes` (modules lrs, imaging, coron, each with a command `OUT --seed N`); by
default the one that the environment variable DETECTORIST_SCENES names. --own takes scenes of our simulator instead,
smaller and so quicker, with other sizes and strengths for every seed. Every scene is reduced with the default recipe,
which should raise no concern (false alarms); --reduced takes folders of such reductions that are there. Products are
then spoiled (`spoiled_products.py`), several times with random strengths; and, with --whole, scenes are reduced again
with one correction left out. Those should raise a concern (missed where none is). A concern of any check counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.campaign.api import reduce
from detectorist.campaign.ledger import Ledger
from detectorist.modes import load_mode
from detectorist.modes.exposure import Exposure
from detectorist.modes.job import DONE
from detectorist.report.quality_checks import find_suspects
from detectorist.simulate.coron.scene import CoronScene
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.lrs.scene import LrsScene
from spoiled_products import PRODUCTS, SPOILS
from validated import Rows, store

#: Reductions with one correction left out or misled: what is the matter -> settings.
LEFT_OUT: dict[str, dict[str, tuple[str, ...]]] = {
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
QUICK = {"lrs": ("--ints", "40"), "imaging": ("--detectors", "NRCB4"), "coron": ()}
#: Wisps are in the images of one of the two detectors only.
WISPS, WISPY_DETECTOR = "wisps left", "nrcb4"
#: Names of the modes in the tables.
TITLES = {"lrs": "MIRI LRS", "imaging": "NIRCam imaging", "coron": "NIRCam coronagraphy"}

#: What names of exposures of our simulator begin with.
OWN = "own"

#: One case: mode, what is the matter ("" for nothing), exposure, reasons for concern.
Case = tuple[str, str, str, list[str]]


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


def simulate_scene(mode: str, target: Path, seed: int) -> None:
    """Simulate a small scene, its size and strengths drawn from the seed."""
    rng = np.random.default_rng(seed)
    if mode == "lrs":
        scene = LrsScene().with_star(mag=rng.uniform(8.8, 10)).with_transit(depth=rng.uniform(0.004, 0.02))
        scene.write(target, ints=int(rng.integers(24, 60)), groups=int(rng.integers(12, 30)), segments=1, seed=seed)
    elif mode == "imaging":
        name = str(rng.choice(["NRCA3", "NRCA4", "NRCB3", "NRCB4", "NRCA1", "NRCB1"]))
        size = int(rng.choice([640, 768, 1024]))
        scene = ImagingScene().with_detector(name=name, size=size, outputs=4, pattern="SHALLOW4")
        scene = scene.with_("sky", level_dn_s=rng.uniform(0.1, 1)).with_("wisps", strengths=(rng.uniform(0.3, 1),) * 2)
        scene.write(target, groups=int(rng.integers(5, 9)), seed=seed)
    else:
        scene = CoronScene().with_("star", brightness=rng.uniform(0.3, 2))
        scene.write(target, ints=int(rng.integers(6, 14)), rolls=1, dithers=1, seed=seed)


def reduce_scene(mode: str, scene: Path, out: Path, settings: Sequence[str] = ()) -> Iterator[tuple[str, Any]]:
    """Reduce a scene and yield (name, ledger entry) of each exposure."""
    overrides = list(settings)
    if mode == "imaging" and (scene / "wisps").is_dir():
        overrides.insert(0, f"wisps.template_dir={json.dumps(str(scene / 'wisps'))}")
    files = sorted(scene.glob("*_uncal.fits"))
    yield from reduce(mode, files, out, references=scene / "crds", settings=overrides).items()


def reasons_for_concern(
    mode: str, name: str, numbers: dict[str, Any], state: str = DONE, message: str = ""
) -> list[str]:
    """Return the reasons for concern of one exposure by itself; one that was not reduced is a concern, too."""
    section = load_mode(mode).section()
    exposure = Exposure(name, mode, state, Path(), message=message, numbers=numbers)
    found = find_suspects([exposure], section.columns, section.checks)
    return [concern.words for suspect in found for concern in suspect.concerns]


def cases_of(mode: str, scene: Path, out: Path, seed: int, draws: int) -> Iterator[Case]:
    """Reduce a scene with the default recipe, spoil its products, and yield what the report says of all."""
    for name, entry in reduce_scene(mode, scene, out):
        steps = dict(entry.record.steps)
        numbers = steps.pop("exposure", {})
        yield mode, "", f"{seed} {name}", reasons_for_concern(mode, name, numbers, entry.state, entry.record.message)
        if entry.state == DONE:
            found = PRODUCTS[mode].read(Path(entry.job.output_dir), name, steps)
            yield from cases_spoiled(mode, found, name, seed, draws)


def cases_spoiled(mode: str, found: Any, name: str, seed: int, draws: int) -> Iterator[Case]:
    """Spoil the products of one exposure in every way, so many times each."""
    for number, (what, spoil) in enumerate(SPOILS[mode].items()):
        rng = np.random.default_rng([seed, number])
        for _ in range(draws):
            yield mode, what, f"{seed} {name}", reasons_for_concern(mode, name, spoil(found, rng).measure())


def cases_reduced(mode: str, folder: Path, number: int, draws: int) -> Iterator[Case]:
    """Yield what the report says of reductions that are there, measured again, and of their products spoiled."""
    with Ledger(folder, read_only=True) as ledger:
        entries = ledger.entries()
    for name, entry in entries.items():
        if entry.job.mode != mode or entry.state != DONE:
            continue
        steps = {part: numbers for part, numbers in entry.record.steps.items() if part != "exposure"}
        found = PRODUCTS[mode].read(Path(entry.job.output_dir), name, steps)
        yield mode, "", f"{folder.name} {name}", reasons_for_concern(mode, name, found.measure())
        yield from cases_spoiled(mode, found, name, number, draws)


def cases_left_out(mode: str, scene: Path, folder: Path, seed: int) -> Iterator[Case]:
    """Reduce a scene again and again with one correction left out."""
    for number, (what, settings) in enumerate(LEFT_OUT[mode].items()):
        for name, entry in reduce_scene(mode, scene, folder / str(number), settings):
            if what == WISPS and not name.endswith(WISPY_DETECTOR):
                continue
            numbers = entry.record.steps.get("exposure", {})
            words = reasons_for_concern(mode, name, numbers, entry.state, entry.record.message)
            yield mode, f"whole reduction: {what}", f"{seed} {name}", words


def measure(chosen: argparse.Namespace) -> Iterator[Case]:
    """Yield the cases of reductions that are there, or else of scenes of all seeds."""
    for number, folder in enumerate(chosen.reduced or ()):
        yield from cases_reduced(chosen.mode, folder, number, chosen.draws)
    for seed in () if chosen.reduced else chosen.seeds:
        with tempfile.TemporaryDirectory() as folder:
            scene = Path(folder) / "scene"
            if chosen.own:
                simulate_scene(chosen.mode, scene, seed)
            else:
                make_scene(Path(chosen.generator), chosen.mode, scene, seed, quick=not chosen.full)
            yield from cases_of(chosen.mode, scene, Path(folder) / "out", seed, chosen.draws)
            if chosen.whole:
                yield from cases_left_out(chosen.mode, scene, Path(folder), seed)


def tell(cases: Iterable[Case]) -> None:
    """Print how often a concern was raised, and the words where it should not or should have been."""
    counts: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        counts.setdefault(case[:2], []).append(case)
    for (mode, what), some in counts.items():
        raised = sum(bool(case[3]) for case in some)
        print(f"{mode:8} {what or 'good':78} concern on {raised} of {len(some)}")
        for _, _, name, words in some:
            if bool(words) != bool(what):
                print(f"    {name}: {'; '.join(words) or 'nothing was said'}")


def tabulate(cases: Iterable[Case]) -> Rows:
    """Return the shares of false alarms and of faults missed."""
    rows, counts, sources = Rows(), {}, {}
    for mode, what, name, words in cases:
        counts.setdefault((mode, what), []).append(bool(words))
        if not what:
            source = "our simulator" if name.startswith(OWN) else "an independent generator"
            sources.setdefault((mode, source), []).append(bool(words))
    for mode, title in TITLES.items():
        good = counts.get((mode, ""), [])
        bad = {what: told for (one, what), told in counts.items() if one == mode and what}
        if good:
            rows.add("share", mode, f"{len(good)} good exposures: false alarms", "{:.1%}", "≤ 5 %", np.mean(good))
        for source, told in ((source, told) for (one, source), told in sources.items() if one == mode):
            rows.add("share", mode, f"of {source}, {len(told)}: false alarms", "{:.1%}", "", np.mean(told))
        if bad:
            every = np.concatenate(list(bad.values()))
            rows.add("share", mode, f"{every.size} spoiled ones: missed", "{:.1%}", "≤ 5 %", 1 - every.mean())
        for what, told in bad.items():
            rows.add("share", f"{mode}_faults", f"{what} ({len(told)}): missed", "{:.0%}", "", 1 - np.mean(told))
        if good or bad:
            print(f"{title}: {len(good)} good, {sum(map(len, bad.values()))} spoiled")
    return rows


def main() -> None:
    """Count, and keep the cases; or make the table of those that were kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path, nargs="?", default=os.environ.get("DETECTORIST_SCENES"))
    parser.add_argument("--mode", choices=SPOILS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    parser.add_argument("--own", action="store_true", help="scenes (or reductions of such) of our own simulator")
    parser.add_argument("--full", action="store_true", help="scenes as large as the generator makes them")
    parser.add_argument("--whole", action="store_true", help="reduce again with corrections left out")
    parser.add_argument("--draws", type=int, default=1, help="how often products are spoiled in each way")
    parser.add_argument("--reduced", type=Path, nargs="+", help="output folders of the default recipe")
    parser.add_argument("--out", type=Path, help="keep the cases in this file (JSON)")
    parser.add_argument("--table", type=Path, nargs="+", help="make the table of the documentation from such files")
    chosen = parser.parse_args()
    if chosen.table:
        kept = [tuple(case) for path in chosen.table for case in json.loads(path.read_text())]
        tell(kept)
        print(store(tabulate(kept), "concerns_elsewhere", script="benchmarks/concerns_elsewhere.py"))
        return
    if chosen.mode is None or (chosen.generator is None and not chosen.reduced and not chosen.own):
        parser.error("name a --mode and the folder of the generator (or set DETECTORIST_SCENES)")
    cases = []
    for mode, what, name, words in measure(chosen):
        cases.append((mode, what, f"{OWN} {name}" if chosen.own else name, words))
        if chosen.out:
            chosen.out.write_text(json.dumps(cases, indent=0))
    tell(cases)


if __name__ == "__main__":
    main()
