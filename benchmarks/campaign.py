"""What a campaign costs beside its exposures: scheduling, resuming, two workers against one, memory.

python benchmarks/campaign.py overhead           690 exposures that do nothing, on two local workers
python benchmarks/campaign.py overhead --dask    the same on a Dask scheduler and two workers started here
python benchmarks/campaign.py speedup            real exposures on one worker and on two, products compared
python benchmarks/campaign.py memory INTSxGROUPS [--chunk-ints N]   predicted and measured peak of one exposure
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from detectorist.campaign.ledger import Ledger
from detectorist.campaign.modes import Mode, Outcome
from detectorist.campaign.plan import Wish, make_jobs, make_plan
from detectorist.campaign.run import Execution, run_campaign
from detectorist.pipelines.products import write_text


class EmptyMode(Mode):
    """Writes one small file per exposure: what is left is the cost of the campaign itself."""

    name = "empty"
    suffixes = ("_uncal.txt",)

    def exposure_of(self, path: Path) -> str:
        """Return the name of the file."""
        return path.name.removesuffix("_uncal.txt")

    def check(self, job) -> None:
        """Accept everything."""

    def reduce(self, job, progress) -> Outcome:
        """Copy the input."""
        return Outcome([write_text(Path(job.files[0]).read_text(), Path(job.output_dir) / "copy.txt")])


def overhead(count: int, *, dask: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "raw").mkdir()
        for number in range(count):
            (folder / "raw" / f"x{number:04d}_uncal.txt").write_text(str(number))
        time.sleep(2.1)  # inputs older than two seconds are known by their time stamps from then on
        with _cluster(folder) if dask else _no_cluster() as address:
            execution = Execution(workers=None if dask else 2, scheduler=address)
            seconds, growth, between = _timed(folder, execution)
            print(f"{count} exposures in {seconds:.1f} s: {1000 * seconds / count:.1f} ms each (asked: 50)")
            print(f"from the first that ended to the last {1000 * between:.1f} ms each: the rest is starting up")
            print(f"memory of the run grew by {growth / 1e6:.1f} MB from the first tenth to the end")
            seconds, *_ = _timed(folder, execution)
            print(f"resumed after it was finished: {seconds:.1f} s (asked: 10), nothing done again")


def _timed(folder: Path, execution: Execution) -> tuple[float, float, float]:
    """Return seconds in all, growth of memory in bytes, and seconds from one end of an exposure to the next."""
    sizes: list[int] = []
    ends: list[float] = []
    process = psutil.Process()
    began = time.perf_counter()
    wish = Wish("campaign:EmptyMode", sorted((folder / "raw").iterdir()), folder / "out")
    plan = make_plan(make_jobs(wish), folder / "out")

    def watch(event) -> None:
        if event.kind == "finished":
            sizes.append(process.memory_info().rss)
            ends.append(time.perf_counter())

    run_campaign(plan, execution, report=watch)
    seconds = time.perf_counter() - began
    if len(ends) < 10:
        return seconds, 0.0, 0.0
    return seconds, sizes[-1] - sizes[len(sizes) // 10], (ends[-1] - ends[0]) / (len(ends) - 1)


@contextmanager
def _no_cluster() -> Iterator[None]:
    yield None


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    """Start a scheduler and two workers, and yield the address."""
    from distributed import Client

    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen([*command, "--host", "127.0.0.1"], stderr=subprocess.PIPE, text=True)
    address = next(found[1] for line in scheduler.stderr if (found := re.search(r"Scheduler at:\s+(tcp://\S+)", line)))
    threading.Thread(target=scheduler.stderr.read, daemon=True).start()
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads=1", "--no-dashboard"]
    workers = [subprocess.Popen([*command, f"--local-directory={folder}"], stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2)
        yield address
    finally:
        for process in (*workers, scheduler):
            process.terminate()
            process.wait()


def speedup(count: int, ints: int, groups: int) -> None:
    from detectorist.simulate.builder import LrsScene

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            LrsScene().write(folder / str(number), ints=ints, groups=groups, segments=1, seed=number)
            for path in (folder / str(number)).glob("*_uncal.fits"):
                (folder / "raw").mkdir(exist_ok=True)
                path.rename(folder / "raw" / path.name.replace("_00001-", f"_{number + 1:05d}-"))
        taken, products = {}, {}
        for workers in (1, 2):
            out = folder / f"out{workers}"
            files = sorted((folder / "raw").iterdir())
            plan = make_plan(
                make_jobs(Wish("lrs", files, out, recipe="short", references=str(folder / "0" / "crds"))), out
            )
            began = time.perf_counter()
            print(run_campaign(plan, Execution(workers=workers)))
            taken[workers] = time.perf_counter() - began
            products[workers] = _contents(out)
        print(f"{count} exposures of {ints} x {groups}: {taken[1]:.1f} s on one worker, {taken[2]:.1f} s on two")
        print(f"{taken[1] / taken[2]:.2f} x (asked: 1.7); products identical: {products[1] == products[2]}")


def _contents(out: Path) -> dict[str, str]:
    """Return hashes of the arrays of all products: headers name their folder and the time of writing."""
    import xarray as xr

    from detectorist.pipelines.reuse import data_hash

    found = {str(path.relative_to(out)): data_hash(path) for path in out.rglob("*_rateints.fits")}
    for path in out.rglob("stage_2_output.nc"):
        dataset = xr.load_dataset(path, engine="h5netcdf")
        digest = hashlib.sha256(b"".join(dataset[variable].values.tobytes() for variable in sorted(dataset.data_vars)))
        found[str(path.relative_to(out))] = digest.hexdigest()
    return found


def memory(ints: int, groups: int, chunk_ints: int | None, recipe: str, out: Path | None) -> None:
    from detectorist.simulate.builder import LrsScene

    with tempfile.TemporaryDirectory() as name:
        folder = out or Path(name)
        if not list(folder.glob("raw/*_uncal.fits")):
            LrsScene().write(folder / "raw", ints=ints, groups=groups, segments=1, seed=1)
        files = sorted((folder / "raw").glob("*_uncal.fits"))
        options = {"chunk_ints": chunk_ints} if chunk_ints else {}
        target = folder / f"out_{chunk_ints}"
        references = str(folder / "raw" / "crds")
        wish = Wish("lrs", files, target, recipe=recipe, references=references, options=options)
        plan = make_plan(make_jobs(wish), target, force=True)
        run_campaign(plan, Execution(workers=1))
        with Ledger(target, read_only=True) as ledger:
            (entry,) = ledger.entries().values()
        predicted, measured = plan.jobs[0].prediction.memory_bytes, entry.record.peak_bytes
        size = sum(path.stat().st_size for path in files)
        print(f"{ints} x {groups}, {size / 1e9:.2f} GB, chunks of {chunk_ints}: {entry.state} {entry.record.message}")
        off_pct = 100 * predicted / measured - 100
        print(f"peak {measured / 1e6:.0f} MB, predicted {predicted / 1e6:.0f} MB ({off_pct:+.0f} %)")
        print(f"{entry.record.cpu_s:.0f} s CPU, {entry.record.seconds:.0f} s")
        for path, digest in _contents(target).items():
            print(f"  {digest[:16]} {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("overhead")
    one.add_argument("--count", type=int, default=690)
    one.add_argument("--dask", action="store_true")
    two = commands.add_parser("speedup")
    two.add_argument("--count", type=int, default=8)
    two.add_argument("--size", default="40x20", help="integrations x groups")
    three = commands.add_parser("memory")
    three.add_argument("size", help="integrations x groups")
    three.add_argument("--chunk-ints", type=int)
    three.add_argument("--recipe", default="short")
    three.add_argument("--folder", type=Path, help="keep raw file and products here")
    given = parser.parse_args()
    if given.command == "overhead":
        here = str(Path(__file__).parent)
        sys.path.insert(0, here)
        os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
        overhead(given.count, dask=given.dask)
        return
    ints, groups = (int(part) for part in given.size.split("x"))
    if given.command == "speedup":
        speedup(given.count, ints, groups)
    else:
        memory(ints, groups, given.chunk_ints, given.recipe, given.folder)


if __name__ == "__main__":
    main()
