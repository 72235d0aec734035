"""Parameters that are not at their defaults, where they come from, and which differ between exposures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from detectorist.modes.exposure import Exposure
from detectorist.reduction.recipes.in_force import in_force

#: What sources are, for those who ask who has set a parameter.
MEANINGS = {
    "recipe": "given by the recipe",
    "setting": "given for this exposure: in a table, by an option such as --set, or by the mode for this kind of "
    "exposure",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter that is not at its default, or not the same in all exposures.

    Attributes
    ----------
    step : str
        "" for the pipeline itself.
    source : str
        "recipe", or "setting" if it was given for this exposure: in a table, by `--set` or another option, or by its
        mode, which knows the kind of exposure.
    varies : bool
    """

    step: str
    name: str
    value: Any
    default: Any
    source: str
    varies: bool

    @property
    def meaning(self) -> str:
        """What its source is, in words."""
        return MEANINGS.get(self.source, "")

    @property
    def path(self) -> str:
        """Its name as `--set` takes it."""
        return f"{self.step}.{self.name}" if self.step else self.name


def find_varying(exposures: Iterable[Exposure]) -> set[tuple[str, str]]:
    """Return the parameters that differ between exposures; one that only some have differs too."""
    tables = [in_force(exposure.resolved) for exposure in exposures if exposure.resolved]
    if len(tables) < 2:
        return set()
    names = set().union(*tables)
    return {path for path in names if len({repr(table.get(path)) for table in tables}) > 1}


def find_changed(
    exposure: Exposure, defaults: dict[tuple[str, str], Any], varying: set[tuple[str, str]]
) -> list[Parameter]:
    """Return the parameters worth marking, in the order of the steps.

    defaults : dict
        As `in_force` of a bare pipeline; for parameters unknown there, only differences between exposures count.
    """
    set_by_hand = {setting.partition("=")[0].strip().removeprefix("steps.") for setting in exposure.settings}
    found = []
    for (step, name), value in in_force(exposure.resolved).items():
        known = (step, name) in defaults
        differs = known and not _same(value, defaults[step, name])
        varies = (step, name) in varying
        if differs or varies:
            path = f"{step}.{name}" if step else name
            source = "setting" if path in set_by_hand else "recipe" if differs else ""
            found.append(Parameter(step, name, value, defaults.get((step, name)), source, varies))
    return found


def _same(value: Any, default: Any) -> bool:
    if default is None:
        return value in (None, "None")
    if isinstance(value, int | float) and isinstance(default, int | float):
        return float(value) == float(default)
    return str(value) == str(default)
