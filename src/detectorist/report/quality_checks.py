"""Exposures that need attention because of their numbers, most urgent first, with the reasons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from detectorist.modes.exposure import Exposure
from detectorist.modes.job import CRASHED, DONE, RUNNING, SKIPPED, UNPROCESSABLE
from detectorist.modes.quality import Check, Column, Concern, is_number
from detectorist.report.failures import attempt

#: A number this many robust standard deviations from the median of the run is worth a look.
UNUSUAL_SIGMA = 6.0
#: Exposures needed to know what is usual.
LEAST_EXPOSURES = 8
#: Urgency of what was not reduced at all: above every number.
OF_STATE = {CRASHED: 1000.0, UNPROCESSABLE: 900.0}
#: Urgency of products that are gone, and of products that have changed since.
OF_MISSING, OF_CHANGED = 800.0, 3.0
_WORDS = {
    CRASHED: "crashed",
    UNPROCESSABLE: "cannot be processed",
    SKIPPED: "was left out",
    RUNNING: "has not finished: it is still running, or its run was ended; the same command continues it",
}


@dataclass(frozen=True)
class Suspect:
    """An exposure and why it should be looked at."""

    exposure: Exposure
    concerns: tuple[Concern, ...]

    @property
    def urgency(self) -> float:
        """The worst concern counts most; others add a little."""
        ordered = sorted((concern.urgency for concern in self.concerns), reverse=True)
        return ordered[0] + 0.2 * sum(ordered[1:])


def find_suspects(exposures: Sequence[Exposure], columns: Iterable[Column], checks: Iterable[Check]) -> list[Suspect]:
    """Return the exposures of one mode that need a look, most urgent first."""
    columns, checks = list(columns), list(checks)
    usual = _usual(exposures, columns)
    suspects = []
    for exposure in exposures:
        judged = attempt(
            lambda one=exposure: [*_of_limits(one, checks), *_of_others(one, columns, usual)],
            lambda why: [Concern(1.0, f"its numbers cannot be judged: {why}")],
        )
        concerns = [*_of_state(exposure), *_of_products(exposure), *judged]
        if concerns:
            suspects.append(Suspect(exposure, tuple(sorted(concerns, key=lambda one: -one.urgency))))
    return sorted(suspects, key=lambda suspect: (-suspect.urgency, suspect.exposure.name))


def _of_state(exposure: Exposure) -> Iterable[Concern]:
    if exposure.state != DONE:
        words = _WORDS.get(exposure.state, f"is {exposure.state}")
        # The reason alone: a traceback belongs to the log.
        told = exposure.message.strip().splitlines()
        yield Concern(OF_STATE.get(exposure.state, 500.0), f"{words}: {told[0]}" if told else words)


def _of_products(exposure: Exposure) -> Iterable[Concern]:
    for urgency, what, files in (
        (OF_MISSING, "no longer where they were written", exposure.missing),
        (OF_CHANGED, "not as they were written", exposure.changed),
    ):
        if files:
            yield Concern(urgency, f"{what}: {', '.join(files)}; the command of the run makes them again")


def _of_limits(exposure: Exposure, checks: list[Check]) -> Iterable[Concern]:
    for check in checks:
        if concern := check.apply(exposure.numbers.get(check.key), exposure.numbers):
            yield concern


def _of_others(exposure: Exposure, columns: list[Column], usual: dict[str, tuple[float, float]]) -> Iterable[Concern]:
    for column in columns:
        value = exposure.numbers.get(column.key)
        if column.key not in usual or not is_number(value):
            continue
        middle, sigma = usual[column.key]
        away = (float(value) - middle) / sigma
        if abs(away) > UNUSUAL_SIGMA:
            yield Concern(
                0.5 + math.log2(abs(away) / UNUSUAL_SIGMA),
                f"{column.title} {column.text(value)} is unlike the others of this run, which lie about "
                f"{column.text(middle)} ({abs(away):.0f} robust standard deviations)",
            )


def _usual(exposures: Sequence[Exposure], columns: list[Column]) -> dict[str, tuple[float, float]]:
    """Return median and robust standard deviation of every number that enough exposures have."""
    found = {}
    for column in columns:
        values = [exposure.numbers.get(column.key) for exposure in exposures]
        known = [float(value) for value in values if is_number(value)]
        if column.compared and len(known) >= LEAST_EXPOSURES:
            middle = median(known)
            sigma = 1.4826 * median(abs(value - middle) for value in known)
            # Numbers that hardly differ have a spread of rounding errors: a hundredth of the value is no news.
            found[column.key] = middle, max(sigma, 0.01 * abs(middle), 1e-12)
    return found
