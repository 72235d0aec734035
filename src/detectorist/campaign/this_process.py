"""Jobs run in this process, one after the other, as for a single exposure."""

from __future__ import annotations

import gc
from collections.abc import Callable

from detectorist.campaign.local_pool import PoolEvent
from detectorist.campaign.worker import run_job, settle_or_leave_it
from detectorist.libraries import idle_cores
from detectorist.libraries.garbage_collection import unsettle
from detectorist.modes.job import Job


class ThisProcess:
    """Does a job when it is waited for.

    Parameters
    ----------
    report : callable
        Called as report(name, done, total, what) while a job is done.
    cores : int
        Cores that the job may use: bits of products do not depend on them.
    """

    size = 1

    def __init__(self, report: Callable[[str, float, int, str], None], cores: int = 1):
        self._report = report
        self._cores = cores
        self._job: Job | None = None
        self._settled = False

    @property
    def free(self) -> int:
        """How many more jobs can be started now."""
        return 0 if self._job else 1

    def prepare(self, mode: str, count: int) -> None:
        """Settle for a mode until the end of the run."""
        if not self._settled and gc.get_freeze_count() == 0:
            self._settled = True
            settle_or_leave_it(mode)

    def start(self, job: Job) -> None:
        """Take a job, and settle for its mode."""
        self.prepare(job.mode, 1)
        self._job = job

    def wait(self, timeout_s: float) -> list[PoolEvent]:
        """Do the job and return its record."""
        job, self._job = self._job, None
        if job is None:
            return []
        with idle_cores.used(self._cores):
            record = run_job(job, lambda done, total, what: self._report(job.name, done, total, what))
        return [PoolEvent("record", job.name, record)]

    def close(self) -> None:
        """Drop a job that was not begun, and collect garbage as before."""
        self._job = None
        if self._settled:
            unsettle()
