"""The data of a report: the ledgers below an output folder, and headers of products."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectorist.campaign import ledger as ledgers
from detectorist.campaign.ledger import Entry, Ledger
from detectorist.errors import DetectoristError, InputError, NoSuchFile
from detectorist.fits_files import read_keywords
from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import is_number
from detectorist.product_names import is_fits

#: File beside the products of a simulated exposure: what is true of it.
TRUTH = "truth.json"
#: How far below the folder a run may lie.
DEEPEST = 3
#: Header cards worth showing: card -> label.
CARDS = {
    "TARGPROP": "target",
    "PROGRAM": "program",
    "INSTRUME": "instrument",
    "DETECTOR": "detector",
    "FILTER": "filter",
    "PUPIL": "pupil",
    "CORONMSK": "mask",
    "EXP_TYPE": "exposure type",
    "SUBARRAY": "subarray",
    "READPATT": "readout pattern",
    "NINTS": "integrations",
    "NGROUPS": "groups",
    "SUBSIZE1": "columns",
    "SUBSIZE2": "rows",
    "DATE-OBS": "date",
    "TGROUP": "group time (s)",
    "EFFEXPTM": "exposure time (s)",
    "CRDS_CTX": "CRDS context",
}

#: Types of references whose names the eight characters of a keyword (R_READNO) cut short.
CUT_SHORT = {
    "distor": "distortion",
    "lastfr": "lastframe",
    "linear": "linearity",
    "miremi": "emicorr",
    "readno": "readnoise",
    "satura": "saturation",
    "spcwcs": "specwcs",
    "superb": "superbias",
}


@dataclass
class Run:
    """Everything below one output folder.

    Attributes
    ----------
    commands : list of dict
        For each ledger: command, started, finished, host; empty for runs without one.
    troubles : list of str
        A sentence on each ledger that cannot be read.
    """

    folder: Path
    exposures: list[Exposure]
    commands: list[dict[str, Any]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def modes(self) -> dict[str, list[Exposure]]:
        """Exposures by mode, in the order of the modes' names."""
        found: dict[str, list[Exposure]] = {}
        for exposure in self.exposures:
            found.setdefault(exposure.mode, []).append(exposure)
        return dict(sorted(found.items()))


def gather(folder: Path) -> Run:
    """Return the runs in a folder, or in folders below it.

    Raises
    ------
    NoSuchFile
        When there is no such folder, or no run in it.
    DetectoristError
        When no ledger can be read: that of the first.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NoSuchFile(f"{folder}: no such folder")
    run, errors = Run(folder, []), []
    for found in sorted(set(_find_runs(folder, DEEPEST))):
        try:
            run.exposures += _from_ledger(found, run)
        except DetectoristError as error:
            errors.append(error)
    run.troubles = [str(error) for error in errors]
    if not run.exposures and errors:
        raise type(errors[0])("; ".join(run.troubles)) from errors[0]
    if not run.exposures:
        raise NoSuchFile(f"{folder}: nothing to report on: no {ledgers.FILE} here or below")
    run.exposures.sort(key=lambda exposure: exposure.name)
    return run


def _find_runs(folder: Path, deepest: int) -> Iterator[Path]:
    """Yield folders with a ledger; below such a folder everything belongs to it."""
    if (folder / ledgers.FILE).is_file():
        yield folder
        return
    if deepest and folder.is_dir():
        for below in folder.iterdir():
            if below.is_dir() and not below.name.startswith("."):
                yield from _find_runs(below, deepest - 1)


def _from_ledger(folder: Path, run: Run) -> list[Exposure]:
    with Ledger(folder, read_only=True) as ledger:
        entries, last = ledger.entries(), ledger.last_run()
    if last:
        run.commands.append({**last, "folder": folder})
    return [read_exposure(entry, folder) for entry in entries.values()]


def read_exposure(entry: Entry, ledger_folder: Path) -> Exposure:
    """Return an exposure from the ledger in a folder and the products listed in it."""
    job, record = entry.job, entry.record
    folder = Path(job.output_dir)
    if not folder.is_dir() and (ledger_folder / folder.name).is_dir():
        folder = ledger_folder / folder.name  # the output was moved
    steps = dict(record.steps)
    numbers = steps.pop("exposure", {})
    exposure = Exposure(
        name=job.name,
        mode=job.mode,
        state=entry.state,
        folder=folder,
        files=job.files,
        products=tuple(str(folder / product.path) for product in record.products),
        error=record.error,
        message=record.message,
        evidence=record.numbers,
        numbers=numbers if isinstance(numbers, dict) else {},
        steps=_by_part(steps),
        resolved=record.resolved,
        log=folder / job.beside("detectorist.log").name,
        settings=job.settings,
        seconds=record.seconds,
        peak_bytes=record.peak_bytes,
    )
    sizes = {one: _size_of(folder / one.path) for one in record.products}
    exposure.missing = tuple(one.path for one, size in sizes.items() if size is None)
    exposure.changed = tuple(one.path for one, size in sizes.items() if size not in (None, one.size))
    _read_truth(exposure, folder / job.beside(TRUTH).name)
    products = [folder / product.path for product in record.products if product.path.endswith(".fits")]
    _read_header(exposure, products)
    return exposure


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read_truth(exposure: Exposure, path: Path) -> None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        numbers, lines = dict(told.get("numbers", {})), list(told.get("lines", ()))
    except (OSError, ValueError, TypeError, AttributeError):
        return
    exposure.truth = {name: value for name, value in numbers.items() if is_number(value)}
    exposure.truth_lines = [str(line) for line in lines]


def _by_part(steps: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return records as {part: {step: numbers}}, also where an exposure has no parts."""
    nested = {part: table for part, table in steps.items() if _holds_tables(table)}
    flat = {name: table for name, table in steps.items() if isinstance(table, dict) and name not in nested}
    return {**({"": flat} if flat else {}), **nested}


def _holds_tables(table: Any) -> bool:
    return isinstance(table, dict) and bool(table) and all(isinstance(value, dict) for value in table.values())


def _read_header(exposure: Exposure, products: list[Path]) -> None:
    """Fill in what a header says: of the first file that knows the exposure, a product or else an input."""
    headers = list(_headers((*products, *(Path(file) for file in exposure.files))))
    # References that were made from the data say less of the exposure than its rates.
    header = next((one for one in headers if "NINTS" in one), headers[0] if headers else {})
    exposure.header = {label: header[card] for card, label in CARDS.items() if card in header}
    for card, value in header.items():
        if card.startswith("R_") and value and value != "N/A":
            kind = card[2:].lower()
            exposure.references[CUT_SHORT.get(kind, kind)] = str(value).rpartition("/")[2]


def _headers(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the keywords of files that can be read, up to the first that tells the number of integrations."""
    for path in files:
        if not is_fits(path):
            continue
        try:
            header = read_keywords(path).known()
        except InputError:
            continue
        yield header
        if "NINTS" in header:
            return
