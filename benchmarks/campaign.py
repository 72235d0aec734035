"""What a campaign costs beside its exposures: scheduling, resuming, two workers against one, memory.

python benchmarks/campaign.py overhead           690 exposures that do nothing, on two local workers; resumed
python benchmarks/campaign.py overhead --dask    the same on a Dask scheduler and two workers started here
python benchmarks/campaign.py speedup            8 exposures of MIRI LRS on one worker and on two, products compared
python benchmarks/campaign.py speedup --mode imaging --size 2048x5      the same with NIRCam full frames
python benchmarks/campaign.py prediction         predicted and measured memory and disk, a table
python benchmarks/campaign.py again OUT ...      the same of runs that are there, with later stages
python benchmarks/campaign.py bounded            peaks of exposures of growing length under one memory limit
python benchmarks/campaign.py memory lrs:333x100:exotic-long:16 --folder F peak of one exposure (2 GB) in chunks
python benchmarks/campaign.py memory lrs:100x20:default --folder F     ... in one piece, for comparison with
python benchmarks/campaign.py memory lrs:100x20:default:8 --folder F   ... this one: are the products identical?
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from detectorist.campaign.ledger import Entry, Ledger
from detectorist.campaign.plan import PlanRequest, make_jobs, make_plan
from detectorist.campaign.run import Execution, run_campaign
from detectorist.modes import Mode, Outcome
from detectorist.modes.job import Prediction
from detectorist.reduction.inputs.ramp_sizes import ramp_size
from detectorist.reduction.products import write_text


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
    request = PlanRequest("campaign:EmptyMode", sorted((folder / "raw").iterdir()), folder / "out")
    plan = make_plan(make_jobs(request), folder / "out")

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


def speedup(mode: str, count: int, size: str) -> None:
    """Time the same exposures on one worker and on two; kernels are compiled before."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = Case(f"{mode}:{size}")
        (original,) = case.simulate(folder / "raw")
        for number in range(count):
            copy = folder / "many" / original.name.replace("_00001", f"_{number + 1:05d}")
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(original, copy)
        time.sleep(2.1)
        request = replace(case.request(folder / "raw", folder / "out0"), files=[original])
        run_campaign(make_plan(make_jobs(request), request.output_dir), Execution(workers=1))
        taken, products = {}, {}
        for workers in (1, 2):
            request = replace(request, files=sorted((folder / "many").iterdir()), output_dir=folder / f"out{workers}")
            plan = make_plan(make_jobs(request), request.output_dir)
            began = time.perf_counter()
            print(run_campaign(plan, Execution(workers=workers)))
            taken[workers] = time.perf_counter() - began
            products[workers] = _contents(request.output_dir)
        print(f"{count} exposures of {case.text}: {taken[1]:.1f} s on one worker, {taken[2]:.1f} s on two")
        same = products[1] == products[2] and len(products[1]) >= count
        print(f"{taken[1] / taken[2]:.2f} x (asked: 1.7); products identical: {same}")


def _contents(out: Path) -> dict[str, str]:
    """Return hashes of the arrays of all products: headers name their folder and the time of writing."""
    import xarray as xr

    from detectorist.reduction.content_keys import data_hash

    rates = [*out.rglob("*_rateints.fits"), *out.rglob("*_rate.fits")]
    found = {str(path.relative_to(out)): data_hash(path) for path in sorted(rates)}
    for path in out.rglob("stage_2_output.nc"):
        dataset = xr.load_dataset(path, engine="h5netcdf")
        digest = hashlib.sha256(b"".join(dataset[variable].values.tobytes() for variable in sorted(dataset.data_vars)))
        found[str(path.relative_to(out))] = digest.hexdigest()
    return found


@dataclass(frozen=True)
class Case:
    """An exposure to be reduced alone: "lrs:INTSxGROUPS[:RECIPE[:CHUNK_INTS]]", "imaging:SIZExGROUPS", "coron:IxG"."""

    text: str

    @property
    def parts(self) -> list[str]:
        """Words between the colons."""
        return self.text.split(":")

    @property
    def mode(self) -> str:
        """Mode of the campaign; "miri" is coronagraphy too."""
        return {"miri": "coron"}.get(self.parts[0], self.parts[0])

    def simulate(self, folder: Path) -> list[Path]:
        """Make the raw file and its references, unless they are there; return the files."""
        if not list(folder.glob("*_uncal.fits")):
            self._write(folder, *(int(number) for number in self.parts[1].split("x")))
        return sorted(folder.glob("*_uncal.fits"))[:1]

    def _write(self, folder: Path, first: int, groups: int) -> None:
        if self.parts[0] == "lrs":
            from detectorist.simulate.lrs.scene import LrsScene

            LrsScene().write(folder, ints=first, groups=groups, segments=1, seed=1)
        elif self.parts[0] == "imaging":
            from detectorist.simulate.imaging.scene import ImagingScene

            scene = ImagingScene().with_detector(size=first, outputs=4 if first > 640 else 1).without("wisps")
            scene.write(folder, groups=groups, seed=1)
        else:
            from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene

            scene = MiriCoronScene() if self.parts[0] == "miri" else CoronScene()
            scene.write(folder, ints=first, groups=groups, rolls=1, dithers=0, seed=1)

    def request(self, folder: Path, out: Path) -> PlanRequest:
        """Return the campaign."""
        recipe, chunk = (*self.parts[2:], "", "")[:2]
        return PlanRequest(
            self.mode,
            self.simulate(folder),
            out,
            recipe=recipe or ("exotic-short" if self.mode == "lrs" else None),
            references=str(folder / "crds"),
            options={"chunk_ints": int(chunk)} if chunk else {},
        )


#: None of these was used to fit the coefficients of the predictions.
HELD_OUT = (
    "lrs:12x30",
    "lrs:100x20:default",
    "lrs:70x45:exotic-long",
    "lrs:150x30:default:10",
    "imaging:400x7",
    "imaging:1024x6",
    "coron:5x6",
    "miri:4x30",
)


#: One exposure, four and sixteen times as long.
GROWING = ("lrs:20x12:default", "lrs:80x12:default", "lrs:320x12:default")


def measure(case: Case, folder: Path) -> tuple[list[str], Path]:
    """Reduce an exposure in a worker of its own; return a row of the table, and the folder of its products."""
    out = folder / f"out_{'_'.join(case.parts[1:])}"
    plan = make_plan(make_jobs(case.request(folder / "raw", out)), out, again=True)
    with _largest_size(out) as sizes:
        run_campaign(plan, Execution(workers=1))
    with Ledger(out, read_only=True) as ledger:
        (entry,) = ledger.entries().values()
    raw = sum(path.stat().st_size for path in (folder / "raw").glob("*_uncal.fits"))
    return [case.text, f"{raw / 1e6:.0f}", *_cells(entry, plan.jobs[0].prediction, max(sizes))], out


def _cells(entry: Entry, predicted: Prediction, written: int) -> list[str]:
    """Return what was predicted of a job and what was measured."""
    record = entry.record
    return [
        f"{predicted.memory_bytes / 1e6:.0f}",
        f"{record.peak_bytes / 1e6:.0f}",
        f"{100 * predicted.memory_bytes / max(record.peak_bytes, 1) - 100:+.0f} %",
        f"{predicted.disk_bytes / 1e6:.1f}",
        f"{written / 1e6:.1f}",
        f"{100 * predicted.disk_bytes / max(written, 1) - 100:+.0f} %",
        f"{record.cpu_s:.0f}",
        f"{entry.state} {record.message[:60]}",
    ]


@contextmanager
def _largest_size(folder: Path) -> Iterator[list[int]]:
    """Yield a list that fills with the size of all files in a folder while the context lasts, scratch files too."""
    sizes, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            sizes.append(_size_of(folder))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sizes
    finally:
        over.set()
        thread.join()
        sizes.append(_size_of(folder))


def _size_of(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # scratch files come and go
                total += os.path.getsize(os.path.join(place, name)) if name != "ledger.sqlite" else 0
    return total


def prediction(cases: Sequence[str], folder: Path | None) -> None:
    """Print predicted and measured peaks and sizes."""
    head = ["exposure", "raw MB", "peak MB", "measured", "off", "disk MB", "written", "off", "CPU s", ""]
    _print_row(head)
    for text in cases:
        with tempfile.TemporaryDirectory() as name:
            row, _ = measure(Case(text), (folder or Path(name)) / text.replace(":", "_"))
            _print_row(row)


def again(folders: Sequence[Path]) -> None:
    """Do all jobs of runs again in a worker, and print predicted and measured peaks and sizes of products."""
    _print_row(["job", "pixels", "peak MB", "measured", "off", "disk MB", "products", "off", "CPU s", ""])
    for folder in folders:
        with Ledger(folder, read_only=True) as ledger:
            jobs = [entry.job for entry in ledger.entries().values()]
        plan = make_plan(jobs, folder, again=True)
        run_campaign(plan, Execution(workers=1))
        with Ledger(folder, read_only=True) as ledger:
            entries = ledger.entries()
        for planned in plan.jobs:
            entry = entries[planned.job.name]
            size = ramp_size(Path(planned.job.options.get("first") or planned.job.files[0]))
            written = sum(product.size for product in entry.record.products)
            pixels = f"{size.nx}x{size.ny}" if size else "?"
            _print_row([planned.job.mode, pixels, *_cells(entry, planned.prediction, written)])


def _print_row(cells: Sequence[str]) -> None:
    print("  ".join([f"{cells[0]:20s}", *(f"{cell:>9s}" for cell in cells[1:])]), flush=True)


def memory(text: str, folder: Path | None) -> None:
    """Print the peak of one exposure, its hashes, and whether they are those of the products made in one piece."""
    with tempfile.TemporaryDirectory() as name:
        place = folder or Path(name)
        row, out = measure(Case(text), place)
        _print_row(["exposure", "raw MB", "peak MB", "measured", "off", "disk MB", "written", "off", "CPU s", ""])
        _print_row(row)
        found = _contents(out)
        for path, digest in found.items():
            print(f"  {digest[:16]} {path}")
        whole = place / f"out_{'_'.join(Case(text).parts[1:3])}"
        if whole != out and whole.is_dir():
            print(f"identical to {whole.name}: {_contents(whole) == found}")


def bounded(cases: Sequence[str], limit_mb: int, folder: Path | None) -> None:
    """Print the peaks of exposures of growing length under one memory limit, each over that of the first."""
    _print_row(["exposure", "raw MB", "peak MB", "of first", "chunk", "CPU s", "state"])
    first = 0.0
    for text in cases:
        with tempfile.TemporaryDirectory() as name:
            place = (folder or Path(name)) / text.replace(":", "_")
            out = place / f"out_{limit_mb}"
            shutil.rmtree(out, ignore_errors=True)  # else its stage 1 would be reused
            plan = make_plan(
                make_jobs(Case(text).request(place / "raw", out)), out, again=True, memory_bytes=limit_mb * 10**6
            )
            run_campaign(plan, Execution(workers=1, memory_limit=limit_mb * 10**6))
            with Ledger(out, read_only=True) as ledger:
                (entry,) = ledger.entries().values()
            raw = sum(path.stat().st_size for path in (place / "raw").glob("*_uncal.fits"))
        peak = entry.record.peak_bytes / 1e6
        first = first or peak
        chunk = plan.jobs[0].job.options.get("chunk_ints", "-")
        numbers = (
            f"{raw / 1e6:.0f}",
            f"{peak:.0f}",
            f"{peak / max(first, 1):.2f}",
            str(chunk),
            f"{entry.record.cpu_s:.0f}",
        )
        _print_row([text, *numbers, f"{entry.state} {entry.record.message[:60]}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("overhead")
    one.add_argument("--count", type=int, default=690)
    one.add_argument("--dask", action="store_true")
    two = commands.add_parser("speedup")
    two.add_argument("--count", type=int, default=8)
    two.add_argument("--size", default="40x20", help="integrations x groups")
    two.add_argument("--mode", default="lrs", choices=["lrs", "imaging"])
    three = commands.add_parser("memory")
    three.add_argument("case", help=Case.__doc__)
    three.add_argument("--folder", type=Path, help="keep raw file and products here")
    four = commands.add_parser("prediction")
    four.add_argument("cases", nargs="*", default=HELD_OUT, help=Case.__doc__)
    four.add_argument("--folder", type=Path, help="keep raw files and products here")
    five = commands.add_parser("bounded")
    five.add_argument("cases", nargs="*", default=GROWING, help=Case.__doc__)
    five.add_argument("--limit-mb", type=int, default=540, help="--memory-limit of the runs")
    five.add_argument("--folder", type=Path, help="keep raw files and products here")
    six = commands.add_parser("again")
    six.add_argument("folders", nargs="+", type=Path, help="output folders of runs, whose input is still there")
    given = parser.parse_args()
    if given.command == "overhead":
        here = str(Path(__file__).parent)
        sys.path.insert(0, here)
        os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
        overhead(given.count, dask=given.dask)
    elif given.command == "speedup":
        speedup(given.mode, given.count, given.size)
    elif given.command == "again":
        again(given.folders)
    elif given.command == "bounded":
        bounded(given.cases, given.limit_mb, given.folder)
    elif given.command == "memory":
        memory(given.case, given.folder)
    else:
        prediction(given.cases, given.folder)


if __name__ == "__main__":
    main()
