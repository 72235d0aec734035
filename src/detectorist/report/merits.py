"""The numbers of an exposure as the report shows them: value, limits, state, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check, good_in_words
from detectorist.report.group import Group


def merits_of(group: Group, exposure: Exposure) -> list[dict[str, Any]]:
    """Return the figures of merit that open the report: value, limits, state, and the truth where it is known."""
    columns = {column.key: column for column in group.sections.columns}
    found = []
    for key in group.sections.merits:
        column, value = columns[key], exposure.numbers.get(key)
        if value is None:
            continue
        checks = [check for check in group.sections.checks if check.column == key]
        found.append(
            {
                "column": column,
                "value": column.told(exposure.numbers),
                "good": good_in_words(column, checks),
                "state": _state(value, checks, exposure.numbers),
                "truth": column.text(exposure.truth[key]) if key in exposure.truth else "",
            }
        )
    return found


def _state(value: Any, checks: Sequence[Check], numbers: Mapping[str, Any]) -> str:
    """Return "look" for a concern, "unsure" for a value beyond its limits by no more than its error, else "fine"."""
    if any(check.apply(numbers.get(check.key), numbers) for check in checks):
        return "look"
    if any(check.apply(value, numbers) for check in checks):
        return "unsure"
    return "fine" if checks else ""


def numbers_of(group: Group, exposure: Exposure) -> list[dict[str, Any]]:
    """Return every named number of an exposure, with its limits."""
    return [
        {
            "column": column,
            "value": column.told(exposure.numbers),
            "good": good_in_words(column, group.sections.checks),
        }
        for column in group.sections.columns
        if column.key in exposure.numbers
    ]
