"""A run on the terminal: the plan, progress, a summary and the exit code."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from detectorist.cli.exit_codes import CRASHED, INTERRUPTED, UNPROCESSABLE
from detectorist.cli.report import load_report, report_after_run
from detectorist.errors import OutputError, ParameterError
from detectorist.terminal.lines import exposures, first_line, printable

if TYPE_CHECKING:
    from detectorist.campaign.events import Event, Report
    from detectorist.campaign.plan import Plan, PlanRequest
    from detectorist.campaign.run import Execution

#: Columns of a table that goes to a file or another program.
WIDTH_OF_FILES = 240
#: The page that a run leaves.
REPORT = "report.html"


def make_execution(
    workers: int | None, scheduler: str | None, memory_limit: str | int | None, timeout_s: float | None = None
) -> Execution:
    """Return how to run, from options."""
    from detectorist.campaign.memory import parse_bytes
    from detectorist.campaign.run import Execution

    if workers and scheduler:
        raise ParameterError("--workers and --scheduler: a cluster has its own number of workers; give one of the two")
    if timeout_s is not None and not timeout_s > 0:
        raise ParameterError(f"--timeout is {timeout_s:g}; a positive number of seconds is needed")
    limit = parse_bytes(memory_limit) if memory_limit else None
    return Execution(workers, scheduler, limit, timeout_s, alone=True)


def conduct(
    request: PlanRequest,
    execution: Execution,
    *,
    dry_run: bool = False,
    as_json: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Plan a run, and execute it unless only the plan is requested; exits with the run's exit code."""
    from detectorist.campaign.plan import plan_run
    from detectorist.terminal.lines import print_lines

    if overwrite:
        request = replace(request, options={**request.options, "overwrite": True})
    plan = plan_run(request, again=overwrite, memory_bytes=execution.memory_per_job)
    if dry_run:
        print_lines(plan.notes, quiet=quiet, stderr=as_json)
        show_plan(plan, execution, as_json=as_json)
        return
    run_plan(plan, execution, as_json=as_json, quiet=quiet, verbose=verbose)


def run_plan(
    plan: Plan, execution: Execution, *, as_json: bool = False, quiet: bool = False, verbose: bool = False
) -> None:
    """Execute a plan, show it, print failures, and exit with the exit code."""
    from detectorist.campaign.run import run_campaign
    from detectorist.cli.events_view import counted, shown
    from detectorist.terminal.lines import print_lines
    from detectorist.terminal.log import terminal_log

    print_lines(plan.notes, quiet=quiet, stderr=as_json)
    told_of: set[str] = set()
    try:
        with shown(as_json=as_json, quiet=quiet) as report, terminal_log(verbose=verbose):
            listener = _loading_report(_noting(report, told_of), plan)
            counts = run_campaign(plan, execution, report=listener, command=shlex.join(["detectorist", *sys.argv[1:]]))
    except OutputError as error:
        # A full disk or a lost cluster ends the run, and says nothing against the data.
        if quiet or OutputError.__name__ not in told_of:  # else the ledger finds no room where a product found none
            print(printable(f"error: {error}"), file=sys.stderr)
        raise typer.Exit(CRASHED) from None
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it is ending; a second one would change how
        print("interrupted: finished products are kept; run the same command again to continue", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if quiet or not plan.to_run:  # else the events have told
        for line in failures(plan.output_dir, {planned.job.name for planned in plan.jobs}):
            print(printable(line), file=sys.stderr)
    if not quiet:
        done = counted(counts) if plan.to_run else f"nothing to do: {counted(counts)} before, unchanged since"
        print_lines([*summaries(plan), f"{done}; products in {plan.output_dir}"], stderr=as_json)
    no_room = False
    if plan.to_run or not (plan.output_dir / REPORT).is_file():
        no_room = report_after_run(plan.output_dir, quiet=quiet or as_json, told=OutputError.__name__ in told_of)
    raise typer.Exit(CRASHED if no_room else exit_code(counts))


def summaries(plan: Plan, *, most: int = 5) -> list[str]:
    """Return a few lines on each of the first exposures that are done."""
    from detectorist.campaign.ledger import Ledger
    from detectorist.modes import load_mode
    from detectorist.modes.job import DONE

    with Ledger(plan.output_dir, read_only=True) as ledger:
        entries = ledger.entries([planned.job.name for planned in plan.jobs[:most]])
    lines = []
    for entry in entries.values():
        if entry.state == DONE:
            told = load_mode(entry.job.mode).summarise(entry.record)
            lines += [f"{entry.job.name}: {told[0]}", *(f"  {line}" for line in told[1:])] if told else []
    return lines


def exit_code(counts: dict[str, int]) -> int:
    """Return 0 when all is done, 4 when something crashed, else 3 when something cannot be processed."""
    from detectorist.modes import job

    if counts.get(job.CRASHED):
        return CRASHED
    return UNPROCESSABLE if counts.get(job.UNPROCESSABLE) else 0


def failures(folder: Path, names: set[str] | None = None, *, most: int = 10) -> list[str]:
    """Return a line for each of the first failed jobs."""
    from detectorist.campaign.ledger import Ledger
    from detectorist.modes import job

    with Ledger(folder, read_only=True) as ledger:
        entries = ledger.entries()
    failed = [
        entry
        for name, entry in entries.items()
        if entry.state in (job.UNPROCESSABLE, job.CRASHED) and (names is None or name in names)
    ]
    lines = [f"{entry.job.name}: {entry.state}: {first_line(entry.record.message)}" for entry in failed[:most]]
    if len(failed) > most:
        lines.append(f"... and {len(failed) - most} more: detectorist status {folder}")
    return lines


def _noting(report: Report, errors: set[str]) -> Report:
    """Return a listener to events that also notes the kinds of errors that jobs have ended with."""

    def listen(event: Event) -> None:
        errors.add(str(event.numbers.get("error", "")))
        report(event)

    return listen


def _loading_report(report: Report, plan: Plan) -> Report:
    """Return a listener to events that also loads what the report needs, once workers do the last of the exposures.

    A core is idle then, and so is this process.
    """
    from detectorist.campaign.events import FINISHED, PLANNED

    workers, left = 1, len(plan.to_run)

    def listen(event: Event) -> None:
        nonlocal workers, left
        report(event)
        workers = event.numbers.get("workers", workers) if event.kind == PLANNED else workers
        left -= event.kind == FINISHED
        if event.kind == FINISHED and 0 < left < workers:
            load_report({planned.job.mode for planned in plan.jobs})

    return listen


def show_plan(plan: Plan, execution: Execution, *, as_json: bool) -> None:
    """Print the plan of a run."""
    from detectorist.modes import load_mode

    described: dict[tuple, dict[str, Any]] = {}
    for planned in plan.jobs:
        what = (planned.job.mode, planned.job.recipe, planned.job.settings, planned.job.references)
        if what not in described:
            mode = load_mode(planned.job.mode)
            described[what] = {
                "first": planned.job.name,
                "steps": mode.steps_of(planned.job),
                "references": mode.references_of(planned.job),
                "exposures": 0,
            }
        described[what]["exposures"] += 1
    workers = plan.workers(execution.workers, execution.memory_limit)
    if as_json:
        _print_plan_json(plan, list(described.values()), workers)
    else:
        _print_plan(plan, list(described.values()), workers)


def _print_plan_json(plan: Plan, described: list[dict[str, Any]], workers: int) -> None:
    jobs = [
        {
            "name": planned.job.name,
            "needed": planned.needed,
            "reason": planned.reason,
            "files": list(planned.job.files),
            "settings": list(planned.job.settings),
            "options": planned.job.options,
            "after": list(planned.job.after),
            "note": planned.note,
            "memory_bytes": planned.prediction.memory_bytes,
            "disk_bytes": planned.prediction.disk_bytes,
        }
        for planned in plan.jobs
    ]
    print(json.dumps({"workers": workers, "jobs": jobs, "configurations": described}))


def _print_plan(plan: Plan, described: list[dict[str, Any]], workers: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from detectorist.campaign.memory import format_bytes
    from detectorist.terminal.lines import print_lines

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    table = Table(box=None, pad_edge=False)
    table.add_column("exposure", overflow="fold", no_wrap=True)
    for name in ("files", "what", "memory", "disk"):
        table.add_column(name)
    for planned in plan.jobs:
        memory, disk = planned.prediction.memory_bytes, planned.prediction.disk_bytes
        chunk = planned.job.options.get("chunk_ints")
        what = [("run: " if planned.needed else "keep: ") + planned.reason]
        if chunk and planned.needed:
            what.append(f"{chunk} integrations at a time")
        if planned.job.after and planned.needed:
            what.append(f"after {len(planned.job.after)} earlier")
        table.add_row(
            Text(planned.job.name),  # a name is no markup
            str(len(planned.job.files) or ""),
            Text(", ".join([*what, *([planned.note] if planned.note else [])])),
            format_bytes(memory) if memory else ("?" if planned.needed else ""),
            format_bytes(disk) if disk else ("?" if planned.needed else ""),
        )
    console.print(table)
    for one in described:
        print_lines([f"{one['exposures']} as {one['first']}:", f"  steps: {', '.join(one['steps'])}"])
        print_lines(_lines_of_references(needed_references(one)))
    print_lines(
        [
            f"{len(plan.to_run)} of {exposures(len(plan.jobs))} to run, {workers} at a time, "
            f"about {format_bytes(plan.disk_bytes)} to be written to {plan.output_dir}"
        ]
    )


def _lines_of_references(needed: list[tuple[str, str]]) -> list[str]:
    """Return a line for each reference; types that are missing for the same reason share one at the end."""
    lines: list[str] = []
    lacking: dict[str, list[str]] = {}
    for kind, name in needed:
        if name.startswith("missing"):
            lacking.setdefault(name, []).append(kind)
        else:
            lines.append(f"  reference {kind}: {name}")
    return lines + [
        f"  reference{'s' if kinds[1:] else ''} {', '.join(kinds)}: {why}" for why, kinds in lacking.items()
    ]


def needed_references(described: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the references of types that exist for these data."""
    return [(kind, name) for kind, name in described["references"].items() if name != "N/A"]
