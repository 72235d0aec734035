"""Workers that are copies of the command's process: a few small exposures at once, without importing anything again.

A worker that starts from nothing takes longer to import its libraries than it would need for half of such exposures; a
copy has them from its first moment, and shares their memory. Only where nobody but this command has put anything into
the process: a notebook's may hold threads and devices that a copy cannot use. On Linux alone: frameworks of macOS do
not survive being copied.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import NoReturn

from detectorist.campaign.local_pool import LocalPool, Worker
from detectorist.campaign.worker import settle_or_leave_it
from detectorist.campaign.worker_main import main as serve
from detectorist.compilation.kernel_lists import read_list
from detectorist.libraries.garbage_collection import unsettle
from detectorist.modes import load_mode


def can_fork() -> bool:
    """Return whether a process of this system can be copied while its libraries are loaded."""
    return sys.platform == "linux"


class ForkedPool(LocalPool):
    """Up to `size` worker processes that are copies of this one, made once it has imported what their jobs need."""

    def __init__(self, size: int):
        super().__init__(size)
        self._settled = False

    def prepare(self, mode: str, count: int) -> None:
        """Import what the jobs need, and copy the process `count` times."""
        if not self._settled and gc.get_freeze_count() == 0:
            self._settled = True
            _import_kernels(mode)
            settle_or_leave_it(mode)
        super().prepare(mode, count)

    def close(self) -> None:
        """End all workers, and collect garbage as before."""
        super().close()
        if self._settled:
            unsettle()

    def _start_worker(self) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _Forked(_fork(ours, theirs))
        return self._greeted(process, Connection(ours.detach()))


def _import_kernels(mode: str) -> None:
    """Import what a job would when it comes to its kernels; one that cannot be imported says so in the job."""
    for module in {name.partition(":")[0] for name in read_list(load_mode(mode).kernels())}:
        with suppress(Exception):
            import_module(module)


class _Forked:
    """A copy of this process, with what `subprocess.Popen` has of one."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended, None while it runs: a code, or a signal's number, negative."""
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        """Return how it ended, when it has."""
        return self._look(0)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _look(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _fork(ours: socket.socket, theirs: socket.socket) -> int:
    """Copy this process and return the copy's id; the copy serves jobs, and never returns from here."""
    parent = os.getpid()
    with warnings.catch_warnings():
        # The one thread that a command may have draws its bars; nothing that it uses is used by a copy.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _serve(ours, theirs, parent)
    return pid


def _serve(ours: socket.socket, theirs: socket.socket, parent: int) -> NoReturn:
    """Do as a worker's program does that was started from nothing, and end without any of the parent's clean-up."""
    with suppress(BaseException):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()  # Ctrl-C reaches the parent only
        ours.close()
        _leave_terminal()
        serve(theirs.detach(), parent)
    os._exit(1)


def _leave_terminal() -> None:
    """Let go of what shows the parent's progress: bars and their locks, and what its files have not written yet."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    for logger in (logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)):
        for handler in logger.handlers[:]:
            if isinstance(handler, logging.StreamHandler):
                logger.removeHandler(handler)
