"""What is to be done with the exposures of a coronagraphic database, checked before anything is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectorist.errors import ParameterError
from detectorist.modes.coron.database import Database, stem_of
from detectorist.parameters import nearest

if TYPE_CHECKING:
    from detectorist.modes.coron.pipeline import Coron1Pipeline

#: Thresholds of the jump step unless told otherwise, sigma.
JUMP_THRESHOLD = 4.0
#: Keywords that turn a step off: keyword -> (step, parameter, value when the keyword is true).
SKIPS = {
    "skip_ktc": ("subtract_ktc", "skip", True),
    "skip_fnoise": ("subtract_1overf", "skip", True),
    "skip_fnoise_vert": ("subtract_1overf", "vertical_corr", False),
    "skip_charge": ("charge_migration", "skip", True),
    "skip_jump": ("jump", "skip", True),
    "skip_dark": ("dark_current", "skip", True),
    "skip_ipc": ("ipc", "skip", True),
    "skip_persistence": ("persistence", "skip", True),
}
#: Keywords that go to the pipeline itself.
OPTIONS = ("save_intermediates", "return_rateints", "save_calibrated_ramp", "rate_int_outliers", "stage_1overf")


@dataclass(frozen=True)
class ObsExposure:
    """A row of a table, and where it is."""

    concatenation: str
    index: int
    name: str
    type: str
    subarray: str
    uncal: str


class ObsPlan:
    """What is to be done, checked before anything is."""

    def __init__(
        self, database: Database, steps: Mapping[str, Mapping[str, Any]], overwrite: bool, keywords: dict[str, Any]
    ):
        from detectorist.modes.coron.pipeline import Coron1Pipeline

        if not len(database):
            raise ParameterError("the database has no exposure: read some files first")
        known = (*SKIPS, *OPTIONS)
        for name in keywords:
            if name not in known:
                raise ParameterError(f'no keyword "{name}"{nearest(name, known)}; known are {", ".join(known)}')
        self.concerns, self.overwrite = database.check(), overwrite
        self._keywords = {name: value for name, value in keywords.items() if value is not None}
        self._steps = {name: dict(table) for name, table in steps.items()}
        self._science = {
            (name, kind): [str(file) for file in database.select(name, kind)["UNCALFILE"] if file]
            for name in database.obs
            for kind in ("SCI", "SCI_BG")
        }
        self.exposures = [
            ObsExposure(
                name, k, stem_of(row["FITSFILE"]), str(row["TYPE"]), str(row["SUBARRAY"]), str(row["UNCALFILE"])
            )
            for name, table in database.obs.items()
            for k, row in enumerate(table)
        ]
        self._require_science()
        _check_names(Coron1Pipeline, self._steps)
        self.build(self.exposures[0], None)

    @property
    def _masks_groups(self) -> bool:
        return not self._steps.get("mask_groups", {}).get("skip", True)

    def _require_science(self) -> None:
        """Refuse to match reference stars to targets where there are none."""
        if not self._masks_groups or self._steps["mask_groups"].get("mask_method") == "custom":
            return
        for exposure in self.exposures:
            if exposure.type.startswith("REF") and not self._science[exposure.concatenation, "SCI"]:
                raise ParameterError(
                    f"{exposure.concatenation}: mask_groups compares reference stars with the science target; "
                    "no raw file of TYPE SCI is there"
                )

    def steps_for(self, exposure: ObsExposure) -> dict[str, dict[str, Any]]:
        """Return the parameters of all steps: defaults of this module, keywords, then what the user gave by step."""
        thresholds = ("rejection_threshold", "three_group_rejection_threshold", "four_group_rejection_threshold")
        steps: dict[str, dict[str, Any]] = {
            "jump": dict.fromkeys(thresholds, JUMP_THRESHOLD),
            "persistence": {"skip": True},
            "dark_current": {"skip": "FULL" not in exposure.subarray.upper()},
        }
        for keyword, (step, parameter, when_true) in SKIPS.items():
            if keyword in self._keywords:
                value = when_true if self._keywords[keyword] else not when_true
                steps.setdefault(step, {})[parameter] = value
        for name, table in self._steps.items():
            steps.setdefault(name, {}).update(table)
        if self._masks_groups:
            steps["mask_groups"] = self._mask_groups_for(exposure, steps["mask_groups"])
        return steps

    def _mask_groups_for(self, exposure: ObsExposure, given: dict[str, Any]) -> dict[str, Any]:
        """Leave the target's own exposures alone; compare a reference star with the target, a field with a field."""
        if not exposure.type.startswith("REF"):
            return {"skip": True}
        kinds = ("SCI_BG", "SCI") if exposure.type == "REF_BG" else ("SCI",)
        found = next((files for kind in kinds if (files := self._science[exposure.concatenation, kind])), [])
        return {"science_files": found, **given}

    def build(self, exposure: ObsExposure, dataset: str | None, folder: Path | None = None) -> Coron1Pipeline:
        """Return the pipeline for an exposure."""
        from detectorist.modes.coron.pipeline import Coron1Pipeline
        from detectorist.reduction.runner import build_pipeline

        options = {name: self._keywords[name] for name in OPTIONS if name in self._keywords}
        if folder is not None:
            options |= {"output_dir": str(folder), "save_results": True}
        return build_pipeline(Coron1Pipeline, dataset, steps=self.steps_for(exposure), **options)


def _check_names(pipeline: type[Coron1Pipeline], steps: dict[str, dict[str, Any]]) -> None:
    from detectorist.reduction.recipe import Recipe

    Recipe("steps", steps=steps).check(pipeline)
