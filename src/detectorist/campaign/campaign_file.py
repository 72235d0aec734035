"""The campaign file: TOML with the exposures, the recipe, and how to run it."""

from __future__ import annotations

import glob
import logging
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from detectorist.campaign import memory
from detectorist.campaign.exposures import Choices, read_choices
from detectorist.campaign.plan import PlanRequest
from detectorist.errors import NoSuchFile, ParameterError
from detectorist.modes import load_mode
from detectorist.parameters import nearest
from detectorist.reduction.recipes.settings import setting

log = logging.getLogger(__name__)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TableOfExposures(_Table):
    """`[exposures]`: choices per exposure."""

    table: Path = Field(strict=False)
    exposure_column: str = "exposure"
    columns: dict[str, str] = {}
    ignore: list[str] = []
    unmatched: Literal["error", "ignore"] = "error"

    def read(self) -> Choices:
        """Return the choices of the table."""
        return read_choices(self.table, exposure_column=self.exposure_column, columns=self.columns, ignore=self.ignore)


class Execution(_Table):
    """`[execution]`: how to run; nothing here changes a product."""

    workers: int | None = Field(default=None, ge=1)
    scheduler: str | None = None
    memory_limit: int | None = Field(default=None, strict=False)
    chunk_ints: int | None = Field(default=None, ge=1)
    timeout_s: float | None = Field(default=None, gt=0)

    @field_validator("memory_limit", mode="before")
    @classmethod
    def _parse_memory(cls, value: Any) -> int | None:
        return None if value is None else memory.parse_bytes(value)


class CampaignFile(_Table):
    """The contents of a campaign file; paths are relative to the file."""

    mode: str
    inputs: list[str] = Field(min_length=1)
    output_dir: Path = Field(strict=False)
    exclude: list[str] = []
    recipe: str | None = None
    references: str | None = None
    persistence_time: float = Field(default=0.0, ge=0, strict=False)
    through: str = ""
    parameters: dict[str, Any] = {}
    steps: dict[str, dict[str, Any]] = {}
    exposures: TableOfExposures | None = None
    execution: Execution = Execution()

    def request(self, output_dir: Path | None = None) -> PlanRequest:
        """Return the request of the file, with another output folder if one is given."""
        return PlanRequest(
            mode=self.mode,
            files=expand(self.inputs, load_mode(self.mode).suffixes, exclude=self.exclude),
            output_dir=output_dir or self.output_dir,
            recipe=self.recipe,
            settings=self.settings(),
            choices=self.exposures.read() if self.exposures else None,
            allow_unmatched=bool(self.exposures and self.exposures.unmatched == "ignore"),
            references=self.references,
            persistence_time_s=self.persistence_time,
            through=self.through,
        )

    def settings(self) -> list[str]:
        """Return the tables of parameters as "step.parameter=value"."""
        own = [setting(name, value) for name, value in self.parameters.items()]
        return own + [
            setting(f"{step}.{name}", value) for step, table in self.steps.items() for name, value in table.items()
        ]


def read_campaign(path: Path) -> CampaignFile:
    """Read and check a campaign file; its relative paths are made absolute.

    Raises
    ------
    NoSuchFile
        When it is not there.
    ParameterError
        When it is not valid TOML, has an unknown key (the message suggests the nearest) or a value of a wrong kind.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise NoSuchFile(f"{path}: no such file; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{path}: not valid TOML ({error}); correct the file") from error
    try:
        campaign = CampaignFile.model_validate(table)
    except ValidationError as error:
        raise ParameterError(f"{path}: {_first_problem(error)}") from error
    return _anchored(campaign, path.resolve().parent)


def expand(patterns: Iterable[str], suffixes: tuple[str, ...], *, exclude: Iterable[str] = ()) -> list[Path]:
    """Return the files of names, globs and folders, sorted; a folder gives its files with these endings.

    Raises
    ------
    ParameterError
        When a name or glob matches nothing.
    """
    found: set[Path] = set()
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_dir():
            matches = [item for item in path.iterdir() if item.name.lower().endswith(suffixes)]
        elif path.exists():
            matches = [path]
        else:
            matches = [Path(item) for item in glob.glob(str(path), recursive=True)]
        if not matches:
            raise ParameterError(
                f"{pattern}: no such file"
                + (f" ending in {suffixes[0]} in this folder" if path.is_dir() else "; check the path")
            )
        found.update(item.absolute() for item in matches)
    for pattern in exclude:
        found = {path for path in found if not (path.match(pattern) or str(path) == pattern)}
    return _without_twins(sorted(found))


def _without_twins(paths: list[Path]) -> list[Path]:
    """Leave out a compressed file whose uncompressed one is there too."""
    names = {str(path).lower() for path in paths}
    twins = [path for path in paths if path.suffix.lower() == ".gz" and str(path)[: -len(".gz")].lower() in names]
    for path in twins:
        log.warning("%s: left out, since the uncompressed file is there too", path)
    return [path for path in paths if path not in twins]


def _anchored(campaign: CampaignFile, folder: Path) -> CampaignFile:
    def absolute(text: str | Path) -> str:
        return str(folder / Path(text).expanduser())

    changes: dict[str, Any] = {
        "inputs": [str(Path(glob.escape(str(folder))) / Path(text).expanduser()) for text in campaign.inputs],
        "output_dir": Path(absolute(campaign.output_dir)),
    }
    if campaign.recipe and campaign.recipe.endswith(".toml"):
        changes["recipe"] = absolute(campaign.recipe)
    if campaign.references and campaign.references not in ("crds", "none", "sim"):
        changes["references"] = absolute(campaign.references)
    if campaign.exposures:
        changes["exposures"] = campaign.exposures.model_copy(update={"table": Path(absolute(campaign.exposures.table))})
    return campaign.model_copy(update=changes)


def _first_problem(error: ValidationError) -> str:
    # A key that is misspelt is unknown and missing: the first says more.
    problem = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = [str(part) for part in problem["loc"]]
    name = ".".join(place)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(place[:-1])
        return f'no key "{name}"{nearest(place[-1], known)}; known: {", ".join(known)}'
    if problem["type"] == "missing":
        return f'"{name}" is missing'
    return f"{name} is {problem['input']!r}: {problem['msg'].removeprefix('Value error, ')}"


def _known_keys(place: list[str]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {"exposures": TableOfExposures, "execution": Execution}
    return list(tables.get(place[0] if place else "", CampaignFile).model_fields)
