"""Worker processes on this machine: one exposure at a time, replaced when they die or use too much memory.

No existing library is suitable: concurrent.futures and loky give up all jobs when one worker dies, and pebble, which
does not, starts workers by running the user's script again, which fails where that has no `if __name__ == "__main__"`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from detectorist.campaign import memory
from detectorist.libraries.numerical_threads import SETTINGS
from detectorist.modes.job import Job, JobRecord

#: A worker that holds this much when idle is replaced: libraries keep caches, and memory fragments.
GROWN_BYTES = 1.2e9
#: By what, and from how many bytes on, workers under a limit hand the memory of a freed array back to the system (GNU C
#: library): kept for the next one, it would count against the limit. It costs a tenth of the CPU time.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "2000000"}


@dataclass(frozen=True)
class PoolEvent:
    """What a pool reports of a job: "progress" (value: done, total, what), "record" (a JobRecord) or "died" (why)."""

    kind: str
    name: str
    value: Any


class Process(Protocol):
    """A process on this machine, as far as a pool needs to know it; `subprocess.Popen` is one."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""

    def wait(self) -> int | None:
        """Return how it ended, when it has."""

    def kill(self) -> None:
        """End it at once."""


@dataclass
class Worker:
    """A process that does jobs, and what it does now."""

    process: Process
    connection: Connection
    job: Job | None = None
    started: float = field(default_factory=time.monotonic)
    condemned: str = ""


class LocalPool:
    """Up to `size` worker processes, started when there is work for them.

    Parameters
    ----------
    size : int
    memory_limit : int, optional
        Bytes that all workers together may hold; past it the largest worker is ended.
    timeout_s : float, optional
        A job that takes longer is ended.
    """

    def __init__(self, size: int, *, memory_limit: int | None = None, timeout_s: float | None = None):
        self.size = size
        self._memory_limit = memory_limit
        self._timeout_s = timeout_s
        self._workers: list[Worker] = []

    @property
    def free(self) -> int:
        """How many more jobs can be started now."""
        return self.size - sum(worker.job is not None for worker in self._workers)

    def prepare(self, mode: str, count: int) -> None:
        """Start `count` workers, and let all of them import at once what their jobs will need."""
        while len(self._workers) < min(count, self.size):
            self._workers.append(self._start_worker())
        for worker in self._workers:
            with contextlib.suppress(OSError):  # it died; the next job gets another one
                worker.connection.send(("prepare", mode))

    def start(self, job: Job) -> None:
        """Give a job to a free worker; there must be one."""
        worker = self._idle_worker()
        worker.job, worker.started, worker.condemned = job, time.monotonic(), ""
        with contextlib.suppress(OSError):  # it died idle; the next wait reports so
            worker.connection.send(("job", job.to_dict()))

    def wait(self, timeout_s: float) -> list[PoolEvent]:
        """Return the events since the last call; waits up to `timeout_s` for one."""
        self._enforce_limits()
        busy = [worker for worker in self._workers if worker.job is not None]
        ready = wait([worker.connection for worker in busy], timeout_s) if busy else []
        return [event for worker in busy if worker.connection in ready for event in self._receive(worker)]

    def close(self) -> None:
        """End all workers at once; products are complete or absent, so only time is lost."""
        for worker in list(self._workers):
            self._end(worker)

    def _idle_worker(self) -> Worker:
        for worker in [worker for worker in self._workers if worker.job is None]:
            if worker.process.poll() is None:
                return worker
            self._end(worker)
        worker = self._start_worker()
        self._workers.append(worker)
        return worker

    def _start_worker(self) -> Worker:
        environment = {**os.environ, **dict.fromkeys(SETTINGS, "1")}
        return self._greeted(
            *_start_worker(environment if self._memory_limit is None else {**GIVE_BACK, **environment})
        )

    @staticmethod
    def _greeted(process: Process, connection: Connection) -> Worker:
        """Return a worker that has said that it is ready."""
        try:
            connection.send(sys.path)
            connection.recv()
        except (EOFError, OSError) as error:
            process.wait()
            raise RuntimeError("a worker process could not be started") from error
        return Worker(process, connection)

    def _receive(self, worker: Worker) -> list[PoolEvent]:
        assert worker.job is not None
        name = worker.job.name
        try:
            kind, *values = worker.connection.recv()
        except (EOFError, OSError):
            self._end(worker)
            return [PoolEvent("died", name, worker.condemned or _reason(worker.process))]
        if kind == "prepared":
            return []
        if kind == "progress":
            return [PoolEvent("progress", name, tuple(values))]
        record: JobRecord
        record, resident = values
        worker.job = None
        if resident > GROWN_BYTES:
            self._end(worker)
        return [PoolEvent("record", name, record)]

    def _enforce_limits(self) -> None:
        busy = [worker for worker in self._workers if worker.job is not None]
        now = time.monotonic()
        for worker in busy:
            if self._timeout_s and now - worker.started > self._timeout_s:
                self._condemn(worker, f"took longer than {self._timeout_s:g} s")
        if self._memory_limit and busy:
            sizes = {id(worker): memory.resident_bytes(worker.process.pid) for worker in self._workers}
            total = sum(sizes.values())
            if total > self._memory_limit:
                largest = max(busy, key=lambda worker: sizes[id(worker)])
                self._condemn(
                    largest,
                    f"held {memory.format_bytes(sizes[id(largest)])} of {memory.format_bytes(total)} in use; "
                    f"the limit is {memory.format_bytes(self._memory_limit)}",
                )

    @staticmethod
    def _condemn(worker: Worker, reason: str) -> None:
        worker.condemned = reason
        worker.process.kill()

    def _end(self, worker: Worker) -> None:
        worker.process.kill()
        worker.process.wait()
        worker.connection.close()
        self._workers.remove(worker)


def _start_worker(environment: dict[str, str]) -> tuple[Process, Connection]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "detectorist.campaign.worker_main", str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent only
        )
    return process, Connection(ours.detach())


def _reason(process: Process) -> str:
    code = process.returncode
    return f"ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
