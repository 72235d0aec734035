"""Compilation beside what else a run does before its first exposure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from detectorist.compilation.kernel_lists import missing, read_list
from detectorist.libraries.idle_cores import processors

#: So few kernels are compiled where they are called: starting processes takes as long.
FEW = 16
#: More processes would wait for each other: some kernels call others, five deep.
MOST_PROCESSES = 8
#: Memory that a process which compiles takes.
PROCESS_BYTES = 400e6


class Ahead:
    """Processes that compile the kernels of a list.

    Parameters
    ----------
    file : Path
        A list of kernels (`kernels.json`).
    processes : int, optional
        By default one for each processor. With a single one nothing is compiled ahead: the run does as well.
    memory_limit : int, optional
        Bytes that they may take together.

    Attributes
    ----------
    number : int
        How many kernels are compiled ahead; 0 where nothing is.
    processes : int
    """

    def __init__(self, file: Path, processes: int | None = None, memory_limit: int | None = None):
        most = MOST_PROCESSES if memory_limit is None else int(memory_limit // PROCESS_BYTES)
        self.processes = min(processes or processors(), MOST_PROCESSES, most)
        lacking = len(missing(read_list(file)))
        self.number = lacking if lacking > FEW and self.processes > 1 else 0
        self._process = self._start(file) if self.number else None

    def _start(self, file: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "detectorist.compilation.compiler_main", str(file), str(self.processes)]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what cannot be compiled says so where it is called
            text=True,
            start_new_session=True,  # Ctrl-C reaches the run only, which ends these
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def wait(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Return when the processes have ended; progress(done, total) is called after each kernel."""
        if self._process is None or self._process.stdout is None:
            return
        for line in self._process.stdout:
            done, total = map(int, line.split())
            progress(done, total)
        self._process.wait()

    def close(self) -> None:
        """End the processes if they still work; kernels are in the cache completely or not at all."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
