"""What follows for each coronagraphic exposure from what it is, and from what the others are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectorist.errors import ParameterError
from detectorist.modes.coron.database import Database, stem_of
from detectorist.reduction.settings import setting

#: Types of the exposures that a reference star is compared with, by its own type: first what is looked for first.
_COMPARED = {"REF": ("SCI",), "REF_BG": ("SCI_BG", "SCI")}


def settings_by_type(database: Database, steps: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings}: no dark for subarrays; reference stars matched to their target where asked for.

    Parameters
    ----------
    database : Database
    steps : mapping
        {step: {parameter: value}} in force for all exposures.

    Raises
    ------
    ParameterError
        When reference stars are to be matched to a target that is not there.
    """
    masks = steps.get("mask_groups", {})
    wanted = not masks.get("skip", True)
    found: dict[str, tuple[str, ...]] = {}
    for concatenation, table in database.obs.items():
        for row in table:
            chosen = []
            if "skip" not in steps.get("dark_current", {}):
                chosen.append(setting("dark_current.skip", "FULL" not in str(row["SUBARRAY"]).upper()))
            if wanted:
                chosen += _matched_to_target(database, concatenation, str(row["TYPE"]), masks)
            found[stem_of(row["FITSFILE"])] = tuple(chosen)
    return found


def _matched_to_target(database: Database, concatenation: str, kind: str, masks: Mapping[str, Any]) -> list[str]:
    """Leave the target's own exposures alone; compare a reference star with the target, a field with a field."""
    if kind not in masks.get("types", _COMPARED):
        return ["mask_groups.skip=true"]
    chosen = ["mask_groups.skip=false"]
    if masks.get("mask_method") == "custom" or masks.get("science_files"):
        return chosen
    for other in _COMPARED.get(kind, ("SCI",)):
        files = [str(file) for file in database.select(concatenation, other)["UNCALFILE"] if file]
        if files:
            return [*chosen, setting("mask_groups.science_files", files)]
    raise ParameterError(
        f"{concatenation}: mask_groups compares reference stars with the science target; "
        "no raw file of TYPE SCI is there"
    )
