"""What a mode contributes to the report; a mode that says nothing gets its numbers shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check, Column

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """An image of an exposure, coloured, as `media.colour` returns it."""

    pixels: np.ndarray
    label: str


@dataclass(frozen=True)
class Panel:
    """One figure of an exposure's section, or pictures of the same field to blink between.

    Attributes
    ----------
    key : str
        Names its note in notes.toml.
    title : str
    draw : callable, optional
        Returns a matplotlib figure.
    pictures : list of Picture
        Shown one over the other, with buttons to choose.
    beside : bool
        Show the pictures side by side instead.
    interactive : callable, optional
        Returns the JSON of a bokeh figure that is shown instead where scripts run.
    file : Path, optional
        A figure (PNG) that the run has drawn already.
    """

    key: str
    title: str
    draw: Callable[[], Figure] | None = None
    pictures: list[Picture] = field(default_factory=list)
    interactive: Callable[[], dict[str, Any]] | None = None
    file: Path | None = None
    beside: bool = False


class Section:
    """What any mode shows: the numbers of its exposures."""

    title: ClassVar[str] = "Exposures"
    columns: ClassVar[tuple[Column, ...]] = ()
    checks: ClassVar[tuple[Check, ...]] = ()

    def complete(self, exposure: Exposure) -> None:
        """Add to `exposure.numbers` what the records of the steps say; called once, before anything else."""

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return {(step, parameter): value} of the bare pipeline."""
        return {}

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return a tiny coloured picture, uint8 of shape (ny, nx, 3)."""
        return None

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures of an exposure.

        brief : bool
            There are many exposures: only what is quick to draw.
        """
        yield from ()
