"""Runs from scripts and notebooks: the same as `detectorist run`, and the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from detectorist.campaign import events
from detectorist.campaign.campaign_file import expand
from detectorist.campaign.events import Event, Report
from detectorist.campaign.exposures import read_choices_as
from detectorist.campaign.ledger import Entry, Ledger
from detectorist.campaign.plan import PlanRequest, plan_run
from detectorist.campaign.run import Execution, run_campaign
from detectorist.modes import load_mode
from detectorist.modes.job import Progress, Wanted
from detectorist.reduction.recipes.settings import setting


def run(
    request: PlanRequest,
    execution: Execution | None = None,
    *,
    again: bool = False,
    report: Report = lambda event: None,
    command: str = "",
) -> dict[str, Entry]:
    """Carry out a run and return its entries in the ledger, by exposure.

    again : bool
        Redo everything, even what is up to date.

    Raises
    ------
    DetectoristError
        Before anything is done; an exposure that fails is an entry.
    """
    execution = execution or Execution()
    plan = plan_run(request, again=again, memory_bytes=execution.memory_per_job)
    run_campaign(plan, execution, report=report, command=command)
    with Ledger(request.output_dir, read_only=True) as ledger:
        entries = ledger.entries()
    return {planned.job.name: entries[planned.job.name] for planned in plan.jobs}


def reduce(
    mode: str,
    files: str | Path | Iterable[str | Path],
    output_dir: str | Path,
    *,
    recipe: str | None = None,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Sequence[str] = (),
    table: str | Path | None = None,
    wanted: Wanted | None = None,
    references: str | Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Entry]:
    """Reduce exposures and return the ledger's entry of each, by name: the base of `detectorist.reduce_lrs`.

    The parameters are those of `detectorist.reduce_lrs`, apart from:

    mode : str
        As in `detectorist run MODE`.
    wanted : Wanted, optional
        Values from the options of the mode.
    progress : callable, optional
        Called as progress(done, total, what).

    Raises
    ------
    DetectoristError
        When nothing can be reduced, with the reason.
    """
    listed = [files] if isinstance(files, str | Path) else list(files)
    chosen = [
        setting(f"{step}.{name}", value) for step, values in (steps or {}).items() for name, value in values.items()
    ]
    wanted = wanted or Wanted()
    request = PlanRequest(
        mode=mode,
        files=expand([str(wanted.find(Path(file))) for file in listed], load_mode(mode).suffixes),
        output_dir=Path(output_dir),
        recipe=recipe,
        settings=wanted.settings,
        choices=read_choices_as(Path(table), wanted.columns, wanted.implied) if table is not None else None,
        allow_unmatched=not wanted.all_matched,
        overrides=[*wanted.overrides, *chosen, *settings],
        references=None if references is None else str(references),
        options={**wanted.options, **({"overwrite": True} if overwrite else {})},
        subdir=wanted.subdir,
        directly=True,
        persistence_time_s=wanted.persistence_time_s,
        through=wanted.through,
    )
    execution = Execution(workers, scheduler, memory_limit)
    report = as_report(progress) if progress is not None else lambda event: None
    return run(request, execution, again=overwrite, report=report, command=f"reduce_{mode}")


def as_report(progress: Progress) -> Report:
    """Return a listener to events that moves a bar of exposures: progress(done, total, what)."""
    state = {"done": 0.0, "total": 0}

    def report(event: Event) -> None:
        if event.kind == events.PLANNED:
            state.update(done=event.numbers["reused"], total=event.numbers["total"])
        elif event.kind == events.STARTED:
            progress(state["done"], int(state["total"]), event.name)
        elif event.kind == events.PROGRESS:
            share = event.numbers["done"] / max(event.numbers["total"], 1)
            progress(state["done"] + min(share, 1.0), int(state["total"]), event.text)
        elif event.kind == events.FINISHED:
            state["done"] += 1
        elif event.kind == events.ENDED:
            progress(state["done"], int(state["total"]), "done")

    return report
