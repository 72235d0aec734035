"""One exposure: its state, numbers, figures and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectorist.campaign.ledger import Entry
from detectorist.errors import ParameterError, ReductionFailed
from detectorist.figures.image_panel import draw_images
from detectorist.modes import load_mode
from detectorist.modes.exposure import Exposure
from detectorist.modes.job import DONE, JobRecord
from detectorist.modes.section import Panel
from detectorist.parameters import nearest
from detectorist.report.group import Group
from detectorist.report.merits import merits_of
from detectorist.results.html import as_html
from detectorist.results.text import describe

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Result:
    """The result for one exposure, which can be displayed and plotted.

    Attributes
    ----------
    entry : Entry
        As in the ledger.
    exposure : Exposure
        As read by the report.
    group : Group
        All exposures of the run of this mode.
    """

    entry: Entry
    exposure: Exposure
    group: Group

    @property
    def name(self) -> str:
        """Name of the exposure."""
        return self.exposure.name

    @property
    def state(self) -> str:
        """One of "done", "unprocessable", "crashed", "skipped"."""
        return self.entry.state

    @property
    def ok(self) -> bool:
        """Whether it has products."""
        return self.state == DONE

    @property
    def error(self) -> str:
        """Why it has no products, in a sentence; "" if it has."""
        return "" if self.ok else (self.exposure.message.strip().splitlines() or [self.state])[0]

    @property
    def record(self) -> JobRecord:
        """The ledger's record: times, memory, inputs and products with checksums."""
        return self.entry.record

    @property
    def target(self) -> str:
        """Name of the target, as the proposer wrote it."""
        return self.exposure.target

    @property
    def numbers(self) -> dict[str, Any]:
        """Figures of merit by name, as in the report and the ledger."""
        return dict(self.exposure.numbers)

    @property
    def steps(self) -> dict[str, dict[str, dict[str, Any]]]:
        """{part of the exposure: {step: numbers}}, as recorded by the steps."""
        return self.exposure.steps

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter in force, versions and references, as in `resolved.toml`."""
        return self.exposure.resolved

    @property
    def concerns(self) -> list[str]:
        """Reasons to look at the exposure, the most urgent first; empty if there are none."""
        suspects = [suspect for suspect in self.group.suspects if suspect.exposure is self.exposure]
        return [concern.words for suspect in suspects for concern in suspect.concerns]

    @property
    def merits(self) -> list[dict[str, Any]]:
        """The numbers that open the report: title, value as text, good range, "look" or "fine", and the truth."""
        found = merits_of(self.group, self.exposure)
        return [
            {"title": one["column"].title, **{k: one[k] for k in ("value", "good", "state", "truth")}} for one in found
        ]

    @property
    def folder(self) -> Path:
        """Folder of its products."""
        return self.exposure.folder

    @property
    def products(self) -> list[Path]:
        """Files that were written."""
        return [Path(path) for path in self.exposure.products]

    @property
    def log(self) -> Path | None:
        """Log of all steps, ours and standard."""
        return self.exposure.log

    @property
    def figures(self) -> dict[str, str]:
        """{name: title} of the figures that `plot` draws."""
        return {panel.key: panel.title for panel in self._panels()}

    def plot(self, figure: str | None = None) -> Figure:
        """Draw a figure of the report.

        figure : str, optional
            Its name, one of `figures`; by default the one at the top of the report.

        Raises
        ------
        ReductionFailed
            When the exposure has no products.
        ParameterError
            When there is no figure of this name; the message suggests the nearest.
        """
        self.require_done("plotted")
        if figure is None:
            panels = self._openings() or self._panels()
        else:
            panels = [panel for panel in [*self._panels(), *self._openings()] if panel.key == figure]
        if not panels:
            known = self.figures
            raise ParameterError(f'{self.name}: no figure "{figure}"{nearest(figure or "", known)}: {", ".join(known)}')
        return drawn(panels[0])

    def to_xarray(self) -> xr.Dataset:
        """Return the main products as arrays with coordinates, units, errors and flags.

        Raises
        ------
        ReductionFailed
            When the exposure has no products.
        """
        self.require_done("read")
        return load_mode(self.exposure.mode).to_xarray(self.exposure)

    def require_done(self, what: str) -> None:
        """Raise ReductionFailed, with the reason, if the exposure has no products."""
        if not self.ok:
            raise ReductionFailed(f"{self.name} cannot be {what}: {self.state}: {self.error}", state=self.state)

    def _panels(self) -> list[Panel]:
        return list(self.group.sections.panels(self.exposure)) if self.ok else []

    def _openings(self) -> list[Panel]:
        others: Sequence[Exposure] = [one for one in self.group.done if one is not self.exposure]
        opened = self.group.sections.opening([self.exposure, *others])
        return [opening.panel for opening in opened if opening.exposure is self.exposure]

    def __repr__(self) -> str:
        """Return name, state, target, figures of merit, concerns and products, a line each."""
        return "\n".join(describe(self))

    def _repr_html_(self) -> str:
        return as_html([self], self.folder)


def drawn(panel: Panel) -> Figure:
    """Return a panel of the report as a matplotlib figure."""
    if panel.draw is not None:
        return panel.draw()
    return draw_images(panel.pictures, title=panel.title)
