"""The program of a local worker process: `python -m detectorist.campaign.worker_main FD`, started by `LocalPool`.

A program of its own, not a forked or re-imported parent: a script without `if __name__ == "__main__"` can start a
campaign, and a worker holds nothing of its parent but one socket. When the parent ends, the worker ends as well.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from detectorist.campaign import memory
from detectorist.campaign.worker import APPEND, LOG, run_job, settle_or_leave_it
from detectorist.libraries.docstrings import leave_docstrings_unwritten
from detectorist.libraries.freed_memory import keep_freed_memory
from detectorist.libraries.garbage_collection import collect_rarely
from detectorist.modes.job import Job

#: prctl option (Linux, sys/prctl.h): the signal this process gets when its parent dies.
PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int) -> None:
    """Serve jobs until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _die_with(parent)
    collect_rarely()
    keep_freed_memory()
    leave_docstrings_unwritten()
    connection = Connection(descriptor)
    inbox: queue.Queue = queue.Queue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    sys.path[:] = inbox.get()
    connection.send(("ready",))
    settled: set[str] = set()
    while True:
        kind, value = inbox.get()
        mode = value if kind == "prepare" else value["mode"]
        if mode not in settled:
            settled.add(mode)
            settle_or_leave_it(mode)
        if kind == "prepare":
            connection.send(("prepared",))
        else:
            _serve(connection, Job.from_dict(value))


def _serve(connection: Connection, job: Job) -> None:
    _redirect_output(job.beside(LOG))

    def progress(done: float, total: int, what: str) -> None:
        connection.send(("progress", float(done), int(total), str(what)))

    record = run_job(job, progress)
    connection.send(("record", record, memory.resident_bytes()))


def _listen(connection: Connection, inbox: queue.Queue) -> None:
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _redirect_output(log: Path) -> None:
    """Send everything a library prints, from C too, to the exposure's log."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, APPEND)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except OSError:
        os._exit(1)  # the parent is gone
