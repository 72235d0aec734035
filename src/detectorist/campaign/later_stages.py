"""Stages after the first: their jobs, which continue from earlier products, and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from detectorist.errors import ParameterError
from detectorist.modes import Mode, Stage, load_mode
from detectorist.modes.job import FIRST_STAGE, Job
from detectorist.parameters import nearest


def stages_through(mode: Mode, through: str) -> list[str]:
    """Return the names of the stages after the first, up to and including `through`; "" means the first.

    Raises
    ------
    ParameterError
        When the stage is unknown; the message suggests the nearest name.
    """
    known = [FIRST_STAGE, *mode.stages]
    wanted = through or FIRST_STAGE
    if wanted not in known:
        raise ParameterError(
            f"--through {wanted}: mode {mode.name} has no such stage{nearest(wanted, known)}; "
            f"known: {', '.join(known)}",
            parameter="through",
        )
    return known[1 : known.index(wanted) + 1]


@dataclass(frozen=True)
class SplitSettings:
    """Settings of the first stage, and those of later ones, {stage: settings} without the stage's name."""

    first: list[str]
    later: dict[str, list[str]]


def split_settings(settings: Sequence[str], mode: Mode, names: Sequence[str]) -> SplitSettings:
    """Separate settings of later stages, "stage.step.parameter=value", from those of the first.

    names : sequence of str
        Stages after the first that will run.

    Raises
    ------
    ParameterError
        For a setting of a stage that will not run.
    """
    split = SplitSettings([], {name: [] for name in mode.stages})
    for text in settings:
        stage, _, rest = text.partition("=")[0].partition(".")
        if stage not in mode.stages or not rest:
            split.first.append(text)
        elif stage not in names:
            raise ParameterError(f'setting "{text}": this run ends before {stage}; add --through {stage}')
        else:
            split.later[stage].append(text.removeprefix(f"{stage}."))
    return split


def later_jobs(jobs: Sequence[Job], names: Sequence[str], settings: Mapping[str, Sequence[str]]) -> list[list[Job]]:
    """Return the jobs of each of the stages after the first, still without keys.

    jobs : sequence of Job
        Of the first stage.
    """
    found: list[list[Job]] = []
    earlier = [replace(job, options={**job.options, "first": job.files[0]}) for job in jobs]
    for name in names:
        target = f"{jobs[0].mode}/{name}"
        stage = load_mode(target)
        if not isinstance(stage, Stage):
            raise ParameterError(f'mode "{target}" is not a subclass of detectorist.modes.Stage')
        earlier = [
            replace(job, mode=target, files=(), settings=tuple(settings.get(name, ())), recipe=None, left=(), key="")
            for job in stage.jobs_after(earlier)
        ]
        found.append(earlier)
    return found
