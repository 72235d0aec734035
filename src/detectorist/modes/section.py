"""What a mode contributes to the report; a mode that says nothing gets its numbers shown."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from detectorist.figures.picture import Picture
from detectorist.fits_files import opened
from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check, Column

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Opening:
    """An exposure and the figure of its science."""

    exposure: Exposure
    panel: Panel


@dataclass(frozen=True)
class Panel:
    """One figure of an exposure's section, or pictures of the same field to blink between.

    Attributes
    ----------
    key : str
        Names its note in the section's `notes`.
    title : str
    draw : callable, optional
        Returns a matplotlib figure.
    pictures : list of Picture
        Shown one over the other, with buttons to choose and a slider between the first two.
    beside : bool
        Show the pictures side by side instead.
    interactive : callable, optional
        Returns the JSON of a bokeh figure that is shown instead where scripts run.
    slider : bool
        Show the first two pictures with a slider between them, instead of the first alone.
    wide : bool
        It needs the whole width of the page.
    file : Path, optional
        A figure (PNG) that the run has drawn already.
    failed : str
        Why there is nothing to show.
    """

    key: str
    title: str
    draw: Callable[[], Figure] | None = None
    pictures: list[Picture] = field(default_factory=list)
    interactive: Callable[[], dict[str, Any]] | None = None
    file: Path | None = None
    beside: bool = False
    slider: bool = False
    wide: bool = False
    failed: str = ""


class Section:
    """What any mode shows: the numbers of its exposures.

    Attributes
    ----------
    title : str
    columns : tuple of Column
        Numbers of an exposure, as they stand in the ledger under "exposure".
    checks : tuple of Check
        What they should be.
    merits : tuple of str
        Keys of the numbers that open the report.
    """

    title: ClassVar[str] = "Exposures"
    columns: ClassVar[tuple[Column, ...]] = ()
    checks: ClassVar[tuple[Check, ...]] = ()
    merits: ClassVar[tuple[str, ...]] = ()

    def notes(self) -> dict[str, dict[str, str]]:
        """Return {key of a figure: what it shows, good, bad, what to do then}: notes.toml beside the module."""
        package = type(self).__module__.rpartition(".")[0]
        file = resources.files(package) / "notes.toml"
        return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return {(step, parameter): value} of the bare pipeline."""
        return {}

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return a tiny coloured picture, uint8 of shape (ny, nx, 3)."""
        return None

    def opening(self, exposures: Sequence[Exposure]) -> Iterator[Opening]:
        """Yield what the report opens with: the science that a few of the exposures, which are done, show."""
        yield from ()

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures of an exposure.

        brief : bool
            There are many exposures: only what is quick to draw.
        """
        yield from ()


def read_image(path: Path, extension: str | None = "SCI", kind: type = float) -> np.ndarray | None:
    """Return an array of a FITS product, the first one where no extension is named; None where there is none.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    if not path.is_file():
        return None
    with opened(path, "a product") as hdus:
        data = [one.data for one in hdus if (one.name == extension if extension else one.data is not None)]
        return np.asarray(data[0], kind) if data and data[0] is not None else None
