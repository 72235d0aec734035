"""Sizes of texts in points, from the metrics of their letters: no renderer is asked."""

from __future__ import annotations

from functools import lru_cache

import matplotlib as mpl
from matplotlib.font_manager import FontProperties, findfont, get_font

from detectorist.figures.powers import plain

#: Space between two lines, as matplotlib's, in sizes of the font.
LINE = 1.2
#: Points of a font at which its letters are measured.
MEASURED_POINTS = 100.0


def size_of(text: str, points: float) -> tuple[float, float]:
    """Return width and height of a text in the default font, in points; (0, 0) where there is none.

    Formulas count as their letters: powers of ten are what axes have.
    """
    if not text:
        return 0.0, 0.0
    lines = text.split("\n")
    family = tuple(mpl.rcParams["font.family"])
    scale = points / MEASURED_POINTS
    height = _measure("lp", family)[1] + LINE * MEASURED_POINTS * (len(lines) - 1)
    return scale * max(_width(line, family) for line in lines), scale * height


def points_of(size: float | str) -> float:
    """Return a size of a font, a number or a word as "small", in points."""
    return _points(size) if isinstance(size, str) else float(size)


@lru_cache(maxsize=64)
def _points(size: str) -> float:
    return float(FontProperties(size=size).get_size_in_points())


@lru_cache(maxsize=4096)
def _width(line: str, family: tuple[str, ...]) -> float:
    return sum(_measure(letter, family)[0] for letter in (plain(line) if "$" in line else line))


@lru_cache(maxsize=2048)
def _measure(text: str, family: tuple[str, ...]) -> tuple[float, float]:
    """Return width and height of letters in a font, the height from the lowest to the highest."""
    font = get_font(findfont(FontProperties(family=list(family))))
    font.set_size(MEASURED_POINTS, 72)
    font.set_text(text, 0.0)
    width, height = font.get_width_height()
    return width / 64, height / 64
