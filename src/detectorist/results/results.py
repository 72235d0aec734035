"""All exposures of one call, by name."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from detectorist.campaign.ledger import Entry
from detectorist.errors import ReductionFailed
from detectorist.modes.job import CRASHED, UNPROCESSABLE
from detectorist.report.gather import read_exposure
from detectorist.report.group import make_group
from detectorist.results.html import as_html
from detectorist.results.result import Result
from detectorist.results.text import describe_all

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class Results(Mapping[str, Result]):
    """The results of exposures: {name: Result}; they can be displayed and plotted.

    A number instead of a name counts exposures in the order of the run: `results[0]`, `results[-1]`.

    Attributes
    ----------
    folder : Path
        The output folder.
    """

    def __init__(self, folder: Path, results: Mapping[str, Result]):
        self.folder = Path(folder)
        self._results = dict(results)

    @classmethod
    def from_entries(cls, folder: Path, entries: Mapping[str, Entry]) -> Results:
        """Return the results of a run from the ledger's entries."""
        exposures = {name: read_exposure(entry, folder) for name, entry in entries.items()}
        by_mode: dict[str, list] = {}
        for exposure in exposures.values():
            by_mode.setdefault(exposure.mode, []).append(exposure)
        groups = {mode: make_group(mode, found) for mode, found in by_mode.items()}
        results = {
            name: Result(entry, exposures[name], groups[exposures[name].mode]) for name, entry in entries.items()
        }
        return cls(folder, results)

    def __getitem__(self, name: str | int) -> Result:
        """Return a result by the name of its exposure, or by its number."""
        return list(self._results.values())[name] if isinstance(name, int) else self._results[name]

    def __contains__(self, name: object) -> bool:
        """Return whether there is an exposure of this name."""
        return name in self._results

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of exposures."""
        return iter(self._results)

    def __len__(self) -> int:
        """Return the number of exposures."""
        return len(self._results)

    @property
    def done(self) -> list[Result]:
        """Those that have products."""
        return [result for result in self.values() if result.ok]

    @property
    def failed(self) -> list[Result]:
        """Those that could not be reduced; exposures skipped because of them are not included."""
        return [result for result in self.values() if result.state in (UNPROCESSABLE, CRASHED)]

    @property
    def errors(self) -> dict[str, str]:
        """{name: reason} of those that could not be reduced."""
        return {result.name: result.error for result in self.failed}

    @property
    def concerns(self) -> dict[str, list[str]]:
        """{name: reasons to look}, of exposures that have any."""
        return {name: result.concerns for name, result in self.items() if result.concerns}

    def raise_for_failures(self) -> None:
        """Raise ReductionFailed, with the errors of all exposures, if any has failed."""
        if self.errors:
            told = "; ".join(f"{name}: {error}" for name, error in self.errors.items())
            raise ReductionFailed(f"{len(self.errors)} of {len(self)} exposures failed: {told}", **self.errors)

    def plot(self, figure: str | None = None) -> Figure:
        """Draw a figure of the last stage that was reached: the first of the report, or one of `Result.figures`.

        With several exposures, the figure of the first that has one is drawn; use `results[name].plot()` for others.

        Raises
        ------
        ReductionFailed
            When nothing was reduced.
        """
        done = self._last_stage()
        if figure is not None:
            return next((one for one in done if figure in one.figures), done[0]).plot(figure)
        for opening in done[0].group.sections.opening([one.exposure for one in done]):
            return next(one for one in done if one.exposure is opening.exposure).plot()
        return done[0].plot()

    def to_xarray(self) -> xr.Dataset | xr.DataTree:
        """Return the products as arrays: a Dataset for one exposure, a DataTree with a node for each of several.

        With several stages, those of the last one that was reached.

        Raises
        ------
        ReductionFailed
            When nothing was reduced.
        """
        import xarray as xr

        done = self._last_stage()
        if len(done) == 1:
            return done[0].to_xarray()
        return xr.DataTree.from_dict({f"/{result.name}": result.to_xarray() for result in done})

    def report(self, *, show: bool = False) -> Path:
        """Write the report of the output folder, and return the page.

        show : bool
            Open it in a browser.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        from detectorist.report.page import write_report

        page = write_report(self.folder)
        if show:
            webbrowser.open(page.resolve().as_uri())
        return page

    def _last_stage(self) -> list[Result]:
        if not self.done:
            self.raise_for_failures()
            raise ReductionFailed(f"{self.folder}: nothing was reduced")
        last = self.done[-1].exposure.mode
        return [result for result in self.done if result.exposure.mode == last]

    def __repr__(self) -> str:
        """Return what became of every exposure."""
        return "\n".join(describe_all(self, self.folder))

    def _repr_html_(self) -> str:
        return as_html(list(self.values()), self.folder)
