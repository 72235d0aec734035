"""`detectorist run CAMPAIGN.toml`: many exposures, on this machine or a cluster, interrupted and continued at will."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from detectorist.cli import CRASHED, UNPROCESSABLE
from detectorist.cli.options import Quiet
from detectorist.cli.report import report_after_run
from detectorist.errors import OutputError, ParameterError

if TYPE_CHECKING:
    from detectorist.campaign.plan import Plan, PlanRequest
    from detectorist.campaign.run import Execution

HOW = "How it is run"
#: Columns of a table that goes to a file or another program.
WIDTH_OF_FILES = 240

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-j", min=1, help="Processes on this machine. Default: what memory allows.", rich_help_panel=HOW
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="Address of a Dask scheduler to use instead, as tcp://host:8786.", rich_help_panel=HOW),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(help="Memory for all processes together, as 8GB; long exposures go in chunks.", rich_help_panel=HOW),
]
ChunkInts = Annotated[
    int | None,
    typer.Option(min=2, help="Stage 1 in chunks of so many integrations; same results.", rich_help_panel=HOW),
]
PersistenceTime = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Seconds for which pixels that saturated are flagged in later exposures on their detector, as 4000. "
        "Default: 0, never.",
        rich_help_panel=HOW,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.", rich_help_panel=HOW)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per event on stdout.", rich_help_panel=HOW)]
Timeout = Annotated[
    float | None, typer.Option(help="Seconds after which an exposure counts as crashed.", rich_help_panel=HOW)
]
Force = Annotated[bool, typer.Option("--force", help="Do everything again, even where it is up to date.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="step.parameter=value, stronger than file and table; repeatable."),
]


class RunGroup(TyperGroup):
    """Takes `run CAMPAIGN.toml` for `run campaign CAMPAIGN.toml`, with options before or behind."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command where a file stands in its place."""
        if args and args[0] not in self.commands and any(word.endswith(".toml") for word in args):
            args = ["campaign", *args]
        return super().parse_args(ctx, args)


def campaign(
    file: Annotated[Path, typer.Argument(help="TOML file that says which exposures, which recipe, and how.")],
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help="Folder for products, instead of the file's.")
    ] = None,
    set_: Set = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory_limit: MemoryLimit = None,
    chunk_ints: ChunkInts = None,
    timeout: Timeout = None,
    persistence_time: PersistenceTime = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Run a campaign from a file: hundreds of exposures, resumed by content.

    Exit codes: 0 all done, 2 bad arguments, 3 some exposures cannot be processed, 4 some crashed.

    Example: detectorist run campaign.toml --dry-run
    """
    from detectorist.campaign.campaign_file import expand, read_campaign
    from detectorist.campaign.plan import PlanRequest
    from detectorist.modes import load_mode

    written = read_campaign(file)
    how = written.execution
    folder = output_dir or written.output_dir
    request = PlanRequest(
        mode=written.mode,
        files=expand(written.inputs, load_mode(written.mode).suffixes, exclude=written.exclude),
        output_dir=folder,
        recipe=written.recipe,
        settings=written.settings(),
        choices=written.exposures.read() if written.exposures else None,
        allow_unmatched=bool(written.exposures and written.exposures.unmatched == "ignore"),
        overrides=set_ or (),
        references=_references(written.references, folder),
        persistence_time_s=written.persistence_time if persistence_time is None else persistence_time,
    )
    execution = make_execution(
        workers or how.workers,
        scheduler or how.scheduler,
        memory_limit or how.memory_limit,
        timeout or how.timeout_s,
    )
    conduct(
        request, execution, chunk_ints or how.chunk_ints, dry_run=dry_run, as_json=as_json, force=force, quiet=quiet
    )


def is_campaign(mode: str, files: list[Path], *options: Any) -> bool:
    """Tell whether files and options ask for a campaign: several exposures, or any option that only it has."""
    from detectorist.modes import group_exposures, load_mode

    return any(options) or len(group_exposures(load_mode(mode), files)) > 1


def request_from_options(
    mode: str,
    files: list[Path],
    output_dir: Path,
    recipe: str | None,
    table: Path | None,
    settings: list[str],
    references: str | None,
) -> PlanRequest:
    """Return the campaign that options of a command ask for."""
    from detectorist.campaign.campaign_file import expand
    from detectorist.campaign.exposures import read_choices
    from detectorist.campaign.plan import PlanRequest
    from detectorist.modes import load_mode

    return PlanRequest(
        mode=mode,
        files=expand([str(file) for file in files], load_mode(mode).suffixes),
        output_dir=output_dir,
        recipe=str(Path(recipe).resolve()) if recipe and recipe.endswith(".toml") else recipe,
        choices=read_choices(table) if table else None,
        overrides=settings,
        references=references,
        directly=True,
    )


def make_execution(
    workers: int | None, scheduler: str | None, memory_limit: str | int | None, timeout_s: float | None = None
) -> Execution:
    """Return how to run, from options."""
    from detectorist.campaign.memory import parse_bytes
    from detectorist.campaign.run import Execution

    if workers and scheduler:
        raise ParameterError("--workers and --scheduler: a cluster has its own number of workers; give one of the two")
    return Execution(workers, scheduler, parse_bytes(memory_limit) if memory_limit else None, timeout_s)


def conduct(
    request: PlanRequest,
    execution: Execution,
    chunk_ints: int | None = None,
    *,
    dry_run: bool = False,
    as_json: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> None:
    """Plan a campaign, and run it unless only the plan is wanted; leaves with the campaign's exit code."""
    from detectorist.campaign.plan import make_jobs, make_plan

    options: dict[str, Any] = {"force": True} if force else {}
    if chunk_ints:
        options["chunk_ints"] = chunk_ints
    jobs = make_jobs(replace(request, options={**request.options, **options}))
    plan = make_plan(jobs, request.output_dir, force=force, memory_bytes=memory_per_job(execution))
    if dry_run:
        show_plan(plan, execution, as_json=as_json)
        return
    run_plan(plan, execution, as_json=as_json, quiet=quiet)


def memory_per_job(execution: Execution) -> int:
    """Return what one job may take: its share of the limit; 0 without a limit."""
    return (execution.memory_limit or 0) // (execution.workers or 1)


def run_plan(plan: Plan, execution: Execution, *, as_json: bool, quiet: bool) -> None:
    """Run a plan, show it, say what failed, and leave with the exit code."""
    from rich.console import Console

    from detectorist.campaign.run import run_campaign
    from detectorist.cli.campaign_view import counted, shown

    try:
        with shown(as_json=as_json, quiet=quiet) as report:
            counts = run_campaign(plan, execution, report=report, command=" ".join(sys.argv))
    except OutputError as error:
        # A full disk or a lost cluster ends the run, and says nothing against the data.
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(CRASHED) from None
    console = Console(stderr=as_json, quiet=quiet)
    for line in failures(plan.output_dir, {planned.job.name for planned in plan.jobs}):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"{counted(counts)}; products in {plan.output_dir}", highlight=False, markup=False, soft_wrap=True)
    report_after_run(plan.output_dir, quiet=quiet or as_json)
    raise typer.Exit(exit_code(counts))


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
    lines = [f"{entry.job.name}: {entry.state}: {entry.record.message.splitlines()[0]}" for entry in failed[:most]]
    if len(failed) > most:
        lines.append(f"... and {len(failed) - most} more: detectorist status {folder}")
    return lines


def show_plan(plan: Plan, execution: Execution, *, as_json: bool) -> None:
    """Print what would be done."""
    from detectorist.modes import load_mode

    described: dict[tuple, dict[str, Any]] = {}
    for planned in plan.jobs:
        what = (planned.job.recipe, planned.job.settings, planned.job.references)
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

    from detectorist.campaign.memory import format_bytes

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
            what.append(f"after {len(planned.job.after)} earlier exposures")
        table.add_row(
            planned.job.name,
            str(len(planned.job.files)),
            ", ".join([*what, *([planned.note] if planned.note else [])]),
            format_bytes(memory) if memory else ("?" if planned.needed else ""),
            format_bytes(disk) if disk else ("?" if planned.needed else ""),
        )
    console.print(table)
    for one in described:
        console.print(f"{one['exposures']} as {one['first']}:", markup=False, highlight=False)
        console.print(f"  steps: {', '.join(one['steps'])}", markup=False, highlight=False, soft_wrap=True)
        for kind, name in needed_references(one):
            console.print(f"  reference {kind}: {name}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{len(plan.to_run)} of {len(plan.jobs)} exposures to run, {workers} at a time, "
        f"about {format_bytes(plan.disk_bytes)} to be written to {plan.output_dir}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def needed_references(described: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the references that these data have: most types that stock steps know are for other instruments."""
    return [(kind, name) for kind, name in described["references"].items() if name != "N/A"]


def _references(references: str | None, folder: Path) -> str | None:
    from detectorist.cli.references import folder_of_references

    return folder_of_references(references, folder)
