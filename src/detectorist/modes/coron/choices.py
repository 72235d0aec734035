"""What follows for each coronagraphic exposure from what it is, and from what the others are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectorist.errors import ParameterError
from detectorist.modes.coron.database import Database, stem_of
from detectorist.reduction.settings import setting

Steps = Mapping[str, Mapping[str, Any]]

#: Types of the exposures that a reference star is compared with, by its own type: first what is looked for first.
_COMPARED = {"REF": ("SCI",), "REF_BG": ("SCI_BG", "SCI")}


def settings_by_type(database: Database, steps: Steps) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings} that stand unless something else is said: no dark for subarrays."""
    if "skip" in steps.get("dark_current", {}):
        return {}
    return {
        stem_of(row["FITSFILE"]): (setting("dark_current.skip", "FULL" not in str(row["SUBARRAY"]).upper()),)
        for table in database.obs.values()
        for row in table
    }


def matched_groups(database: Database, steps: Steps) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings} that match reference stars to their target, where that is asked for.

    Raises
    ------
    ParameterError
        When the target is not there.
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
    if kind not in masks.get("types", _COMPARED):
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
