"""The plan of a run: jobs, what is kept, and the expected time and memory of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detectorist.atomic_files import writing
from detectorist.campaign import memory
from detectorist.campaign.chosen_files import files_of_mode
from detectorist.campaign.exposures import Choices, require_safe_name
from detectorist.campaign.job_keys import with_keys
from detectorist.campaign.later_stages import later_jobs, split_settings, stages_through
from detectorist.campaign.ledger import Entry, Ledger, inputs_are_same, is_same, products_are_whole
from detectorist.campaign.order import in_order_of_time, what_was_left
from detectorist.campaign.unused_settings import settings_without_effect
from detectorist.errors import InputError, OutputError, ParameterError, PlaceTaken
from detectorist.libraries.idle_cores import processors
from detectorist.modes import Mode, group_exposures, load_mode
from detectorist.modes.job import CRASHED, DONE, SKIPPED, UNPROCESSABLE, Gathered, Job, JobRecord, Prediction
from detectorist.parameters import require_utf8

#: Memory of a worker whose job cannot be predicted.
UNKNOWN_BYTES = 2_000_000_000
#: Why a job is needed whose input is another one, or gone.
_CHANGED = "input changed"
#: Left free on the disk, whatever a campaign writes.
SPARE_DISK_BYTES = 100_000_000


@dataclass(frozen=True)
class PlanRequest:
    """A request for a campaign, from a file or from options.

    Attributes
    ----------
    files : sequence of Path
        Of all exposures.
    settings : sequence of str
        For all exposures, of lower precedence than the table's.
    choices : Choices, optional
        Per exposure.
    overrides : sequence of str
        Of highest precedence (`--set`).
    subdir : str, optional
        Folder for products below `output_dir`, instead of the mode's own.
    gathered : callable, optional
        Returns the exposures, from the parameters of all steps, instead of the mode's grouping of `files`.
    directly : bool
        The products of a single exposure go to `output_dir` itself, not to a folder of its name.
    persistence_time_s : float
        For this time after an exposure, pixels that saturated in it are flagged in the next ones on its detector; 0:
        never.
    through : str
        Name of the last stage; "" for the first alone.
    """

    mode: str
    files: Sequence[Path]
    output_dir: Path
    recipe: str | None = None
    settings: Sequence[str] = ()
    choices: Choices | None = None
    allow_unmatched: bool = False
    overrides: Sequence[str] = ()
    references: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    subdir: str | None = None
    gathered: Callable[[dict[str, dict[str, Any]]], Gathered] | None = None
    directly: bool = False
    persistence_time_s: float = 0.0
    through: str = ""


@dataclass(frozen=True)
class PlannedJob:
    """A job, whether it has to be run and why, and its expected cost.

    Attributes
    ----------
    perhaps : bool
        It is needed only if the files left by an earlier exposure change.
    note : str
        A note to the user.
    """

    job: Job
    needed: bool
    reason: str
    prediction: Prediction
    state: str = ""
    perhaps: bool = False
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """All jobs of a campaign.

    Attributes
    ----------
    notes : tuple of str
        Notes to the user about the exposures, a sentence each.
    conclude : callable
        Writes files of the run as a whole, from the records of its exposures.
    """

    output_dir: Path
    jobs: tuple[PlannedJob, ...]
    notes: tuple[str, ...] = ()
    conclude: Callable[[Sequence[JobRecord]], Any] = lambda records: None

    @property
    def to_run(self) -> list[PlannedJob]:
        """The jobs that have to be run."""
        return [planned for planned in self.jobs if planned.needed]

    @property
    def disk_bytes(self) -> int:
        """The expected size of the products of all jobs to run."""
        return sum(planned.prediction.disk_bytes for planned in self.to_run)

    def workers(self, wanted: int | None, memory_limit: int | None) -> int:
        """Return how many processes to use: as requested, or as many as processors and memory allow."""
        if wanted is not None:
            return wanted
        largest = max((planned.prediction.memory_bytes or UNKNOWN_BYTES for planned in self.to_run), default=1)
        room = memory_limit or memory.available_bytes()
        return max(1, min(processors(), len(self.to_run) or 1, room // largest))

    def require_disk(self) -> None:
        """Refuse to begin a run that does not fit on the disk.

        Raises
        ------
        OutputError
        """
        with writing(self.output_dir):
            folder = next(path for path in (self.output_dir, *self.output_dir.parents) if path.exists())
            free = shutil.disk_usage(folder).free
        needed = self.disk_bytes + SPARE_DISK_BYTES
        if needed > free:
            sizes = [memory.format_bytes(size) for size in (needed, self.disk_bytes, free)]
            raise OutputError(
                f"{self.output_dir}: about {sizes[0]} are needed ({sizes[1]} for products), only {sizes[2]} are free; "
                "make room or choose another output folder",
                needed_bytes=needed,
                free_bytes=free,
            )


def plan_run(request: PlanRequest, *, again: bool = False, memory_bytes: int = 0) -> Plan:
    """Return what has to be done for a request: gather its exposures, make jobs, compare them with the ledger.

    Raises
    ------
    ParameterError
        As `make_jobs`; for a path that is not valid UTF-8.
    """
    require_utf8(Path(request.output_dir).absolute(), *(Path(file).parent for file in request.files))
    gathered = gather(request)
    require_utf8(*gathered.files)
    jobs = make_jobs(request, gathered)
    plan = make_plan(jobs, request.output_dir, again=again, memory_bytes=memory_bytes)
    lost = request.choices.unmatched_in_words([job.name for job in jobs]) if request.choices else ""
    return replace(plan, notes=(*gathered.notes, *([lost] if lost else [])), conclude=gathered.conclude)


def gather(request: PlanRequest) -> Gathered:
    """Return the exposures of a request.

    Raises
    ------
    ParameterError
        When there is no file, or none is an exposure to reduce.
    """
    if not request.files and request.gathered is None:
        raise ParameterError("no file is given to reduce")
    mode = load_mode(request.mode)
    first = _first_stage_of(request, mode)[0]
    steps, parameters = _parameters_in_force(mode, first)
    unused = settings_without_effect([*first.settings, *first.overrides], steps, parameters, mode.runs_with)
    if request.gathered is not None:
        gathered = request.gathered(steps)
        return replace(gathered, notes=(*unused, *gathered.notes))
    files, notes = files_of_mode(mode, request.files)
    gathered = mode.gather(files, Path(request.output_dir), steps, reduced=_reduced_before(request))
    return replace(gathered, notes=(*unused, *notes, *gathered.notes))


def _reduced_before(request: PlanRequest) -> frozenset[str]:
    """Return the files that exposures have been made from, as far as they are what they were then."""
    done = [entry for entry in _known(request.output_dir).values() if entry.state == DONE]
    return frozenset(
        file.path for entry in done if entry.job.mode == request.mode for file in entry.record.inputs if is_same(file)
    )


def _parameters_in_force(mode: Mode, request: PlanRequest) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return what recipe and settings give to all exposures: {step: {parameter: value}}, and that of the pipeline."""
    if not mode.pipeline:
        return {}, {}
    from detectorist.reduction.recipes.recipe_files import load_recipe

    recipe = load_recipe(request.mode, request.recipe).with_settings([*request.settings, *request.overrides])
    return recipe.steps, recipe.parameters


def make_jobs(request: PlanRequest, gathered: Gathered | None = None) -> list[Job]:
    """Return a job per exposure, checked as far as possible without reading data.

    Raises
    ------
    ParameterError
        For an unknown mode, recipe, step, parameter or row of the table.
    """
    mode = load_mode(request.mode)
    gathered = gathered or gather(request)
    request, later = _first_stage_of(request, mode)
    exposures = group_exposures(mode, gathered.files, gathered.apart)
    if request.choices is not None and not request.allow_unmatched:
        request.choices.require_all_matched(exposures)
    products = Path(request.output_dir) / (mode.subdir if request.subdir is None else request.subdir)
    directly = mode.together or (request.directly and len(exposures.keys() - gathered.apart) == 1)
    weakest = mode.persistence_settings(request.persistence_time_s) if request.persistence_time_s else ()
    jobs = []
    for name, files in exposures.items():
        require_safe_name(name, str(files[0]))
        chosen = request.choices.settings_for(name) if request.choices else ()
        folder = products if directly and name not in gathered.apart else products / name
        jobs.append(
            Job(
                name=name,
                mode=request.mode,
                files=tuple(str(path.absolute()) for path in files),
                output_dir=str(folder.resolve()),
                recipe=request.recipe,
                settings=(
                    *gathered.settings.get(name, ()),
                    *weakest,
                    *request.settings,
                    *chosen,
                    *request.overrides,
                    *gathered.overrides.get(name, ()),
                ),
                references=request.references,
                options={**request.options, **gathered.options.get(name, {})},
                together=mode.together,
            )
        )
    known = _known(request.output_dir)
    ready = _checked(mode, jobs, known)
    if weakest:
        ready = in_order_of_time(mode, ready, known, request.persistence_time_s)
    for stage in later_jobs(ready, list(later), later) if ready else ():
        ready += _checked(load_mode(stage[0].mode), stage, known) if stage else []
    return ready


def _first_stage_of(request: PlanRequest, mode: Mode) -> tuple[PlanRequest, dict[str, list[str]]]:
    """Return the request for the first stage alone, and {later stage: its settings} of those that are asked for."""
    names = stages_through(mode, request.through)
    settings, overrides = (split_settings(some, mode, names) for some in (request.settings, request.overrides))
    first = replace(request, settings=settings.first, overrides=overrides.first)
    return first, {name: [*settings.later[name], *overrides.later[name]] for name in names}


def _checked(mode: Mode, jobs: Sequence[Job], known: dict[str, Entry]) -> list[Job]:
    """Return jobs of one mode or stage with their keys, their parameters checked."""
    keyed = with_keys(mode, jobs)
    # What has been run before has been checked before: a key stands for parameters and versions alike.
    checked = {entry.job.key for entry in known.values()}
    _check_once(mode, [job for job in keyed if job.key not in checked])
    return keyed


def make_plan(jobs: Sequence[Job], output_dir: Path, *, again: bool = False, memory_bytes: int = 0) -> Plan:
    """Compare jobs with the ledger of `output_dir` and return what has to be done.

    again : bool
        Redo everything, even what is up to date.
    memory_bytes : int
        Memory that one job may take; jobs that can are changed to stay within it. 0: no limit.
    """
    known = _known(output_dir)
    planned = []
    for job in jobs:
        mode = load_mode(job.mode)
        needed, reason = _is_needed(job, known, again=again)
        if needed:
            fitted, note = mode.with_memory(job, memory_bytes) if memory_bytes else (job, "")
            planned.append(PlannedJob(fitted, True, reason, mode.predict(fitted), note=note))
        else:
            # Headers of hundreds of files are read only where they tell something.
            planned.append(PlannedJob(job, False, reason, Prediction(), known[job.name].state))
    return Plan(Path(output_dir), tuple(_with_followers(planned)))


def _with_followers(planned: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Check exposures that are up to date again when an earlier one that may affect them has been reduced."""
    again = {one.job.name for one in planned if one.needed}
    while followers := {one.job.name for one in planned if not again.isdisjoint(one.job.after)} - again:
        again |= followers
    return [
        replace(one, needed=True, perhaps=True, state="", reason="if what it goes on from comes out differently")
        if not again.isdisjoint(one.job.after) and (not one.needed or one.reason == _CHANGED)
        else one
        for one in planned
    ]


def plan_retry(output_dir: Path, *, memory_bytes: int = 0) -> Plan:
    """Return a plan of all jobs in the ledger of `output_dir` that failed or were not finished.

    Raises
    ------
    NoSuchFile
        When there is no ledger.
    """
    with Ledger(output_dir, read_only=True) as ledger:
        entries = ledger.entries()
    unreadable = [entry for entry in entries.values() if not entry.job.files]
    failed = [entry for entry in entries.values() if entry.job.files and entry.state not in (DONE, SKIPPED)]
    names = {entry.job.name for entry in failed}
    planned = [
        PlannedJob(entry.job, False, "up to date", Prediction(), entry.state)
        for entry in entries.values()
        if entry.job.name not in names and entry.job.after
    ]
    for name in sorted({entry.job.mode for entry in failed}):
        mode = load_mode(name)
        states = {entry.job.name: entry.state for entry in failed if entry.job.mode == name}
        jobs = [entry.job for entry in failed if entry.job.mode == name]
        for job in with_keys(mode, jobs):
            fitted, note = mode.with_memory(job, memory_bytes) if memory_bytes else (job, "")
            planned.append(PlannedJob(fitted, True, f"{states[job.name]} before", mode.predict(fitted), note=note))
    kept = [one for one in _with_followers(planned) if one.needed]
    kept += [PlannedJob(entry.job, False, "not readable", Prediction(), entry.state) for entry in unreadable]
    notes = tuple(f"{entry.job.name}: {entry.record.message}" for entry in unreadable)
    return Plan(Path(output_dir), tuple(kept), notes)


def _known(output_dir: Path) -> dict[str, Entry]:
    try:
        with Ledger(output_dir, read_only=True) as ledger:
            return ledger.entries()
    except InputError:
        return {}


def _is_needed(job: Job, known: dict[str, Entry], *, again: bool) -> tuple[bool, str]:
    """Return whether a job must be run, and why or why not."""
    entry, reason = known.get(job.name), ""
    if again:
        reason = "asked for again"
    elif entry is None:
        reason = "new"
    elif entry.state == CRASHED:
        reason = "crashed before"
    elif entry.state not in (DONE, UNPROCESSABLE, SKIPPED):
        reason = "not finished before"
    elif entry.record.error == PlaceTaken.__name__:
        reason = "another file stood in its place before"
    elif entry.job.key != job.key:
        reason = "parameters, versions or references changed"
    elif not inputs_are_same(entry, what_was_left(job, known)):
        reason = _CHANGED
    elif not products_are_whole(entry):
        reason = "products missing or changed"
    if reason:
        return True, reason
    assert entry is not None
    return False, {DONE: "up to date", SKIPPED: "skipped before"}.get(entry.state, "unprocessable as it is")


def _check_once(mode: Mode, jobs: Sequence[Job]) -> None:
    """Check every set of parameters once: hundreds of exposures share a few."""
    seen = set()
    for job in jobs:
        what = (job.recipe, job.settings)
        if what not in seen:
            seen.add(what)
            mode.check(job)
