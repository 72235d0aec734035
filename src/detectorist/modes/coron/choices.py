"""Settings of each coronagraphic exposure that follow from its type, and from the other exposures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from detectorist.errors import ParameterError
from detectorist.modes.coron.database import Database
from detectorist.modes.coron.exposure_table import stem_of
from detectorist.reduction.recipes.settings import setting

Steps = Mapping[str, Mapping[str, Any]]

#: Types of the exposures that a reference star is compared with, by its own type: first what is looked for first.
_COMPARED = {"REF": ("SCI",), "REF_BG": ("SCI_BG", "SCI")}


def types_of(database: Database) -> dict[str, dict[str, str]]:
    """Return {exposure: its concatenation and TYPE}, as later stages find them among the options of its job."""
    return {
        stem_of(row["FITSFILE"]): {"concatenation": name, "type": str(row["TYPE"])}
        for name, table in database.obs.items()
        for row in table
    }


def settings_by_type(database: Database, steps: Steps) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings}, the defaults by type of exposure.

    No dark for subarrays. NIRCam ramps with one good group are fitted; without a superbias, as with MIRI, the rate of
    such a ramp would be the pedestal over the time of a group.
    """
    return {
        stem_of(row["FITSFILE"]): tuple(_settings_of_row(row, steps))
        for table in database.obs.values()
        for row in table
    }


def _settings_of_row(row: Any, steps: Steps) -> Iterator[str]:
    if "skip" not in steps.get("dark_current", {}):
        yield setting("dark_current.skip", "FULL" not in str(row["SUBARRAY"]).upper())
    if "suppress_one_group" not in steps.get("ramp_fit", {}) and row["INSTRUME"] == "NIRCAM":
        yield setting("ramp_fit.suppress_one_group", False)


def matched_groups(database: Database, steps: Steps) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings} that match reference stars to their target, if requested.

    Raises
    ------
    ParameterError
        When there is no target.
    """
    masks = steps.get("mask_groups", {})
    if masks.get("skip", True):
        return {}
    return {
        stem_of(row["FITSFILE"]): tuple(_matched_to_target(database, concatenation, str(row["TYPE"]), masks))
        for concatenation, table in database.obs.items()
        for row in table
    }


def _matched_to_target(database: Database, concatenation: str, kind: str, masks: Mapping[str, Any]) -> list[str]:
    """Leave the target's own exposures alone; compare a reference star with the target, a field with a field."""
    types = masks.get("types") or tuple(_COMPARED)
    if kind not in ([types] if isinstance(types, str) else types):
        return ["mask_groups.skip=true"]
    chosen = ["mask_groups.skip=false"]
    if masks.get("science_files"):
        return chosen
    for other in _COMPARED.get(kind, ("SCI",)):
        files = [str(file) for file in database.select(concatenation, other)["UNCALFILE"] if file]
        if files:
            return [*chosen, setting("mask_groups.science_files", files)]
    if masks.get("mask_method") == "custom":
        return chosen
    raise ParameterError(
        f"{concatenation}: mask_groups compares reference stars with the science target; "
        "no raw file of TYPE SCI is there"
    )
