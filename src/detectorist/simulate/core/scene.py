"""The base of scenes of all modes: components by name, changed by copying."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection
from typing import Any, Self

from detectorist.errors import ParameterError

#: The largest number of integrations, and of groups, that observations can be planned with (APT).
MOST = 65_535
#: Count rates between nothing and a pixel that is full within a millionth of a frame: beyond, photons cannot be drawn.
RATES_DN_S = (0.0, 1e9)
#: What `progress` is called with: integrations done, integrations in all, the file or work in hand.
Progress = Callable[[float, int, str], None]


class Scene:
    """Components by name, each of which can be left out or changed; a scene itself never changes.

    A subclass is a frozen dataclass with one field per component and a field `left_out` (frozenset of str). The field
    `detector` is not a component: it can be changed, but not left out. A component may limit its parameters by a class
    attribute `RANGES`, {name: (least, most)}.
    """

    left_out: frozenset[str]

    @classmethod
    def components(cls) -> tuple[str, ...]:
        """Return the names of all components."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.name not in ("left_out", "detector"))

    def has(self, name: str) -> bool:
        """Return whether a component is part of the scene."""
        return name in self.components() and name not in self.left_out

    def without(self, *names: str) -> Self:
        """Return the scene without some of its components.

        Raises
        ------
        ParameterError
            For a name that is not in `components()`; the nearest one is suggested.
        """
        for name in names:
            require_known(name, self.components(), "component")
        return dataclasses.replace(self, left_out=self.left_out | set(names))

    def only(self, *names: str) -> Self:
        """Return the scene with no components but these."""
        for name in names:
            require_known(name, self.components(), "component")
        return dataclasses.replace(self, left_out=frozenset(self.components()) - set(names))

    def with_(self, component: str, **changes: Any) -> Self:
        """Return the scene with other parameters of one component, which is put back if it had been left out.

        Raises
        ------
        ParameterError
            For a component or a parameter that does not exist; the nearest name is suggested. For NaN and infinity, and
            values outside of the component's `RANGES`.
        """
        require_known(component, (*self.components(), "detector"), "component")
        current = getattr(self, component)
        known = [f.name for f in dataclasses.fields(current)]
        for name, value in changes.items():
            require_known(name, known, f"parameter of {component}")
            _require_in_range(f"{name} of {component}", value, getattr(current, "RANGES", {}).get(name))
        changed = dataclasses.replace(current, **changes)
        return dataclasses.replace(self, **{component: changed}, left_out=self.left_out - {component})


def _require_in_range(name: str, value: Any, limits: tuple[float, float] | None) -> None:
    """Refuse numbers that are not finite or outside of the limits, several of them alike; words are left alone."""
    for number in value if isinstance(value, tuple | list) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise ParameterError(f"{name} is {value}: a finite number is needed")
        if limits and isinstance(number, int | float) and not limits[0] <= number <= limits[1]:
            raise ParameterError(f"{name} is {value}, but must be between {limits[0]:g} and {limits[1]:g}")


def require_number(name: str, value: int, *, least: int, most: int = MOST) -> None:
    """Raise ParameterError for a number of integrations, groups, files, ... that no observation has."""
    if not least <= value <= most:
        limit = f"at least {least}" if value < least else f"at most {most}"
        raise ParameterError(f"{name} is {value}, but must be {limit}", parameter=name)


def require_known(name: str, known: Collection[str], what: str) -> None:
    """Raise ParameterError for a name that is not in `known`; the nearest one is suggested."""
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f' (did you mean "{nearest[0]}"?)' if nearest else ""
        raise ParameterError(f'"{name}" is no {what}{hint}; known are {", ".join(known) or "none"}', found=name)
