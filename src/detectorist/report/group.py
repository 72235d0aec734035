"""The exposures of one mode, with what is to be said of them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectorist.modes import load_mode
from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Column
from detectorist.modes.section import Section
from detectorist.report.parameters import find_varying
from detectorist.report.quality_checks import Suspect, find_suspects


@dataclass
class Group:
    """The exposures of one mode, with what is to be said of them together."""

    mode: str
    sections: Section
    exposures: list[Exposure]
    suspects: list[Suspect]
    defaults: dict[tuple[str, str], Any]
    varying: set[tuple[str, str]]

    @property
    def columns(self) -> list[Column]:
        """The numbers that any of the exposures has."""
        present = set().union(*(exposure.numbers for exposure in self.exposures))
        return [column for column in self.sections.columns if column.key in present]


def make_group(mode: str, exposures: list[Exposure]) -> Group:
    """Return the exposures of a mode with suspects and parameters worth marking."""
    sections = load_mode(mode).section()
    for exposure in exposures:
        sections.complete(exposure)
    return Group(
        mode,
        sections,
        exposures,
        find_suspects(exposures, sections.columns, sections.checks),
        sections.defaults() if any(exposure.resolved for exposure in exposures) else {},
        find_varying(exposures),
    )
