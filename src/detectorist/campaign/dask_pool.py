"""Workers of a Dask cluster that someone else started, on this machine or on hundreds.

The cluster needs the same Python environment and the same paths; `dask worker --nthreads 1` suits it best, since a
process reduces one exposure at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from typing import Any

from detectorist.campaign.local_pool import PoolEvent
from detectorist.campaign.worker import run_job, settle
from detectorist.errors import OutputError, ParameterError
from detectorist.modes.job import Job, JobRecord

TOPIC = "detectorist"
CONNECT_S = 10
#: Jobs handed over per worker: the next is there when one ends, and little is lost when a worker dies.
PER_WORKER = 2
#: Seconds between two looks at the number of workers.
COUNT_EVERY_S = 2.0
#: Modes that this process, a worker of a cluster, has imported.
_settled: set[str] = set()


class DaskPool:
    """Hands jobs to a Dask scheduler.

    Raises
    ------
    ParameterError
        When no scheduler answers at the address.
    """

    def __init__(self, address: str):
        from distributed import Client

        self.address = address
        try:
            self._client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ParameterError(
                f"scheduler {address}: no Dask scheduler answers ({error}); check the address and that it runs"
            ) from error
        self._futures: dict[str, Any] = {}
        self._events: queue.Queue[PoolEvent] = queue.Queue()
        self._client.subscribe_topic(TOPIC, self._hear_progress)
        self._counted = 0.0
        self.size = 0
        self._wait_for_workers()

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""
        if time.monotonic() - self._counted > COUNT_EVERY_S:
            self._count_workers()
        return PER_WORKER * self.size - len(self._futures)

    def prepare(self, mode: str, count: int) -> None:
        """Let every worker import and compile separately: they may not share a disk."""

    def start(self, job: Job) -> None:
        """Hand over a job."""
        future = self._client.submit(do_remotely, job.to_dict(), key=f"{job.name}-{time.time_ns()}", pure=False)
        self._futures[job.name] = future
        future.add_done_callback(lambda done, name=job.name: self._events.put(PoolEvent("done", name, done)))

    def wait(self, timeout_s: float) -> list[PoolEvent]:
        """Return what happened; raises OutputError when the scheduler is gone."""
        found: list[PoolEvent] = []
        try:
            found.append(self._events.get(timeout=timeout_s))
            while True:
                found.append(self._events.get_nowait())
        except queue.Empty:
            pass
        if self._client.status != "running":
            raise self._lost()
        return self._translate(found)

    def close(self) -> None:
        """Cancel what has not been done and disconnect from the cluster."""
        # Without a scheduler there is nothing to take back.
        with contextlib.suppress(OSError, asyncio.CancelledError, RuntimeError, TypeError):
            self._client.cancel(list(self._futures.values()), force=True)
        self._client.close(timeout=2)

    def _translate(self, found: list[PoolEvent]) -> list[PoolEvent]:
        """Return events without those of jobs that are over, and fetch all records that are ready at once."""
        events: list[PoolEvent] = []
        ended: list[PoolEvent] = []
        for event in found:
            if event.kind != "done":
                events += [event] if event.name in self._futures else []
            elif self._futures.get(event.name) is event.value:
                del self._futures[event.name]
                ended.append(event)
        finished = [event for event in ended if event.value.status == "finished"]
        for event, record in zip(finished, self._fetch(finished), strict=True):
            events.append(PoolEvent("record", event.name, record))
        for event in ended:
            if event.value.status == "error":
                reason = f"was lost ({type(event.value.exception()).__name__})"
                events.append(PoolEvent("died", event.name, reason))
            elif event.value.status != "finished":
                raise OutputError(
                    f"scheduler {self.address}: a job was cancelled; give the same command again to continue"
                )
        return events

    def _fetch(self, finished: list[PoolEvent]) -> list[JobRecord]:
        if not finished:
            return []
        try:
            return self._client.gather([event.value for event in finished])
        except (OSError, asyncio.CancelledError) as error:  # the scheduler died between the news and its content
            raise self._lost() from error

    def _hear_progress(self, event: tuple[float, Any]) -> None:
        _, message = event
        self._events.put(PoolEvent("progress", message["name"], tuple(message["progress"])))

    def _count_workers(self) -> None:
        self._counted = time.monotonic()
        try:
            self.size = len(self._client.scheduler_info(n_workers=-1)["workers"])
        except (KeyError, OSError) as error:
            raise self._lost() from error

    def _lost(self) -> OutputError:
        return OutputError(
            f"scheduler {self.address}: the connection was lost; give the same command again to continue"
        )

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + CONNECT_S
        self._count_workers()
        while self.size == 0:
            if time.monotonic() > deadline:
                raise ParameterError(
                    f"scheduler {self.address}: it has no workers; start some with "
                    f"`dask worker {self.address} --nthreads 1`"
                )
            time.sleep(0.1)
            self._count_workers()


def do_remotely(table: dict[str, Any]) -> JobRecord:
    """Do a job on a worker of a cluster; its progress goes through the scheduler."""
    from distributed import get_worker

    worker = get_worker()

    def progress(done: float, total: int, what: str) -> None:
        worker.log_event(TOPIC, {"name": table["name"], "progress": [float(done), int(total), str(what)]})

    if table["mode"] not in _settled:
        _settled.add(table["mode"])
        with contextlib.suppress(Exception, SystemExit):  # the job fails alike, and is recorded with its reason
            settle(table["mode"])
    return run_job(Job.from_dict(table), progress)
