"""How a run is shown: bars on a terminal, one line per event in a log file, JSON for machines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from detectorist.campaign import events
from detectorist.terminal.lines import exposures, printable

if TYPE_CHECKING:
    from detectorist.campaign.events import Event, Report


#: Name of the bar for kernels that are compiled.
_COMPILATION = "compiling for this machine (once)"


@contextmanager
def shown(*, as_json: bool = False, quiet: bool = False) -> Iterator[Report]:
    """Yield a function that shows the events of a run."""
    console = Console(stderr=True, quiet=quiet)
    if as_json:
        yield _print_json
    elif console.is_terminal and not quiet:
        with _Bars(console) as bars:
            yield bars
    else:
        yield lambda event: _print_line(console, event)


def _print_json(event: Event) -> None:
    table = asdict(event)
    table["event"] = table.pop("kind")
    table.update(table.pop("numbers"))
    print(json.dumps(table, default=str), flush=True)


def _print_line(console: Console, event: Event) -> None:
    # The summary of the run repeats what the last event says.
    if event.kind not in (events.PROGRESS, events.ENDED) and not (
        event.kind == events.COMPILING and event.numbers["done"]
    ):
        console.out(printable(line_of(event)), highlight=False)


def line_of(event: Event) -> str:
    """Return an event as one line of a log."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    numbers = event.numbers
    if event.kind == events.PLANNED:
        kept = f", {numbers['reused']} up to date" if numbers["reused"] else ""
        together = f", {numbers['workers']} at a time" if numbers["workers"] else ""
        return f"{clock} {exposures(numbers['total'])}{kept}{together}"
    if event.kind == events.COMPILING:
        return f"{clock} compiling {numbers['total']} functions for this machine (once; {numbers['workers']} at a time)"
    if event.kind == events.FINISHED:
        text = f": {event.text}" if event.text else ""
        return f"{clock} {event.name} {numbers['state']} in {numbers['seconds']:.1f} s{text}"
    return f"{clock} {event.name} {event.kind}" + (f": {event.text}" if event.text else "")


def counted(counts: dict[str, int]) -> str:
    """Return "3 done, 1 crashed": the states that any job is in."""
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"


class _Bars:
    """A bar for all exposures, and one for each that is being reduced."""

    def __init__(self, console: Console):
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[what]}"),
            console=console,
        )
        self._all = self._progress.add_task("exposures", total=None, what="")
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if event.kind == events.PLANNED:
            numbers = event.numbers
            self._progress.update(self._all, total=numbers["total"], completed=numbers["reused"])
        elif event.kind == events.COMPILING:
            self._compiled(event.numbers["done"], event.numbers["total"])
        elif event.kind == events.STARTED:
            self._tasks[event.name] = self._progress.add_task(f"  {event.name}", total=None, what="")
        elif event.kind == events.PROGRESS and event.name in self._tasks:
            self._progress.update(
                self._tasks[event.name],
                completed=event.numbers["done"],
                total=event.numbers["total"],
                what=event.text.removeprefix(f"{event.name}: "),
            )
        elif event.kind in (events.FINISHED, events.RETRIED):
            self._end(event)

    def _compiled(self, done: int, total: int) -> None:
        if _COMPILATION not in self._tasks:
            self._tasks[_COMPILATION] = self._progress.add_task(_COMPILATION, total=total, what="")
        self._progress.update(self._tasks[_COMPILATION], completed=done)
        if done == total:
            self._progress.remove_task(self._tasks.pop(_COMPILATION))

    def _end(self, event: Event) -> None:
        if event.name in self._tasks:
            self._progress.remove_task(self._tasks.pop(event.name))
        if event.kind == events.FINISHED:
            self._progress.advance(self._all)
        if event.text:
            self._progress.console.out(printable(line_of(event)), highlight=False)
