"""What became of the exposures of a database, and the files that say so: parameters in force, states, records."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

if TYPE_CHECKING:
    from detectorist.crds_source import ReferenceSource

RESOLVED, RECORD = "resolved.toml", "record.json"


@dataclass(frozen=True)
class ObsRecord:
    """What became of one exposure.

    Attributes
    ----------
    name : str
        Of the exposure.
    concatenation, type : str
        As in the database.
    state : str
        "done", "kept" (products were up to date) or "failed".
    products : tuple of Path
        Empty where it failed.
    error : str
        Why it failed.
    seconds : float
    """

    name: str
    concatenation: str
    type: str
    state: str
    products: tuple[Path, ...] = ()
    error: str = ""
    seconds: float = 0.0


def write_obs_record(
    folder: Path,
    records: Sequence[ObsRecord],
    *,
    inputs: Mapping[str, str],
    steps: Mapping[str, Mapping[str, Any]],
    parameters: Mapping[str, Any],
    source: ReferenceSource,
) -> None:
    """Write `resolved.toml` and `record.json`; what earlier runs left there of other exposures is kept.

    Parameters
    ----------
    inputs : mapping
        {exposure: raw file}.
    steps : mapping
        {exposure: {step: {parameter: value}}}, what was chosen for each.
    parameters : mapping
        Of the pipeline and its steps where nothing was chosen.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    from detectorist.reduction import content_keys, products
    from detectorist.reduction.runner import without_none

    known = _read(folder / RECORD, json.loads)
    for record in records:
        known[record.name] = {"exposure": _facts(record), **_steps_of(record)}
    earlier = _read(folder / RESOLVED, tomllib.loads)
    chosen = {name: {"settings": [], "steps": without_none(dict(table))} for name, table in steps.items()}
    resolved = {
        "pipeline": "Coron1Pipeline",
        "recipe": "run_obs",
        "title": "coronagraphy, stage 1",
        "settings": [],
        "inputs": list(dict.fromkeys([*earlier.get("inputs", ()), *inputs.values()])),
        "references": {"source": source.name, "context": source.context},
        "versions": {name: version(name) for name in content_keys.PACKAGES},
        "exposures": {**earlier.get("exposures", {}), **chosen},
        **without_none(dict(parameters)),
    }
    products.write_text(json.dumps(known, default=str), folder / RECORD)
    products.write_text(tomli_w.dumps(resolved), folder / RESOLVED)


def _facts(record: ObsRecord) -> dict[str, Any]:
    return {
        "state": record.state,
        "message": record.error,
        "seconds": record.seconds,
        "type": record.type,
        "concatenation": record.concatenation,
    }


def _steps_of(record: ObsRecord) -> dict[str, Any]:
    """Return what the steps recorded in the rate."""
    from stdatamodels.jwst import datamodels

    from detectorist import models

    rate = next((path for path in record.products if path.name.endswith("_rate.fits")), None)
    if rate is None:
        return {}
    with datamodels.open(rate) as model:
        return {alias: dict(numbers) for alias, numbers in models.records(model).items()}


def _read(path: Path, parse: Any) -> dict[str, Any]:
    """Return a table that an earlier run left; {} where there is none that can be read."""
    try:
        table = parse(path.read_text())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
