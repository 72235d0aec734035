"""Two runs side by side: numbers and parameters of the exposures that both have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Column, is_number
from detectorist.reduction.recipes.in_force import in_force
from detectorist.report.gather import Run

if TYPE_CHECKING:
    from detectorist.report.group import Group


@dataclass(frozen=True)
class Difference:
    """One number of one exposure in both runs; `change` is in percent, None where that is meaningless."""

    column: Column
    this: Any
    other: Any
    change: float | None


@dataclass(frozen=True)
class Comparison:
    """One exposure in both runs.

    Attributes
    ----------
    parameters : list of tuple
        (name, value here, value there) of those that differ.
    """

    exposure: Exposure
    other: Exposure | None
    differences: list[Difference]
    parameters: list[tuple[str, Any, Any]]


def compare(groups: list[Group], other: Run) -> list[Comparison]:
    """Return a comparison for every exposure of the groups, in their order."""
    theirs = {exposure.name: exposure for exposure in other.exposures}
    return [
        _compare(exposure, theirs.get(exposure.name), group.sections.columns)
        for group in groups
        for exposure in group.exposures
    ]


def _compare(exposure: Exposure, other: Exposure | None, columns: tuple[Column, ...]) -> Comparison:
    if other is None:
        return Comparison(exposure, None, [], [])
    differences = []
    for column in columns:
        this, that = exposure.numbers.get(column.key), other.numbers.get(column.key)
        if this is None and that is None:
            continue
        both = is_number(this) and is_number(that) and that != 0
        differences.append(Difference(column, this, that, 100 * (this / that - 1) if both else None))
    here, there = in_force(exposure.resolved), in_force(other.resolved)
    parameters = [
        (".".join(part for part in path if part), here.get(path), there.get(path))
        for path in dict.fromkeys((*here, *there))
        if repr(here.get(path)) != repr(there.get(path))
    ]
    return Comparison(exposure, other, differences, parameters)
