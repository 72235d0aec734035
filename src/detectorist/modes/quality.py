"""Figures of merit of an exposure, and the limits between which they should lie."""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
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
    indexed : bool
        It stands in the table of exposures; all numbers stand with their exposure.
    error : str
        Key of its standard deviation; "" where that is not known.
    """

    key: str
    title: str
    unit: str = ""
    meaning: str = ""
    form: str = ".3g"
    compared: bool = True
    indexed: bool = True
    error: str = ""

    def text(self, value: Any, error: Any = None) -> str:
        """Return a value of this column with its error, where that is known, and its unit."""
        if not is_number(value):
            return str(value)
        shown = formatted(value, self.form)
        if is_number(error):
            shown = f"{shown} ± {formatted(error, self.form)}"
        return f"{shown} {self.unit}" if self.unit else shown

    def told(self, numbers: Mapping[str, Any]) -> str:
        """Return the value that an exposure has, as text."""
        return self.text(numbers[self.key], numbers.get(self.error))


class _Sentences(string.Formatter):
    """Fills numbers into sentences; those that an older record lacks, or holds otherwise, leave the rest readable."""

    def get_value(self, key: Any, args: Any, kwargs: Any) -> Any:
        """Return a number of a record by its name, or words where the record lacks it."""
        return kwargs.get(key, "an unknown number")

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a value in the form that the sentence asks for, as it is where that does not fit."""
        return formatted(value, format_spec)


_SENTENCES = _Sentences()


@dataclass(frozen=True)
class Check:
    """A number that should lie between limits, or a text that should not be there.

    Attributes
    ----------
    reason : str
        A sentence; {value}, {low}, {high} and other numbers of the exposure are filled in.
    low, high : float, optional
        With neither of them, any text under `key` is a concern.
    urgency : float
        Of a value at its limit, or of the text.
    of : str
        Key of the column that it speaks of, where that is another one: of a ratio, say, what it is at least.
    """

    key: str
    reason: str
    low: float | None = None
    high: float | None = None
    urgency: float = 1.0
    of: str = ""

    @property
    def column(self) -> str:
        """Key of the column whose goodness it tells."""
        return self.of or self.key

    def apply(self, value: Any, numbers: Mapping[str, Any] = MappingProxyType({})) -> Concern | None:
        """Return a concern where the value lies outside; its urgency grows with the logarithm of the excess."""
        known = {**numbers, "value": value, "low": self.low, "high": self.high}
        if self.high is None and self.low is None:
            told = isinstance(value, str) and bool(value)
            return Concern(self.urgency, _SENTENCES.vformat(self.reason, (), known)) if told else None
        if not is_number(value):
            return None
        words = _SENTENCES.vformat(self.reason, (), known)
        if self.high is not None and value > self.high:
            return Concern(self.urgency + octaves(value, self.high), words)
        if self.low is not None and value < self.low:
            return Concern(self.urgency + octaves(self.low, value), words)
        return None


def good_in_words(column: Column, checks: Iterable[Check]) -> str:
    """Return the limits of a column in words, from its checks: "good up to 1.15"; "" where it has none."""
    own = [check for check in checks if check.column == column.key]
    lows = [check.low for check in own if check.low is not None]
    highs = [check.high for check in own if check.high is not None]
    if lows and highs:
        return f"good between {max(lows):g} and {min(highs):g}"
    if highs:
        return f"good up to {min(highs):g}"
    return f"good from {max(lows):g}" if lows else ""


def without_unknown(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers that are known, as plain values: what is None or not finite is left out."""
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in numbers.items()}
    unknown = (value is None or (isinstance(value, float) and not math.isfinite(value)) for value in plain.values())
    return {name: plain[name] for name, left_out in zip(plain, unknown, strict=True) if not left_out}


@dataclass(frozen=True)
class Concern:
    """A reason to look at an exposure; `urgency` ranks it."""

    urgency: float
    words: str


def octaves(larger: float, smaller: float) -> float:
    """Return by how many factors of two one number exceeds another; 3 where that has no meaning."""
    return math.log2(larger / smaller) if smaller > 0 and larger > 0 else 3.0


def formatted(value: Any, form: str) -> str:
    """Return a number in a column's form; one that should have been whole, or a text, is written as it is."""
    try:
        return format(value, ".0f" if form == "d" else form)
    except (ValueError, TypeError):
        return str(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


#: Types of references that an exposure lacks, as text: every mode records them so.
MISSING_REFERENCES = Check(
    "missing_references",
    "there are no references of these types for its detector and subarray: {value}. Steps that need them were skipped",
    urgency=5,
)
#: A header by which ramps are scaled as no flight data need it, as text.
ODD_FRAME_DIVISOR = Check(
    "odd_frame_divisor",
    "{value}. That is right only if each group is the sum of its frames over FRMDIVSR; if groups are means already, "
    "rates are wrong by this factor: set FRMDIVSR to NFRAMES then, or group_scale.skip=true",
    urgency=5,
)
#: What every mode says of the files that it was given.
OF_INPUTS = (MISSING_REFERENCES, ODD_FRAME_DIVISOR)


def inputs_in_words(numbers: Mapping[str, Any]) -> list[str]:
    """Return lines on references that are missing and on an odd header; none where all is well."""
    missing, odd = (numbers.get(check.key) for check in OF_INPUTS)
    lines = [f"no references of type {missing}: steps that need them were skipped"] if missing else []
    return [*lines, *([odd] if odd else [])]
