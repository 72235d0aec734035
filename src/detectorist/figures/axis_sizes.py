"""Room that the ticks, labels, titles and texts of an axes take around it, in points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text

from detectorist.figures.text_size import points_of, size_of

#: matplotlib's parameters, some of which have names put together here.
RC: Any = mpl.rcParams
#: Share of an axis beyond its ends within which a tick still counts as on it.
AT_ENDS = 1e-6


@dataclass(frozen=True)
class Sides:
    """Points to the left of something, to its right, below and above it."""

    left: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    top: float = 0.0

    def __or__(self, other: Sides) -> Sides:
        """Return room for both."""
        names = ("left", "right", "bottom", "top")
        return Sides(*(max(getattr(self, name), getattr(other, name)) for name in names))


def sides_of(axes: Axes) -> Sides:
    """Return the room that an axes needs around its frame."""
    return _beside(axes, "x") | _beside(axes, "y") | _above(axes) | _of_texts(axes)


def _beside(axes: Axes, name: str) -> Sides:
    """Return the room for the ticks and labels of one axis."""
    axis = getattr(axes, f"{name}axis")
    if not (axis.get_visible() and axes.axison):
        return Sides()
    near, far = ("bottom", "top") if name == "x" else ("left", "right")
    room = {near: 0.0, far: 0.0}
    before = beyond = 0.0
    for which in ("major", "minor"):
        parameters = axis.get_tick_params(which=which)
        places, labels = ticks_of(axes, axis, name, which)
        reach = outward(parameters, name, which)
        points = points_of(parameters.get("labelsize", RC[f"{name}tick.labelsize"]))
        sizes = [size_of(label, points) for label in labels]
        across = max((size[1 if name == "x" else 0] for size in sizes), default=0.0)
        pad = parameters.get("pad", RC[f"{name}tick.{which}.pad"])
        for side in (near, far):
            if places.size and parameters.get(side):
                room[side] = max(room[side], reach)
            if across and parameters.get(f"label{side}"):
                room[side] = max(room[side], reach + pad + across)
        if any(parameters.get(f"label{side}") for side in (near, far)):
            low, high = _overhang(axes, name, places, sizes)
            before, beyond = max(before, low), max(beyond, high)
    beyond = max(beyond, _offset_room(axis, name, room, near))
    room[axis.get_label_position()] += _label_room(axis)
    along = ("left", "right") if name == "x" else ("bottom", "top")
    return Sides(**room, **dict(zip(along, (before, beyond), strict=True)))


def ticks_of(axes: Axes, axis: Any, name: str, which: str) -> tuple[np.ndarray, list[str]]:
    """Return where ticks are, as shares of the axis, and their labels."""
    axes.viewLim  # noqa: B018 - limits that wait to be set are set
    values = np.asarray(axis.get_majorticklocs() if which == "major" else axis.get_minorticklocs(), float)
    if not values.size:
        return values, []
    formatter = axis.get_major_formatter() if which == "major" else axis.get_minor_formatter()
    labels = formatter.format_ticks(values)
    places = _shares(axes, name, values)
    inside = (places >= -AT_ENDS) & (places <= 1 + AT_ENDS)
    return places[inside], [label for label, seen in zip(labels, inside, strict=True) if seen]


def made_ticks(axis: Any, which: str) -> list[Any]:
    """Return the single ticks that somebody has asked for, and may have changed."""
    ticks = list(vars(axis).get(f"{which}Ticks", ()))
    return ticks if len(ticks) > 1 else []  # the first is there to copy from


def is_rotated(axis: Any) -> bool:
    """Return whether labels of ticks are rotated: their sizes are then not known here."""
    return any(tick.label1.get_rotation() for tick in axis.majorTicks)


def _shares(axes: Axes, name: str, values: np.ndarray) -> np.ndarray:
    """Return values along an axis as shares of its length."""
    number = "xy".index(name)
    points = np.empty((values.size, 2))
    points[:, 1 - number] = (axes.get_ylim if name == "x" else axes.get_xlim)()[0]
    points[:, number] = values
    return (axes.transScale + axes.transLimits).transform(points)[:, number]


def outward(parameters: dict[str, Any], name: str, which: str) -> float:
    """Return how far ticks reach out of the frame."""
    length = parameters.get("length", RC[f"{name}tick.{which}.size"])
    direction = parameters.get("direction", RC[f"{name}tick.direction"])
    return float({"in": 0.0, "inout": length / 2}.get(direction, length))


def _overhang(axes: Any, name: str, places: np.ndarray, sizes: list[tuple[float, float]]) -> tuple[float, float]:
    """Return how far labels of ticks reach beyond the two ends of an axis."""
    number = "xy".index(name)
    length = axes.get_position().size[number] * 72 * axes.get_figure(root=True).get_size_inches()[number]
    halves = np.array([size[number] / 2 for size in sizes])
    if not halves.size:
        return 0.0, 0.0
    low, high = halves - length * places, halves - length * (1 - places)
    labelled = halves > 0
    return (
        max(float(low[labelled].max(initial=0.0)), 0.0),
        max(float(high[labelled].max(initial=0.0)), 0.0),
    )


def _offset_room(axis: Any, name: str, room: dict[str, float], near: str) -> float:
    """Return the room above for the number that all labels of a y axis share; that of an x axis adds to `room`."""
    offset = axis.get_major_formatter().get_offset()
    if not offset:
        return 0.0
    height = size_of(offset, points_of(axis.get_offset_text().get_fontsize()))[1] + 3.0
    if name == "x":
        room[near] += max(height - _label_room(axis), 0.0)
        return 0.0
    return height


def _label_room(axis: Any) -> float:
    """Return what the label of an axis takes across it."""
    label = axis.label
    if not (label.get_text() and label.get_visible()):
        return 0.0
    return float(axis.labelpad + size_of(label.get_text(), label.get_fontsize())[1])


def _above(axes: Axes) -> Sides:
    """Return the room for titles."""
    heights = [
        size_of(title.get_text(), points_of(title.get_fontsize()))[1]
        for title in axes.get_children()
        if isinstance(title, Text) and title not in axes.texts and title.get_text() and title.get_visible()
    ]
    return Sides(top=max(heights) + float(RC["axes.titlepad"])) if heights else Sides()


def _of_texts(axes: Axes) -> Sides:
    """Return how far texts that are not cut at the frame reach beyond it."""
    room = Sides()
    texts = [one for one in axes.texts if one.get_text() and one.get_visible() and not _is_cut(one)]
    if not texts:
        return room
    frame, points = axes.bbox, 72 / axes.figure.dpi
    for one in texts:
        box = one.get_window_extent()
        room |= Sides(
            points * max(frame.x0 - box.x0, 0.0),
            points * max(box.x1 - frame.x1, 0.0),
            points * max(frame.y0 - box.y0, 0.0),
            points * max(box.y1 - frame.y1, 0.0),
        )
    return room


def _is_cut(text: Text) -> bool:
    return bool(text.get_clip_on()) and (text.get_clip_box() is not None or text.get_clip_path() is not None)
