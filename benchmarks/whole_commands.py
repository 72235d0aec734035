"""What a user waits for: whole commands, their parts, the standard stage 1 of the same files, and the least there is.

    python benchmarks/whole_commands.py                      # all sizes, simulated here
    python benchmarks/whole_commands.py "LRS 12 x 80" --repeats 5
    python benchmarks/whole_commands.py --small              # in a minute, to see that it works
    python benchmarks/whole_commands.py --store              # into docs/validation/speed.json

Every run is a process of its own: CPU seconds (user and system, of all its workers too), wall seconds and peak memory
of the largest process, medians of --repeats. Times of a busy machine grow; the ratios of its CPU times hardly do, those
of its wall times say something only where nobody else uses it: a command has the cores that are idle.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from detectorist.libraries.idle_cores import processors
from validated import Figure, Rows, store

COMMAND = [sys.executable, "-W", "ignore", "-m", "detectorist"]
STANDARD = """
import sys
from pathlib import Path
from detectorist.crds_source import use_references
use_references(sys.argv[1])
from jwst.pipeline import Detector1Pipeline
for file in sys.argv[3:]:
    Detector1Pipeline.call(file, save_results=True, output_dir=sys.argv[2])
"""


@dataclass(frozen=True)
class Case:
    """A command on simulated exposures, and the share of the standard stage 1's CPU time that it may take."""

    mode: str
    simulate: str
    goal: float
    options: tuple[str, ...] = ()


CASES = {
    "LRS 12 x 80": Case("lrs", "lrs --groups 12 --ints 80 --seed 11", 1 / 5),
    "LRS 60 x 80": Case("lrs", "lrs --groups 60 --ints 80 --seed 12", 1 / 5),
    "LRS 100 x 20": Case("lrs", "lrs --groups 100 --ints 20 --preset long --seed 13", 1 / 5),
    "LRS 65 x 1000, chunked": Case(
        "lrs", "lrs --groups 65 --ints 1000 --segments 4 --seed 14", 1 / 5, ("--chunk-ints", "50")
    ),
    "imaging 9, full frame": Case("imaging", "imaging --groups 9 --seed 15", 1 / 6),
    "coronagraphy 5 x 12 integrations": Case("coron", "coron --ints 12 --seed 16", 1 / 4),
}
SMALL = {
    "LRS 12 x 8": Case("lrs", "lrs --groups 12 --ints 8 --seed 11", 1 / 5),
    "imaging 5, 256 x 256": Case("imaging", "imaging --groups 5 --size 256 --outputs 4 --seed 15", 1 / 6),
    "coronagraphy 5 x 3 integrations": Case("coron", "coron --ints 3 --seed 16", 1 / 4),
}


@dataclass(frozen=True)
class Cost:
    """What a process and its children took."""

    cpu_s: float
    wall_s: float
    peak_bytes: int
    output: str


def measure(arguments: Sequence[str]) -> Cost:
    """Run a process and return its cost; a failure ends the benchmark with what it said."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {text[-2000:]}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024, text)


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the medians of several runs."""
    names = ("cpu_s", "wall_s", "peak_bytes")
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in names), costs[0].output)


def one_pass(files: Sequence[Path]) -> float:
    """Return the CPU seconds of reading every sample of the ramps once and writing it once, warm, in float32."""
    from detectorist.fits_files import read_array

    total = 0.0
    for file in files:
        ramps = np.ascontiguousarray(read_array(file, "SCI"), np.float32)
        out = np.empty_like(ramps)
        times = []
        for _ in range(6):
            began = time.process_time()
            np.add(ramps, np.float32(1), out=out)
            times.append(time.process_time() - began)
        total += statistics.median(times[1:])
    return total


def run_case(name: str, case: Case, folder: Path, repeats: int) -> Iterator[Figure]:
    """Simulate exposures, run all commands on them, and yield what they cost."""
    scene = folder / "scene"
    measure([*COMMAND, "simulate", *case.simulate.split(), "--output-dir", str(scene), "--quiet"])
    files = sorted(scene.glob("*_uncal.fits"))
    crds = str(scene / "crds")
    words = ["run", case.mode, *map(str, files), "--references", crds, *case.options, "--quiet"]
    if (scene / "wisps").is_dir():
        words += ["--wisp-templates", str(scene / "wisps")]
    first = middle([measure([*COMMAND, *words, "--output-dir", str(folder / f"out{n}")]) for n in range(repeats)])
    again = middle([measure([*COMMAND, *words, "--output-dir", str(folder / "out0")]) for _ in range(repeats)])
    (folder / "standard").mkdir()
    standard = [sys.executable, "-W", "ignore", "-c", STANDARD, crds, str(folder / "standard"), *map(str, files)]
    stock = middle([measure(standard) for _ in range(repeats)])
    yield Figure(name, "whole command, CPU s", first.cpu_s, peer=stock.cpu_s)
    yield Figure(name, "whole command, wall s", first.wall_s, peer=stock.wall_s)
    yield Figure(name, "whole command, peak memory, GB", first.peak_bytes / 1e9, peer=stock.peak_bytes / 1e9)
    yield Figure(name, "CPU time over that of the standard stage 1", first.cpu_s / stock.cpu_s, f"≤ {case.goal:.2f}")
    ratio = first.wall_s / stock.wall_s
    yield Figure(
        name, f"wall time over that of the standard stage 1, {processors()} cores", ratio, f"≤ {case.goal:.2f}"
    )
    yield Figure(name, "again, nothing to do, CPU s", again.cpu_s)
    with ProcessPoolExecutor(1, get_context("spawn")) as other:  # a child's peak memory begins at its parent's
        yield Figure(name, "one pass over the ramps, CPU s", other.submit(one_pass, files).result())
    yield from parts(name, words, files, folder / "parts")


def parts(name: str, words: Sequence[str], files: Sequence[Path], target: Path) -> Iterator[Figure]:
    """Yield where the CPU time goes; of several exposures that are reduced one by one, for the first."""
    if words[1] != "lrs":
        words = [word for word in words if word not in map(str, files[1:])]
    script = str(Path(__file__).with_name("command_parts.py"))
    cost = measure([sys.executable, "-W", "ignore", script, *words, "--output-dir", str(target)])
    told = json.loads(cost.output.splitlines()[-1])
    for part, seconds in sorted(told["parts"].items(), key=lambda item: -item[1]):
        yield Figure(name, f"part: {part}, CPU s", seconds)


def show(rows: Rows) -> Table:
    """Return a table of all figures."""
    table = Table("case", "what", "measured", "standard", "asked", box=None)
    last = ""
    for row in rows:
        for value in row.values.values():
            peer = "" if row.peer is None else row.form.format(row.peer)
            table.add_row("" if row.topic == last else row.topic, row.what, row.form.format(value), peer, row.wanted)
            last = row.topic
    return table


def main() -> None:
    """Measure the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="small exposures, once")
    parser.add_argument("--folder", type=Path, help="for scenes and products; by default a temporary one")
    parser.add_argument("--store", action="store_true", help="write docs/validation/speed.json")
    arguments = parser.parse_args()
    known = SMALL if arguments.small else CASES
    unknown = set(arguments.cases) - set(known)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: one of {', '.join(known)} is needed")
    rows = Rows()
    for name in arguments.cases or known:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            found = run_case(name, known[name], Path(folder), 1 if arguments.small else arguments.repeats)
            rows.collect("simulated", found)
    Console(width=140).print(show(rows))
    if arguments.store:
        print(store(rows, "speed", script="python benchmarks/whole_commands.py", peer="jwst Detector1Pipeline"))


if __name__ == "__main__":
    main()
