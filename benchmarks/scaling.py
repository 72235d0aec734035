"""How cost grows: with the number of exposures of a run, and with the number of integrations of an exposure.

    python benchmarks/scaling.py exposures                      # 30 to 480 exposures that do nothing
    python benchmarks/scaling.py exposures --sizes 100 400 1600
    python benchmarks/scaling.py integrations                   # LRS of 12 groups in chunks of 20 integrations
    python benchmarks/scaling.py integrations --sizes 20 200 2000 --store

The exponent p of cost ~ n^p is the slope between the two largest sizes: fixed costs hide it in small ones. A cost in
proportion has 1, one that does not grow 0, a quadratic one 2.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from campaign import EmptyMode
from detectorist.campaign.plan import PlanRequest, plan_run
from detectorist.campaign.run import Execution, run_campaign
from detectorist.report.page import write_report
from validated import Figure, Rows, store
from whole_commands import COMMAND, measure, show

CHUNK_INTS = 20


def cpu() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def taken(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    began = cpu()
    call()
    return cpu() - began


def of_exposures(count: int) -> dict[str, float]:
    """Return what a run of so many exposures costs that do nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raw").mkdir()
        for number in range(count):
            (folder / "raw" / f"x{number:05d}{EmptyMode.suffixes[0]}").write_text(str(number))
        time.sleep(2.1)  # inputs older than two seconds are known by their time stamps from then on
        request = PlanRequest("campaign:EmptyMode", sorted((folder / "raw").iterdir()), folder / "out")
        return {
            "plan of a new run": taken(lambda: plan_run(request)),
            "run, one worker": taken(lambda: run_campaign(plan_run(request), Execution(workers=1))),
            "plan of a run that is done": taken(lambda: plan_run(request)),
            "report": taken(lambda: write_report(folder / "out")),
        }


def of_integrations(count: int) -> dict[str, float]:
    """Return what an LRS exposure of so many integrations costs, stage 1 in chunks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate = ["simulate", "lrs", "--groups", "12", "--ints", str(count), "--segments", "1", "--seed", "17"]
        measure([*COMMAND, *simulate, "--output-dir", str(folder / "scene"), "--quiet"])
        files = map(str, (folder / "scene").glob("*_uncal.fits"))
        how = ["--references", str(folder / "scene" / "crds"), "--chunk-ints", str(CHUNK_INTS), "--quiet"]
        cost = measure([*COMMAND, "run", "lrs", *files, *how, "--output-dir", str(folder / "out")])
        return {"whole command": cost.cpu_s, "peak memory, GB": cost.peak_bytes / 1e9}


def figures(topic: str, sizes: Sequence[int], costs: Sequence[dict[str, float]]) -> Iterator[Figure]:
    """Yield the costs of all sizes, and the exponent between the two largest."""
    for what in costs[0]:
        values = [cost[what] for cost in costs]
        unit = "" if what.endswith("GB") else ", CPU s"
        for size, value in zip(sizes, values, strict=True):
            yield Figure(topic, f"{what}, {size}{unit}", value)
        slope = np.log(values[-1] / values[-2]) / np.log(sizes[-1] / sizes[-2])
        yield Figure(topic, f"{what}: exponent", float(slope), "≤ 1.1", "{:.2f}")


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("exposures", "integrations"))
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--store", action="store_true", help="write docs/validation/scaling.json")
    arguments = parser.parse_args()
    usual = {"exposures": ((30, 120, 480), of_exposures), "integrations": ((20, 80, 320), of_integrations)}
    default, function = usual[arguments.what]
    sizes = sorted(arguments.sizes or default)
    if len(sizes) < 2:
        parser.error("two sizes are needed for an exponent")
    rows = Rows()
    rows.collect("simulated", figures(arguments.what, sizes, [function(size) for size in sizes]))
    Console(width=140).print(show(rows))
    if arguments.store:
        print(store(rows, "scaling", script="python benchmarks/scaling.py"))


if __name__ == "__main__":
    main()
