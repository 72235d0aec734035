"""`detectorist status OUT` and `detectorist retry OUT`: the state of a run, and another try for failed exposures."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detectorist.cli import run as options
from detectorist.cli.conduct import make_execution, run_plan
from detectorist.errors import NoSuchFile
from detectorist.terminal.lines import exposures, first_line, print_lines, printable
from detectorist.terminal.options import Quiet

if TYPE_CHECKING:
    from detectorist.campaign.ledger import Entry, Ledger

Folder = Annotated[Path, typer.Argument(help="Output folder of a run.")]


#: What was being reduced when its run was killed.
UNFINISHED = "not finished"


def status(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole ledger as JSON.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List every exposure, not only those that failed.")] = False,
) -> None:
    """Show the state of a run, from its ledger; works while it runs, too.

    Example: detectorist status out
    """
    from detectorist.campaign import lock

    with _ledger(folder) as ledger:
        entries, run = ledger.entries(), ledger.last_run()
    running = lock.is_held(folder)
    if as_json:
        print(json.dumps({"run": run, "running": running, "jobs": [_plain(entry) for entry in entries.values()]}))
        return
    for line in _report(entries, run, running=running, every=every):
        typer.echo(printable(line))


def retry(
    folder: Folder,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    memory_limit: options.MemoryLimit = None,
    timeout: options.Timeout = None,
    as_json: options.Json = False,
    quiet: Quiet = False,
) -> None:
    """Run again the exposures that crashed, could not be processed, or were not finished.

    Example: detectorist retry out --workers 1
    """
    from detectorist.campaign.plan import plan_retry

    with _ledger(folder) as ledger:
        entries = ledger.entries()
    execution = make_execution(workers, scheduler, memory_limit, timeout)
    plan = plan_retry(folder, memory_bytes=execution.memory_per_job)
    if plan.jobs:
        run_plan(plan, execution, as_json=as_json, quiet=quiet)
    print_lines([f"nothing to retry: {_counted(entries)}; products in {folder}"], quiet=quiet, stderr=as_json)


def _ledger(folder: Path) -> Ledger:
    """Return the ledger of a folder, to be read."""
    from detectorist.campaign.ledger import Ledger

    if not folder.is_dir():
        raise NoSuchFile(f"{folder}: no such folder")
    return Ledger(folder, read_only=True)


def _report(entries: dict[str, Entry], run: dict[str, Any], *, running: bool, every: bool) -> list[str]:
    from detectorist.campaign.memory import format_bytes
    from detectorist.modes import job

    if not running:
        # A process that was killed could not say that its exposures are no longer reduced.
        entries = {
            name: replace(entry, state=UNFINISHED) if entry.state == job.RUNNING else entry
            for name, entry in entries.items()
        }
    lines = [_state_of(run, running=running), f"{exposures(len(entries))}: {_counted(entries)}"]
    done = [entry.record for entry in entries.values() if entry.state == job.DONE]
    if done:
        mean = sum(record.seconds for record in done) / len(done)
        peak = max(record.peak_bytes for record in done)
        lines.append(f"done in {mean:.1f} s each on average; largest peak memory {format_bytes(peak)}")
    shown = [
        job.RUNNING,
        UNFINISHED,
        job.CRASHED,
        job.UNPROCESSABLE,
        *([job.WAITING, job.SKIPPED, job.DONE] if every else []),
    ]
    for state in shown:
        lines += [_line(entry) for entry in entries.values() if entry.state == state]
    return lines


def _counted(entries: dict[str, Entry]) -> str:
    """Return "3 done, 1 crashed"."""
    from detectorist.campaign.run import count_states
    from detectorist.cli.events_view import counted

    return counted(count_states({name: entry.state for name, entry in entries.items()}))


def _state_of(run: dict[str, Any], *, running: bool) -> str:
    """Return whether a run goes on, since when and where, or how the last one ended."""
    if not run:
        return "not running; no run has begun yet"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run["started"]))
    if running:
        return f"running since {since} (process {run['pid']} on {run['host']})"
    ended = "ended" if run["finished"] else "was interrupted"
    return f"not running; the last run began {since} and {ended}"


def _line(entry: Entry) -> str:
    text = entry.doing or entry.record.message
    return f"  {entry.state:13s} {entry.job.name}" + (f": {first_line(text)}" if text else "")


def _plain(entry: Entry) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(entry.record), "state": entry.state, "attempts": entry.attempts, "job": entry.job.to_dict()}
