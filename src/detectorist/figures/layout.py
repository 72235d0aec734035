"""Places of axes, labels and colour bars in a figure, found by arithmetic.

matplotlib's constrained layout draws every tick twice to measure it, which takes more time than all the rest of a
figure. Here the labels are asked for, and their sizes are added up. What is no plain grid is left to matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from detectorist.figures.axis_sizes import Sides, is_rotated, sides_of
from detectorist.figures.powers import use_plain_powers
from detectorist.figures.quick_axis import draw_quickly
from detectorist.figures.text_size import size_of

#: Points around every axes with its labels, and between axes and its colour bar.
PAD, BAR_PAD = 3.0, 9.0
#: Height of a colour bar over its width.
BAR_ASPECT = 20
#: Places are found that often: labels depend on the room that ticks have.
ROUNDS = 2


class GridLayout(ConstrainedLayoutEngine):
    """Lays a grid of axes out, each with at most colour bars to its right; other figures as constrained layout does."""

    def execute(self, fig: Any) -> None:
        """Move and resize the axes of a figure."""
        use_plain_powers(fig)
        draw_quickly(fig)
        grid = _grid_of(fig)
        if grid is None:
            super().execute(fig)
            return
        for _ in range(ROUNDS):
            grid.place()


@dataclass(frozen=True)
class _Grid:
    """Axes of one grid by row and column, with the colour bars of each."""

    figure: Figure
    cells: dict[tuple[int, int], Axes]
    bars: dict[Axes, list[Axes]]
    widths: Sequence[float]
    heights: Sequence[float]

    def place(self) -> None:
        """Give every axes and colour bar its place."""
        width, height = 72 * self.figure.get_size_inches()
        sides = {axes: self._sides(axes) for axes in self.cells.values()}
        lefts, rights = self._largest(sides, 1, "left"), self._largest(sides, 1, "right")
        tops, bottoms = self._largest(sides, 0, "top"), self._largest(sides, 0, "bottom")
        around = _around(self.figure)
        x = _spread(around.left, width - around.right, lefts, rights, self.widths)
        # Rows are counted from above.
        y = _spread(around.top, height - around.bottom, tops, bottoms, self.heights)
        for (row, column), axes in self.cells.items():
            left, wide = x[column]
            above, tall = y[row]
            box = (left / width, 1 - (above + tall) / height, wide / width, tall / height)
            _move(axes, box)
            self._place_bars(axes, width, height)

    def _sides(self, axes: Axes) -> Sides:
        sides = sides_of(axes)
        tall = axes.get_position().height * 72 * self.figure.get_size_inches()[1]
        for bar in self.bars.get(axes, ()):
            beside = sides_of(bar)
            sides = Sides(
                sides.left,
                sides.right + BAR_PAD + tall / BAR_ASPECT + beside.right,
                max(sides.bottom, beside.bottom),
                max(sides.top, beside.top),
            )
        return sides

    def _place_bars(self, axes: Axes, width: float, height: float) -> None:
        axes.apply_aspect()
        box = axes.get_position()
        right = box.x1
        for bar in self.bars.get(axes, ()):
            thick = box.height * height / BAR_ASPECT / width
            left = right + BAR_PAD / width
            _move(bar, (left, box.y0, thick, box.height))
            right = left + thick + sides_of(bar).right / width

    def _largest(self, sides: dict[Axes, Sides], axis: int, name: str) -> list[float]:
        largest = [0.0] * len((self.heights, self.widths)[axis])
        for place, axes in self.cells.items():
            largest[place[axis]] = max(largest[place[axis]], getattr(sides[axes], name))
        return largest


def _grid_of(figure: Figure) -> _Grid | None:
    """Return the axes of a figure as a grid; None where they are none, or their labels are of no known size."""
    placed = {axes: spec for axes in figure.axes if (spec := axes.get_subplotspec()) is not None}
    bars = {axes: list(_bars_of(axes)) for axes in placed}
    grids = {spec.get_gridspec() for spec in placed.values()}
    free = set(figure.axes) - set(placed) - {bar for some in bars.values() for bar in some}
    whole = all(spec.num1 == spec.num2 for spec in placed.values())
    rotated = any(is_rotated(axis) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis))
    if len(grids) != 1 or free or not whole or figure.subfigs or rotated:
        return None
    (grid,) = grids
    cells = {(spec.rowspan.start, spec.colspan.start): axes for axes, spec in placed.items()}
    if len(cells) != len(placed):
        return None
    widths, heights = np.ravel(grid.get_width_ratios()), np.ravel(grid.get_height_ratios())
    return _Grid(figure, cells, bars, list(map(float, widths)), list(map(float, heights)))


def _bars_of(axes: Axes) -> Iterator[Axes]:
    """Yield the axes of the colour bars of what is drawn in an axes."""
    for drawn in (*axes.images, *axes.collections):
        bar = getattr(drawn, "colorbar", None)
        if bar is not None:
            yield bar.ax


def _around(figure: Figure) -> Sides:
    """Return what titles and labels of the whole figure take at its edges, in points, and put them there."""
    width, height = 72 * figure.get_size_inches()
    left = bottom = top = 0.0
    for legend in figure.legends:
        box = legend.get_window_extent()
        top = max(top, box.height * 72 / figure.dpi + 2 * PAD)
    title, below, beside = (getattr(figure, f"_{name}", None) for name in ("suptitle", "supxlabel", "supylabel"))
    if title is not None and title.get_text():
        title.set_y(1 - (top + PAD) / height)
        top += size_of(title.get_text(), title.get_fontsize())[1] + 2 * PAD
    if below is not None and below.get_text():
        below.set_y(PAD / height)
        bottom = size_of(below.get_text(), below.get_fontsize())[1] + PAD
    if beside is not None and beside.get_text():
        beside.set_x(PAD / width)
        left = size_of(beside.get_text(), beside.get_fontsize())[1] + PAD
    return Sides(left, 0.0, bottom, top)


def _spread(
    start: float, end: float, before: Sequence[float], after: Sequence[float], ratios: Sequence[float]
) -> list[tuple[float, float]]:
    """Return begin and size of axes one after the other between two edges, each with room before and after it."""
    taken = sum(before) + sum(after) + 2 * PAD * len(ratios)
    unit = max(end - start - taken, 0.1 * (end - start)) / float(np.sum(ratios))
    places = []
    for first, last, ratio in zip(before, after, ratios, strict=True):
        begin = start + PAD + first
        places.append((begin, unit * ratio))
        start = begin + unit * ratio + last + PAD
    return places


def _move(axes: Axes, box: tuple[float, float, float, float]) -> None:
    """Move an axes, which stays in the layout."""
    kept = axes.get_in_layout()
    axes.set_position(box)
    axes.set_in_layout(kept)
