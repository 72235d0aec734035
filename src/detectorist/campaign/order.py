"""Exposures in order of time, and their dependence on earlier ones through persistence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detectorist.campaign.ledger import Entry
from detectorist.modes import ExposureInterval, Mode, load_mode
from detectorist.modes.job import DONE, SATURATED, Job

#: ... but not that of the copy which a later one has made of them.
_RECEIVED = f"_earlier{SATURATED}"
SECONDS_PER_DAY = 86400.0


def in_order_of_time(
    mode: Mode, jobs: Sequence[Job], known: Mapping[str, Entry], persistence_time_s: float
) -> list[Job]:
    """Return the jobs in the order of time, each with the earlier ones on its detector whose persistence may affect it.

    known : mapping
        Entries of the ledger: exposures that an earlier run has reduced count too.
    persistence_time_s : float
        From the end of an exposure to the start of a later one, at most.
    """
    everything = {name: entry.job for name, entry in known.items() if entry.job.mode == jobs[0].mode} if jobs else {}
    everything.update({job.name: job for job in jobs})
    seen: dict[str, ExposureInterval] = {}
    by_detector: dict[str, list[str]] = {}
    for name, job in everything.items():
        if (interval := mode.interval(job)) is not None:
            seen[name] = interval
            by_detector.setdefault(interval.detector, []).append(name)
    ordered = []
    for job in jobs:
        own = seen.get(job.name)
        others = by_detector[own.detector] if own else []
        after = [name for name in others if own and _may_glow(seen[name], own, persistence_time_s)]
        ordered.append(replace(job, after=tuple(sorted(after))))
    return sorted(ordered, key=lambda job: (seen[job.name].start_mjd if job.name in seen else 0.0, job.name))


def _may_glow(earlier: ExposureInterval, later: ExposureInterval, persistence_time_s: float) -> bool:
    began_before = earlier.start_mjd < later.start_mjd
    return began_before and (later.start_mjd - earlier.end_mjd) * SECONDS_PER_DAY < persistence_time_s


def what_was_left(job: Job, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Return the files left by the earlier exposures of a job, as far as these are done."""
    if not job.after:
        return ()
    takes = load_mode(job.mode).takes
    found = []
    for name in job.after:
        entry = entries.get(name)
        if entry is None or entry.state != DONE:
            continue
        for product in entry.record.products:
            if product.path.endswith(takes) and not product.path.endswith(_RECEIVED):
                found.append(str(Path(entry.job.output_dir) / product.path))
    return tuple(sorted(found))
