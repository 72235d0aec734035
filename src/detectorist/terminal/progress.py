"""Progress bars on a terminal, a few plain lines in log files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

#: Without a terminal, progress is printed after every such share of the work, or after so many seconds without a line.
SHARE_PER_LINE, SECONDS_PER_LINE = 0.5, 300.0


class ProgressLines:
    """Progress as lines of a log file: at the end, and in between at intervals.

    Parameters
    ----------
    title : str
        First word of every line.
    console : rich.console.Console
    clock : callable
        Returns seconds.
    """

    def __init__(self, title: str, console: Console, clock: Callable[[], float] = time.monotonic):
        self._title, self._console, self._clock = title, console, clock
        self._share, self._time = 0.0, clock()

    def __call__(self, done: float, total: int, what: str) -> None:
        """Print a line if enough has happened since the last one."""
        share, now = done / total if total else 0.0, self._clock()
        if share - self._share < SHARE_PER_LINE and now - self._time < SECONDS_PER_LINE:
            return
        self._share, self._time = share, now
        self._console.out(f"{self._title} {done:.3g}/{total} {what}", highlight=False)


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[float, int, str], None]]:
    """Yield a function progress(done, total, what) that moves a bar; without terminal or notebook it prints lines."""
    console = Console(stderr=True, quiet=quiet)
    if not (console.is_terminal or console.is_jupyter):
        yield ProgressLines(title, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(title, total=None, what="")

        def advance(done: float, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, what=what)

        yield advance
