"""What a report is made from: the ledgers, records and resolved parameters below an output folder."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astropy.io import fits

from detectorist.campaign import ledger as ledgers
from detectorist.campaign.ledger import Entry, Ledger
from detectorist.errors import InputError
from detectorist.modes import exposure_name
from detectorist.modes.job import DONE

RESOLVED, RECORD = "resolved.toml", "record.json"
#: How far below the folder a run may lie.
DEEPEST = 3
#: State of an exposure whose folder holds parameters and no record.
UNFINISHED = "unfinished"
FAILED = "failed"
#: States in records of runs over a database -> states here; others are done.
STATES = {"failed": FAILED}
#: Pipelines by the name in resolved.toml -> mode.
PIPELINES = {"LrsPipeline": "lrs", "ImagingPipeline": "imaging", "Coron1Pipeline": "coron"}
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
    "EFFEXPTM": "exposure time (s)",
    "CRDS_CTX": "CRDS context",
}


@dataclass
class Exposure:
    """One exposure and what became of it.

    Attributes
    ----------
    numbers : dict
        Of the exposure as a whole.
    steps : dict
        {part of the exposure: {step: numbers}}, as the steps recorded them.
    resolved : dict
        Every parameter in force; {} where the reduction did not get that far.
    """

    name: str
    mode: str
    state: str
    folder: Path
    files: tuple[str, ...] = ()
    error: str = ""
    message: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    seconds: float = 0.0
    peak_bytes: int = 0
    header: dict[str, Any] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Name of the target, as the proposer wrote it."""
        return str(self.header.get("target", ""))


@dataclass
class Run:
    """Everything below one output folder.

    Attributes
    ----------
    commands : list of dict
        For each ledger: command, started, finished, host; empty for runs without one.
    """

    folder: Path
    exposures: list[Exposure]
    commands: list[dict[str, Any]] = field(default_factory=list)

    @property
    def modes(self) -> dict[str, list[Exposure]]:
        """Exposures by mode, in the order of the modes' names."""
        found: dict[str, list[Exposure]] = {}
        for exposure in self.exposures:
            found.setdefault(exposure.mode, []).append(exposure)
        return dict(sorted(found.items()))


def gather(folder: Path) -> Run:
    """Return the runs in a folder: a campaign with its ledger, single reductions, or any of these in folders below.

    Raises
    ------
    InputError
        When there is nothing to report on.
    """
    folder = Path(folder)
    run = Run(folder, [])
    for found in sorted(set(_find_runs(folder, DEEPEST))):
        if (found / ledgers.FILE).is_file():
            run.exposures += _from_ledger(found, run)
        else:
            run.exposures += _from_folder(found)
    if not run.exposures:
        raise InputError(f"{folder}: nothing to report on: no {ledgers.FILE} and no {RESOLVED} here or below")
    run.exposures.sort(key=lambda exposure: exposure.name)
    return run


def _find_runs(folder: Path, deepest: int) -> Iterator[Path]:
    """Yield folders with a ledger or resolved parameters; below such a folder everything belongs to it."""
    if (folder / ledgers.FILE).is_file() or (folder / RESOLVED).is_file():
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
    return [_from_entry(entry, folder) for entry in entries.values()]


def _from_entry(entry: Entry, ledger_folder: Path) -> Exposure:
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
        error=record.error,
        message=record.message,
        evidence=record.numbers,
        numbers=numbers if isinstance(numbers, dict) else {},
        steps=_by_part(steps),
        resolved=_own_parameters(_read_resolved(folder), job.name),
        settings=job.settings,
        seconds=record.seconds,
        peak_bytes=record.peak_bytes,
    )
    products = [folder / product.path for product in record.products if product.path.endswith(".fits")]
    _read_header(exposure, products)
    return exposure


def _from_folder(folder: Path) -> list[Exposure]:
    """Return the exposures of a folder without a ledger: one, or all that `resolved.toml` tells apart."""
    resolved = _read_resolved(folder)
    records = _read_json(folder / RECORD)
    files = tuple(str(path) for path in resolved.get("inputs", ()))
    if "exposures" not in resolved:
        name = exposure_name(Path(files[0])) if files else folder.name
        return [_make_exposure(name, folder, resolved, records, files)]
    return [
        _make_exposure(
            name,
            folder,
            _own_parameters(resolved, name),
            {name: records[name]} if name in records else {},
            tuple(file for file in files if Path(file).name.startswith(name)),
        )
        for name in resolved["exposures"]
    ]


def _make_exposure(
    name: str, folder: Path, resolved: dict[str, Any], records: dict[str, Any], files: tuple[str, ...]
) -> Exposure:
    steps = dict(records)
    numbers = steps.pop("exposure", {})
    facts: dict[str, Any] = {}
    if name in steps and "exposure" in steps[name]:
        steps[name] = dict(steps[name])
        facts = steps[name].pop("exposure")
    exposure = Exposure(
        name=name,
        mode=PIPELINES.get(resolved.get("pipeline", ""), resolved.get("pipeline", "")),
        state=(STATES.get(facts.get("state", ""), DONE)) if records else UNFINISHED,
        folder=folder,
        files=files,
        message=facts.get("message", "") if records else f"nothing in {RECORD}: not finished; see detectorist.log",
        numbers={**numbers, **{key: value for key, value in facts.items() if key not in ("state", "message")}},
        steps=_by_part(steps),
        resolved=resolved,
        settings=tuple(resolved.get("settings", ())),
        seconds=facts.get("seconds", 0.0),
    )
    _read_header(exposure, sorted(folder.glob("stage_1/*.fits")) + sorted(folder.glob(f"{name}*.fits")))
    return exposure


def _own_parameters(resolved: dict[str, Any], name: str) -> dict[str, Any]:
    """Return parameters with the choices for one exposure in the place of the common ones."""
    if "exposures" not in resolved:
        return resolved
    own = resolved["exposures"].get(name, {})
    steps = {step: {**table, **own.get("steps", {}).get(step, {})} for step, table in resolved.get("steps", {}).items()}
    settings = [*own.get("settings", ()), *resolved.get("settings", ())]
    return {**resolved, "steps": steps, "settings": settings}


def _by_part(steps: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return records as {part: {step: numbers}}, also where an exposure has no parts."""
    nested = {part: table for part, table in steps.items() if _holds_tables(table)}
    flat = {name: table for name, table in steps.items() if isinstance(table, dict) and name not in nested}
    return {**({"": flat} if flat else {}), **nested}


def _holds_tables(table: Any) -> bool:
    return isinstance(table, dict) and bool(table) and all(isinstance(value, dict) for value in table.values())


def _read_resolved(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / RESOLVED).read_text())
    except (OSError, ValueError):
        return {}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _read_header(exposure: Exposure, products: list[Path]) -> None:
    """Fill in what a header says, from the first file that can be read: a product, else an input."""
    for path in (*products, *(Path(file) for file in exposure.files)):
        if not path.name.endswith((".fits", ".fits.gz")) or not path.is_file():
            continue
        try:
            header = fits.getheader(path, 0)
            exposure.header = {label: header[card] for card, label in CARDS.items() if header.get(card) is not None}
        except (OSError, fits.VerifyError):
            continue
        for card, value in header.items():
            if card.startswith("R_") and value and value != "N/A":
                exposure.references[card[2:].lower()] = str(value).rpartition("/")[2]
        return
