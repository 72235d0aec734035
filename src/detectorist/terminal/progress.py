"""Progress bars for people, plain lines for log files."""

from __future__ import annotations

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


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[float, int, str], None]]:
    """Yield a function progress(done, total, what) that moves a bar; without a terminal it prints lines."""
    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield lambda done, total, what: console.print(f"{title} {done:g}/{total} {what}", highlight=False, markup=False)
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
