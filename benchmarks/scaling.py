"""How cost grows: with exposures of a run, with integrations of an exposure, and with workers.

    python benchmarks/scaling.py exposures                      # 30 to 480 exposures that do nothing
    python benchmarks/scaling.py exposures --sizes 100 400 1600
    python benchmarks/scaling.py integrations                   # LRS of 12 groups in chunks of 20 integrations
    python benchmarks/scaling.py integrations --sizes 20 200 2000 --costs costs.json --store
    python benchmarks/scaling.py workers                        # a run of 690 exposures that do nothing, per exposure

Of workers: the CPU time of the run's own process, which plans, hands out and keeps the ledger. Local workers and those
of a Dask cluster are real processes on this machine; simulated ones take no time of their own, so that hundreds can be
busy at once.

The exponent p of cost ~ n^p is the slope between the two largest sizes: fixed costs hide it in small ones. A cost in
proportion has 1, one that does not grow 0, a quadratic one 2.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rich.console import Console

from campaign import EmptyMode, _cluster
from detectorist.campaign import run as runs
from detectorist.campaign.local_pool import PoolEvent
from detectorist.campaign.plan import PlanRequest, plan_run
from detectorist.campaign.run import Execution, run_campaign
from detectorist.modes.job import DONE, Job, JobRecord
from detectorist.report.page import write_report
from validated import Figure, Rows, store
from whole_commands import COMMAND, measure, show

CHUNK_INTS = 20
#: Exposures of a run of which the cost of workers is measured.
N_EXPOSURES = 690


def cpu() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def taken(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    began = cpu()
    call()
    return cpu() - began


def empty_request(folder: Path, count: int) -> PlanRequest:
    """Return what asks for a run of so many exposures that do nothing."""
    (folder / "raw").mkdir()
    for number in range(count):
        (folder / "raw" / f"x{number:05d}{EmptyMode.suffixes[0]}").write_text(str(number))
    time.sleep(2.1)  # inputs older than two seconds are known by their time stamps from then on
    return PlanRequest("campaign:EmptyMode", sorted((folder / "raw").iterdir()), folder / "out")


def of_exposures(count: int) -> dict[str, float]:
    """Return what a run of so many exposures costs that do nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = empty_request(folder, count)
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


class SimulatedPool:
    """Workers that take no time: each job ends after a few others, in no order, as those of many machines do."""

    def __init__(self, size: int):
        self.size = size
        self._running: list[Job] = []
        self._random = random.Random(size)

    @property
    def free(self) -> int:
        """How many more jobs can be started now."""
        return self.size - len(self._running)

    def prepare(self, mode: str, count: int) -> None:
        """Do nothing."""

    def start(self, job: Job) -> None:
        """Take a job."""
        self._running.append(job)

    def wait(self, timeout_s: float) -> list[PoolEvent]:
        """Return the records of one job in ten, at least one."""
        ended = self._random.sample(self._running, -(-len(self._running) // 10))
        now = time.time()
        for job in ended:
            self._running.remove(job)
        return [PoolEvent("record", job.name, JobRecord(job.name, DONE, started=now, finished=now)) for job in ended]

    def close(self) -> None:
        """Do nothing."""


def of_workers(count: int) -> dict[str, float]:
    """Return milliseconds of CPU time that the process of a run takes for an exposure with so many workers."""
    return {
        f"{kind} workers": 1000 * own_time(count, kind) / N_EXPOSURES
        for kind in ("simulated", *(("local",) if count <= 2 else ()), *(("Dask",) if count == 2 else ()))
    }


def own_time(count: int, kind: str) -> float:
    """Return the CPU seconds of this process in a run of exposures that do nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = plan_run(empty_request(folder, N_EXPOSURES))
        began = time.process_time()
        if kind == "simulated":
            with patch.object(runs._Run, "_make_pool", lambda run: SimulatedPool(count)):
                run_campaign(plan, Execution(workers=count))
        elif kind == "Dask":
            with _cluster(folder) as address:
                began = time.process_time()
                run_campaign(plan, Execution(scheduler=address))
        else:
            run_campaign(plan, Execution(workers=count))
        return time.process_time() - began


def figures_of_workers(sizes: Sequence[int], costs: Sequence[dict[str, float]]) -> Iterator[Figure]:
    """Yield the cost of an exposure for each kind and number of workers, and how it grows with the number."""
    for size, cost in zip(sizes, costs, strict=True):
        for kind, value in cost.items():
            yield Figure("workers", f"{kind}, {size}, CPU ms an exposure", value)
    values = [cost["simulated workers"] for cost in costs]
    slope = np.log(values[-1] / values[-2]) / np.log(sizes[-1] / sizes[-2])
    yield Figure("workers", "simulated workers: exponent", float(slope), "≤ 0.1", "{:.2f}")


def figures(topic: str, sizes: Sequence[int], costs: Sequence[dict[str, float]]) -> Iterator[Figure]:
    """Yield the costs of all sizes, and the exponent between the two largest."""
    for what in costs[0]:
        values = [cost[what] for cost in costs]
        unit = "" if what.endswith("GB") else ", CPU s"
        for size, value in zip(sizes, values, strict=True):
            yield Figure(topic, f"{what}, {size}{unit}", value)
        slope = np.log(values[-1] / values[-2]) / np.log(sizes[-1] / sizes[-2])
        yield Figure(topic, f"{what}: exponent", float(slope), "≤ 1.1", "{:.2f}")


def measured(function: Callable[[int], dict[str, float]], sizes: Sequence[int], file: Path | None) -> list[dict]:
    """Return the costs of all sizes; those in a file are not measured again, and others are added to it."""
    known = json.loads(file.read_text()) if file is not None and file.is_file() else {}
    for size in sizes:
        if str(size) not in known:
            known[str(size)] = function(size)
            if file is not None:
                file.write_text(json.dumps(known))
    return [known[str(size)] for size in sizes]


def main() -> None:
    """Measure one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("exposures", "integrations", "workers"))
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--costs", type=Path, help="file of costs measured before, which takes those of other sizes")
    parser.add_argument("--store", action="store_true", help="write docs/validation/scaling.json")
    arguments = parser.parse_args()
    usual = {
        "exposures": ((30, 120, 480), of_exposures),
        "integrations": ((20, 80, 320), of_integrations),
        "workers": ((1, 2, 20, 200), of_workers),
    }
    default, function = usual[arguments.what]
    sizes = sorted(arguments.sizes or default)
    if len(sizes) < 2:
        parser.error("two sizes are needed for an exponent")
    rows = Rows()
    costs = measured(function, sizes, arguments.costs)
    workers = arguments.what == "workers"
    rows.collect("simulated", figures_of_workers(sizes, costs) if workers else figures(arguments.what, sizes, costs))
    Console(width=140).print(show(rows))
    if arguments.store:
        print(store(rows, "scaling", script="python benchmarks/scaling.py"))


if __name__ == "__main__":
    main()
