"""The exposures of one mode, with concerns and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from detectorist.modes import load_mode
from detectorist.modes.exposure import Exposure
from detectorist.modes.job import DONE
from detectorist.modes.quality import Column
from detectorist.modes.section import Section
from detectorist.report.failures import attempt
from detectorist.report.parameters import find_varying
from detectorist.report.quality_checks import Suspect, find_suspects


@dataclass
class Group:
    """The exposures of one mode, with concerns and parameters."""

    mode: str
    sections: Section
    exposures: list[Exposure]
    suspects: list[Suspect]
    defaults: dict[tuple[str, str], Any]
    varying: set[tuple[str, str]]

    @property
    def columns(self) -> list[Column]:
        """The numbers that at least one exposure has."""
        present = set().union(*(exposure.numbers for exposure in self.exposures))
        return [column for column in self.sections.columns if column.key in present]

    @property
    def indexed(self) -> list[Column]:
        """Those in the table of exposures."""
        return [column for column in self.columns if column.indexed]

    @property
    def done(self) -> list[Exposure]:
        """The exposures that have products."""
        return [exposure for exposure in self.exposures if exposure.state == DONE]


def section_of(mode: str) -> Section:
    """Return the section of a mode, or a general one if the mode's package is not installed or broken."""
    return attempt(lambda: load_mode(mode).section(), lambda why: Section())


def make_group(mode: str, exposures: list[Exposure]) -> Group:
    """Return the exposures of a mode with suspects and parameters worth marking."""
    sections = section_of(mode)
    return Group(
        mode,
        sections,
        exposures,
        find_suspects(exposures, sections.columns, sections.checks),
        attempt(sections.defaults, lambda why: {}) if any(exposure.resolved for exposure in exposures) else {},
        attempt(lambda: find_varying(exposures), lambda why: set()),
    )
