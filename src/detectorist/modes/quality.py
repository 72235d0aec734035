"""Figures of merit of an exposure, and the limits between which they should lie."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A number of the index table.

    Attributes
    ----------
    key : str
        Its name among the numbers of an exposure.
    title, unit, meaning : str
        Heading, unit, and a sentence for those who do not know it.
    form : str
        How it is written, as for `format`.
    compared : bool
        A value unlike those of the other exposures is worth a look.
    """

    key: str
    title: str
    unit: str = ""
    meaning: str = ""
    form: str = ".3g"
    compared: bool = True


@dataclass(frozen=True)
class Check:
    """A number that should lie between limits.

    Attributes
    ----------
    low, high : float, optional
    reason : str
        A sentence; {value}, {low} and {high} are filled in.
    """

    key: str
    reason: str
    low: float | None = None
    high: float | None = None

    def apply(self, value: float) -> Concern | None:
        """Return a concern where the value lies outside; its urgency grows with the logarithm of the excess."""
        words = self.reason.format(value=value, low=self.low, high=self.high)
        if self.high is not None and value > self.high:
            return Concern(1 + octaves(value, self.high), words)
        if self.low is not None and value < self.low:
            return Concern(1 + octaves(self.low, value), words)
        return None


@dataclass(frozen=True)
class Concern:
    """A reason to look at an exposure; `urgency` ranks it."""

    urgency: float
    words: str


def octaves(larger: float, smaller: float) -> float:
    """Return by how many factors of two one number exceeds another; 3 where that has no meaning."""
    return math.log2(larger / smaller) if smaller > 0 and larger > 0 else 3.0


def is_number(value: Any) -> bool:
    """Tell whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
