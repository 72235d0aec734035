"""Labels of logarithmic axes in plain letters: 10⁻⁴, 2×10⁻⁴.

matplotlib sets them as formulas, and takes half a second to prepare for the first.
"""

from __future__ import annotations

import re
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation

_EXPONENT = re.compile(r"\^\{([^}]*)\}")
_RAISED = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
#: Marks of a formula, and what stands for them.
_MARKS = {"$": "", r"\mathdefault": "", "{": "", "}": "", r"\times": "×"}


class PlainPowers(LogFormatterSciNotation):
    """Labels of a logarithmic axis as matplotlib writes them, without its formulas."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick; "" where there is none."""
        return plain(super().__call__(x, pos))


def plain(formula: str) -> str:
    """Return a formula of a power of ten in plain letters."""
    text = _EXPONENT.sub(lambda found: found[1].translate(_RAISED), formula)
    for mark, letter in _MARKS.items():
        text = text.replace(mark, letter)
    return text


def use_plain_powers(figure: Figure) -> None:
    """Label all logarithmic axes of a figure that matplotlib would label by formulas."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for ticks in ("major", "minor"):
                formatter = getattr(axis, f"get_{ticks}_formatter")()
                if type(formatter) is LogFormatterSciNotation:
                    getattr(axis, f"set_{ticks}_formatter")(_plain_version(formatter))


def _plain_version(formatter: LogFormatterSciNotation) -> PlainPowers:
    """Return a formatter of the same choices of what is labelled."""
    made: Any = PlainPowers.__new__(PlainPowers)
    made.__dict__.update(formatter.__dict__)
    return made
