"""Figures for the validation tables of the documentation: how a benchmark hands them over, and how they are stored.

A benchmark that has some offers a function

    def figures(folder: Path, *, times: bool) -> Iterator[Figure]

that measures one scene, and is named in MODES of `validation.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "validation"
PACKAGES = ("detectorist", "numpy", "scipy", "numba", "jwst")


@dataclass(frozen=True)
class Figure:
    """What was measured on one scene.

    Attributes
    ----------
    topic : str
        The name of the step, or of the part of a page that shows the figure.
    what : str
        In words, with the unit.
    measured : float
    asked : str
        "" where nothing was.
    form : str
        How the number is written.
    peer : float, optional
        What another package reaches.
    """

    topic: str
    what: str
    measured: float
    asked: str = ""
    form: str = "{:.3g}"
    peer: float | None = None


@dataclass
class Row:
    """One figure: a value per scene, what was wanted, and what another package reaches."""

    topic: str
    what: str
    form: str
    wanted: str
    values: dict[str, float] = field(default_factory=dict)
    peer: float | None = None


class Rows:
    """Rows in the order in which they were first measured."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}

    def collect(self, scene: str, figures: Iterable[Figure]) -> None:
        """Add all figures of one scene."""
        for one in figures:
            self.add(scene, one.topic, one.what, one.form, one.asked, one.measured)
            if one.peer is not None:
                self.add_peer(one.topic, one.what, one.peer)

    def add(self, scene: str, topic: str, what: str, form: str, wanted: str, value: float) -> None:
        """Add the value of one scene."""
        row = self._rows.setdefault((topic, what), Row(topic, what, form, wanted))
        row.values[scene] = float(value)

    def add_peer(self, topic: str, what: str, value: float) -> None:
        """Add what another package reaches to a row that is there."""
        if (topic, what) in self._rows:
            self._rows[topic, what].peer = float(value)

    def __iter__(self) -> Iterator[Row]:
        """Go through the rows."""
        return iter(self._rows.values())


def store(rows: Rows, mode: str, *, script: str, peer: str = "", folder: Path = FOLDER) -> Path:
    """Write `MODE.json`, with date and versions, and return its path; topics that were not measured stay as they were.

    script : str
        What to run for the same figures.
    peer : str
        The other package, and its version.
    """
    path = folder / f"{mode}.json"
    before = json.loads(path.read_text())["topics"] if path.exists() else {}
    made = {"made": datetime.now(UTC).date().isoformat(), "versions": {name: version(name) for name in PACKAGES}}
    measured: dict[str, Any] = {}
    for row in rows:
        measured.setdefault(row.topic, {**made, "rows": []})["rows"].append(asdict(row))
    stored = {"script": script, "peer": peer, "topics": {**before, **measured}}
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    return path
