"""Running a campaign: jobs to workers, records to the ledger, events to the caller."""

from __future__ import annotations

import shutil
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from detectorist.atomic_files import PARTIAL
from detectorist.campaign import events, lock
from detectorist.campaign.events import Event, Report
from detectorist.campaign.forked_workers import ForkedPool, can_fork
from detectorist.campaign.job_keys import versions_of
from detectorist.campaign.ledger import FILE as LEDGER
from detectorist.campaign.ledger import Entry, Ledger, inputs_are_same, products_are_whole, who_began
from detectorist.campaign.local_pool import LocalPool, PoolEvent
from detectorist.campaign.memory import format_bytes
from detectorist.campaign.order import what_was_left
from detectorist.campaign.plan import UNKNOWN_BYTES, Plan, PlannedJob
from detectorist.campaign.this_process import ThisProcess
from detectorist.compilation.ahead import Ahead
from detectorist.compilation.kernel_lists import missing, read_list
from detectorist.errors import OutputError, ParameterError
from detectorist.interruption import ended_in_order
from detectorist.libraries import idle_cores
from detectorist.libraries.numerical_threads import most_threads
from detectorist.modes import load_mode
from detectorist.modes.job import CRASHED, DONE, SKIPPED, UNPROCESSABLE, Job, JobRecord
from detectorist.reduction.products import PRODUCT_FOLDERS

#: Seconds between two looks at memory and time limits.
POLL_S = 0.25
#: Seconds between two transactions of the ledger: a run that is killed does what ended since then once more.
WRITE_EVERY_S = 0.2
#: Seconds between two notes of a job's progress in the ledger: each waits for the disk.
NOTE_EVERY_S = 5.0
#: A job whose worker died is tried this often in all.
ATTEMPTS = 2
#: Cores that one exposure keeps busy: what is shared out is too little of its time for more.
MOST_CORES = 4
#: Files that hold less together are reduced in this process: each worker takes longer to start than half of the work.
SMALL_BYTES = 200e6


@dataclass(frozen=True)
class Execution:
    """How a campaign is run; nothing here changes a product.

    Attributes
    ----------
    workers : int, optional
        Processes on this machine; None: what processors and memory allow, this process alone for a single exposure or
        a few small ones; 0: this process in any case.
    scheduler : str, optional
        Address of a Dask scheduler whose workers are used instead.
    memory_limit : int, optional
        Bytes that all workers of this machine together may hold.
    timeout_s : float, optional
        A job that takes longer counts as crashed.
    alone : bool
        Whether this process is a command's own: a few small exposures are then reduced at once, in copies of it.

    Raises
    ------
    ParameterError
        For a number of workers that is none.
    """

    workers: int | None = None
    scheduler: str | None = None
    memory_limit: int | None = None
    timeout_s: float | None = None
    alone: bool = False

    def __post_init__(self) -> None:
        """Refuse a number of workers with which nothing would ever be done."""
        if self.workers is not None and not (isinstance(self.workers, int) and self.workers >= 0):
            raise ParameterError(f"workers is {self.workers!r}: a whole number of 0 or more is needed")

    @property
    def memory_per_job(self) -> int:
        """The memory that one job may use: its share of the limit; 0 without a limit."""
        return (self.memory_limit or 0) // (self.workers or 1)

    def in_this_process(self, n_jobs: int, n_bytes: float) -> bool:
        """Return whether jobs are run here: if requested, or if there is too little to do for workers to pay off.

        Parameters
        ----------
        n_jobs : int
            Jobs that could be done at once.
        n_bytes : float
            Size of the input files of all jobs together.
        """
        if self.workers == 0:
            return True
        limited = self.scheduler or self.memory_limit or self.timeout_s
        return (n_jobs == 1 or n_bytes < SMALL_BYTES) and self.workers is None and not limited


class Pool(Protocol):
    """Where jobs are done: `LocalPool` or `DaskPool`."""

    size: int

    @property
    def free(self) -> int:
        """How many more jobs can be started now."""

    def prepare(self, mode: str, count: int) -> None:
        """Import what `count` jobs of a mode need."""

    def start(self, job: Job) -> None:
        """Start a job."""

    def wait(self, timeout_s: float) -> list[PoolEvent]:
        """Return what happened."""

    def close(self) -> None:
        """End everything that still runs."""


def run_campaign(
    plan: Plan, execution: Execution, *, report: Report = lambda event: None, command: str = ""
) -> dict[str, int]:
    """Run the jobs of a plan and return how many of them are in each state.

    One run at a time works in a folder. Interrupted at any moment, by any signal, the folder holds whole products
    and a ledger from which the next run continues.

    Raises
    ------
    OutputError
        When another run holds the folder, it cannot be written, or the disk cannot hold the products.
    KeyboardInterrupt
        On SIGINT, SIGTERM or SIGHUP; jobs that were running wait again.
    """
    plan.require_disk()
    if not plan.to_run:
        return _nothing_to_do(plan, report)
    with lock.exclusive(plan.output_dir, lambda: who_began(plan.output_dir)):
        sweep(plan)
        with Ledger(plan.output_dir) as ledger, ended_in_order():
            packages = versions_of(load_mode(plan.jobs[0].job.mode)) if plan.jobs else {}
            ledger.begin_run(command, packages)
            ledger.enter(planned.job for planned in plan.to_run if not planned.perhaps)
            _Run(plan, execution, ledger, report).run()
            ledger.end_run()
            entries = ledger.entries()
            _conclude(plan, entries)
    names = {planned.job.name for planned in plan.jobs}
    return count_states({name: entry.state for name, entry in entries.items() if name in names})


def count_states(states: dict[str, str]) -> dict[str, int]:
    """Return how many jobs are in each state."""
    counts = dict.fromkeys((DONE, UNPROCESSABLE, CRASHED, SKIPPED), 0)
    for state in states.values():
        counts[state] = counts.get(state, 0) + 1
    return counts


class _Run:
    def __init__(self, plan: Plan, execution: Execution, ledger: Ledger, report: Report):
        self._plan = plan
        self._execution = execution
        self._ledger = ledger
        self._report = report
        self._waiting: deque[PlannedJob] = deque(plan.to_run)
        self._alone: deque[PlannedJob] = deque()
        self._running: dict[str, PlannedJob] = {}
        self._unfinished = {planned.job.name for planned in plan.to_run}
        self._attempts: dict[str, int] = {}
        self._compiling = False
        self._noted: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def run(self) -> None:
        """Work the plan off, and tell what happens."""
        pool = self._make_pool() if self._waiting else None
        kept = len(self._plan.jobs) - len(self._plan.to_run)
        self._tell(events.PLANNED, total=len(self._plan.jobs), reused=kept, workers=pool.size if pool else 0)
        if pool is not None:
            try:
                self._work(pool)
            finally:
                self._put_back()
                pool.close()
                sweep(self._plan)
        self._report(Event(events.ENDED, time=time.time(), numbers=dict(self._counts)))

    def _make_pool(self) -> Pool:
        if self._execution.scheduler:
            from detectorist.campaign.dask_pool import DaskPool

            return DaskPool(self._execution.scheduler)
        # Stages wait for each other: one exposure through all of them takes no more processes than through one.
        stages = Counter(planned.job.mode for planned in self._waiting)
        if self._execution.in_this_process(max(stages.values()), sum(map(_input_bytes, self._waiting))):
            copies = self._copies(max(stages.values()))
            cores = min(idle_cores.processors(), most_threads() or MOST_CORES) if self._execution.alone else 1
            return ForkedPool(copies) if copies > 1 else ThisProcess(self._note_progress, cores)
        size = self._plan.workers(self._execution.workers, self._execution.memory_limit)
        return LocalPool(size, memory_limit=self._execution.memory_limit, timeout_s=self._execution.timeout_s)

    def _copies(self, n_together: int) -> int:
        """Return how many copies of this process may do jobs; a single one would do no better than this process."""
        if not self._execution.alone or self._execution.workers == 0 or not can_fork():
            return 0
        return min(n_together, self._plan.workers(None, None))

    def _work(self, pool: Pool) -> None:
        mode = self._waiting[0].job.mode
        if self._execution.scheduler:
            pool.prepare(mode, len(self._waiting))
            # The first job compiles what is not compiled yet; the others find it in numba's cache.
            self._compiling = len(self._waiting) > 1 and bool(missing(read_list(load_mode(mode).kernels())))
        else:
            self._prepare_here(pool, mode)
        with self._ledger.together():
            while self._waiting or self._alone or self._running:
                while (planned := self._next(pool)) is not None:
                    self._start(pool, planned)
                self._ledger.write(at_most_every_s=WRITE_EVERY_S)
                for event in pool.wait(POLL_S):
                    self._handle(event)

    def _prepare_here(self, pool: Pool, mode: str) -> None:
        """Compile what is not compiled yet while libraries are imported, and tell of it."""
        ahead = Ahead(load_mode(mode).kernels(), memory_limit=self._execution.memory_limit)
        try:
            if ahead.number:
                self._tell(events.COMPILING, done=0, total=ahead.number, workers=ahead.processes)
            if ahead.number or (pool.size > 1 and len(self._waiting) > 1):
                pool.prepare(mode, len(self._waiting))
            ahead.wait(lambda done, total: self._tell(events.COMPILING, done=done, total=total))
        finally:
            ahead.close()

    def _next(self, pool: Pool) -> PlannedJob | None:
        """Return a job that may start now: others first, then those that must be alone, one by one."""
        if pool.free < 1 or (self._compiling and self._running):
            return None
        while (number := self._first_ready()) is not None:
            planned = self._waiting[number]
            if not self._fits(planned):
                return None
            del self._waiting[number]
            if not self._is_still_needed(planned):
                self._unfinished.discard(planned.job.name)
            elif self._is_too_large(planned):
                self._refuse(planned)
            else:
                return planned
        return self._alone.popleft() if self._alone and not self._running else None

    def _first_ready(self) -> int | None:
        """Return the place of the first waiting job whose earlier exposures are done with."""
        ready = (n for n, one in enumerate(self._waiting) if self._unfinished.isdisjoint(one.job.after))
        return next(ready, None)

    def _is_still_needed(self, planned: PlannedJob) -> bool:
        if not planned.perhaps:
            return True
        left = what_was_left(planned.job, self._ledger.entries(planned.job.after))
        entry = self._ledger.entries([planned.job.name])[planned.job.name]
        if inputs_are_same(entry, left) and products_are_whole(entry):
            return False
        self._ledger.enter([planned.job])
        return True

    def _fits(self, planned: PlannedJob) -> bool:
        if self._execution.memory_limit is None or not self._running:
            return True
        taken = sum(_memory_of(other) for other in self._running.values())
        return taken + _memory_of(planned) <= self._execution.memory_limit

    def _is_too_large(self, planned: PlannedJob) -> bool:
        limit = self._execution.memory_limit
        return limit is not None and planned.prediction.memory_bytes > limit

    def _refuse(self, planned: PlannedJob) -> None:
        """Finish a job without starting it that would be ended for its memory, perhaps hours later."""
        needed, limit = planned.prediction.memory_bytes, self._execution.memory_limit or 0
        reason = (
            f"about {format_bytes(needed)} of memory are needed and the limit is {format_bytes(limit)}; it was not "
            "started: raise --memory-limit"
        )
        now = time.time()
        self._finish(JobRecord(planned.job.name, CRASHED, "MemoryLimit", reason, started=now, finished=now))

    def _start(self, pool: Pool, planned: PlannedJob) -> None:
        job = planned.job
        if job.after:
            job = replace(job, left=what_was_left(job, self._ledger.entries(job.after)))
        self._running[job.name] = planned
        self._attempts[job.name] = self._attempts.get(job.name, 0) + 1
        self._ledger.start(job.name)
        self._tell(events.STARTED, job.name)
        pool.start(job)

    def _handle(self, event: PoolEvent) -> None:
        if event.kind == "progress":
            self._note_progress(event.name, *event.value)
        elif event.kind == "died":
            self._handle_death(event.name, event.value)
        else:
            self._finish(event.value)

    def _note_progress(self, name: str, done: float, total: int, what: str) -> None:
        self._tell(events.PROGRESS, name, what, done=done, total=total)
        now = time.monotonic()
        if now >= self._noted.get(name, now) + NOTE_EVERY_S:
            self._noted[name] = now
            self._ledger.doing(name, what)
        self._noted.setdefault(name, now)

    def _handle_death(self, name: str, reason: str) -> None:
        """Try a job again, alone, whose process died: memory may have been what it lacked."""
        if self._attempts[name] < ATTEMPTS:
            self._alone.append(self._running.pop(name))
            self._ledger.put_back(name)
            self._tell(events.RETRIED, name, f"its process {reason}; it is tried once more alone")
            return
        now = time.time()
        self._finish(
            JobRecord(name, CRASHED, "WorkerDied", f"its process {reason}, alone too", started=now, finished=now)
        )

    def _finish(self, record: JobRecord) -> None:
        self._running.pop(record.name, None)
        self._compiling = False
        self._unfinished.discard(record.name)
        self._ledger.finish(record)
        self._counts[record.state] = self._counts.get(record.state, 0) + 1
        self._tell(
            events.FINISHED,
            record.name,
            record.message,
            state=record.state,
            error=record.error,
            seconds=round(record.seconds, 3),
            peak_bytes=record.peak_bytes,
            merits=record.steps.get("exposure", {}),
        )

    def _put_back(self) -> None:
        for name in self._running:
            try:
                self._ledger.put_back(name)
            except OutputError:
                return  # the next run puts back what it finds running

    def _tell(self, kind: str, name: str = "", text: str = "", **numbers: Any) -> None:
        self._report(Event(kind, name, text, time.time(), numbers))


def _input_bytes(planned: PlannedJob) -> float:
    """Return the size of a job's input files; of those that are not there yet, nothing."""
    return sum(Path(file).stat().st_size for file in planned.job.files if Path(file).is_file())


def _memory_of(planned: PlannedJob) -> int:
    return planned.prediction.memory_bytes or UNKNOWN_BYTES


def _nothing_to_do(plan: Plan, report: Report) -> dict[str, int]:
    """Say that everything is up to date, and write nothing."""
    counts = count_states({planned.job.name: planned.state for planned in plan.jobs})
    total = len(plan.jobs)
    report(Event(events.PLANNED, time=time.time(), numbers={"total": total, "reused": total, "workers": 0}))
    return counts


def _conclude(plan: Plan, entries: Mapping[str, Entry]) -> None:
    names = {planned.job.name for planned in plan.jobs if planned.job.mode == plan.jobs[0].job.mode}
    plan.conclude([entry.record for name, entry in entries.items() if name in names and entry.state == DONE])


def sweep(plan: Plan) -> None:
    """Remove incomplete files of interrupted jobs: they are never read as products, but take up space."""
    for folder in {Path(planned.job.output_dir) for planned in plan.jobs} | {plan.output_dir}:
        for place in (folder, *(folder / name for name in PRODUCT_FOLDERS)):
            if place != plan.output_dir and (place / LEDGER).is_file():
                continue  # another run's output, which may be at work there
            for left in place.glob(f"{PARTIAL}*"):
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
