"""Axes of figures drawn at once: all ticks as one line of marks, labels with one text that is moved along.

matplotlib makes three lines and two texts for every tick, most of which are invisible, and measures each label: half of
the time of a figure. What is set for single ticks, rotated, or has lines across the axes is left to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform

from detectorist.figures.axis_sizes import RC, is_rotated, made_ticks, outward, ticks_of
from detectorist.figures.text_size import points_of, size_of

#: For each side: marks of ticks by their direction, as matplotlib numbers them; which way is away from the axes, to the
#: right and upward; alignment of labels.
MARKS = {
    "bottom": {"out": 3, "in": 2, "inout": "|"},
    "top": {"out": 2, "in": 3, "inout": "|"},
    "left": {"out": 0, "in": 1, "inout": "_"},
    "right": {"out": 1, "in": 0, "inout": "_"},
}
AWAY = {"bottom": (0, -1), "top": (0, 1), "left": (-1, 0), "right": (1, 0)}
ALIGNED = {
    "bottom": {"ha": "center", "va": "top"},
    "top": {"ha": "center", "va": "bottom"},
    "left": {"ha": "right", "va": "center_baseline"},
    "right": {"ha": "left", "va": "center_baseline"},
}
SIDES = {"x": ("bottom", "top"), "y": ("left", "right")}


def draw_quickly(figure: Figure) -> None:
    """Let all axes of a figure draw themselves quickly, as far as they are plain."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            quick = {XAxis: QuickXAxis, YAxis: QuickYAxis}.get(type(axis))
            if quick is not None and axes.name == "rectilinear":
                axis.__class__ = quick


class _Quick:
    """Mixed into an axis of matplotlib."""

    axes: Any
    axis_name: str
    label: Any
    labelpad: float

    def draw(self, renderer: Any) -> None:
        """Draw ticks and labels, as matplotlib does where they are not plain."""
        axis: Any = self
        if not axis.get_visible():
            return
        drawn = [(which, axis.get_tick_params(which=which)) for which in ("major", "minor")]
        if not all(self._is_plain(which, parameters) for which, parameters in drawn):
            super().draw(renderer)  # type: ignore[misc]
            return
        renderer.open_group(__name__, gid=axis.get_gid())
        reach = dict.fromkeys(SIDES[self.axis_name], 0.0)
        for which, parameters in drawn:
            places, labels = ticks_of(self.axes, axis, self.axis_name, which)
            for side in reach:
                if parameters.get(side) and places.size:
                    self._draw_marks(renderer, side, which, parameters, places)
                if parameters.get(f"label{side}") and any(labels):
                    reach[side] = max(reach[side], self._draw_labels(renderer, side, which, parameters, places, labels))
        self._draw_label(renderer, reach)
        renderer.close_group(__name__)
        axis.stale = False

    def _is_plain(self, which: str, parameters: dict[str, Any]) -> bool:
        """Return whether nothing is set that is not drawn here."""
        axis: Any = self
        across = parameters.get("gridOn", RC["axes.grid"])
        if across or made_ticks(axis, which) or is_rotated(axis) or not getattr(self, "_autolabelpos", True):
            return False
        if which == "minor":
            return True
        ticks_of(self.axes, axis, self.axis_name, which)  # the formatter finds what labels share
        return not axis.get_major_formatter().get_offset()

    def _draw_marks(self, renderer: Any, side: str, which: str, parameters: dict[str, Any], places: np.ndarray) -> None:
        name = f"{self.axis_name}tick"
        edge = np.full(places.size, float(side in ("top", "right")))
        marks = Line2D(
            *((places, edge) if self.axis_name == "x" else (edge, places)),
            linestyle="none",
            marker=MARKS[side][parameters.get("direction", RC[f"{name}.direction"])],
            markersize=parameters.get("length", RC[f"{name}.{which}.size"]),
            markeredgewidth=parameters.get("width", RC[f"{name}.{which}.width"]),
            color=parameters.get("color", RC[f"{name}.color"]),
            transform=self.axes.transAxes,
        )
        marks.set_figure(self.axes.get_figure(root=False))
        marks.draw(renderer)

    def _draw_labels(
        self,
        renderer: Any,
        side: str,
        which: str,
        parameters: dict[str, Any],
        places: np.ndarray,
        labels: list[str],
    ) -> float:
        """Draw labels and return how far they reach from the frame, in points."""
        name = f"{self.axis_name}tick"
        colour = parameters.get("labelcolor", RC[f"{name}.labelcolor"])
        if colour == "inherit":
            colour = parameters.get("color", RC[f"{name}.color"])
        points = points_of(parameters.get("labelsize", RC[f"{name}.labelsize"]))
        text = Text(fontsize=points, color=colour, transform=IdentityTransform(), **ALIGNED[side])
        text.set_figure(self.axes.get_figure(root=False))
        off = outward(parameters, self.axis_name, which) + parameters.get("pad", RC[f"{name}.{which}.pad"])
        along = self.axis_name == "x"
        across = 0.0
        for place, label in zip(places, labels, strict=True):
            if label:
                text.set_text(label)
                text.set_position(self._beside(side, place, off))
                text.draw(renderer)
                across = max(across, size_of(label, points)[along])
        return float(off + across)

    def _beside(self, side: str, place: float, points: float) -> tuple[float, float]:
        """Return a place along an axis, so many points beside it, in pixels of the drawing."""
        box = self.axes.bbox
        pixels = points * self.axes.get_figure(root=True).dpi / 72
        x = {"left": box.x0, "right": box.x1}.get(side, box.x0 + place * box.width)
        y = {"bottom": box.y0, "top": box.y1}.get(side, box.y0 + place * box.height)
        return x + AWAY[side][0] * pixels, y + AWAY[side][1] * pixels

    def _draw_label(self, renderer: Any, reach: dict[str, float]) -> None:
        """Draw the label of the axis beyond those of the ticks."""
        if not (self.label.get_text() and self.label.get_visible()):
            return
        axis: Any = self
        side = axis.get_label_position()
        x, y = self._beside(side, 0.5, reach[side] + self.labelpad)
        own_x, own_y = self.label.get_position()
        self.label.set_position((own_x, y) if self.axis_name == "x" else (x, own_y))
        self.label.draw(renderer)


class QuickXAxis(_Quick, XAxis):  # type: ignore[misc]
    """An x axis that is drawn at once."""


class QuickYAxis(_Quick, YAxis):  # type: ignore[misc]
    """A y axis that is drawn at once."""
