"""Plots to zoom and read off in a browser, as the JSON from which bokeh's script draws them.

It is the JSON that bokeh writes for the same plot, made without bokeh: to import that takes as long as all other
figures of a report. What bokeh's script assumes by itself is left out, as there.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from itertools import count
from typing import Any

import numpy as np

Json = dict[str, Any]

#: Opacity of what is not selected, and of what is muted.
_FAINTER = {"nonselection_glyph": 0.1, "muted_glyph": 0.2}

#: Numbers of objects: no two in a page may be equal.
_numbers = count(1001)
_NAN = {"type": "number", "value": "nan"}
_CLEAR = {"background_fill_alpha": 0, "border_fill_alpha": 0}


class Plot:
    """Curves over a common axis, with a legend below where they have labels.

    Parameters
    ----------
    y_label : str
    x_label : str, optional
    height : int
        CSS pixels.
    tools : bool
        Show the buttons of the tools.
    beside : Plot, optional
        One whose horizontal range is shared.
    legend_hides : bool
        A click on a label in the legend hides its curve.
    """

    def __init__(
        self,
        y_label: str,
        *,
        x_label: str | None,
        height: int,
        tools: bool = True,
        beside: Plot | None = None,
        legend_hides: bool = False,
    ):
        self._labels, self._height, self._tools_shown = (x_label, y_label), height, tools
        self._legend_hides = legend_hides
        self._range = _reference(beside._range) if beside else _made("DataRange1d")
        self._curves: list[Json] = []
        self._hover: list[Json] = []
        self._named: list[tuple[str, Json]] = []
        self._whiskers: list[Json] = []

    def add_line(
        self,
        columns: Mapping[str, np.ndarray],
        x: str,
        y: str,
        *,
        colour: str,
        width: float,
        above: bool = False,
        label: str = "",
        tips: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Add a line through columns `x` and `y`, NaN being a gap.

        above : it is drawn over all points. tips : what is told under the cursor, wherever that is along the line.
        """
        look = {"line_color": colour, "line_width": width}
        glyphs = {"glyph": _made("Line", x=_field(x), y=_field(y), **look)}
        for name, alpha in _FAINTER.items():
            glyphs[name] = _made("Line", x=_field(x), y=_field(y), **look, line_alpha=alpha)
        self._add(_source(columns), glyphs, label, tips, {"level": "overlay"} if above else {}, {"mode": "vline"})

    def add_points(
        self,
        columns: Mapping[str, np.ndarray],
        x: str,
        y: str,
        errors: tuple[str, str],
        *,
        colour: str,
        label: str = "",
        tips: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Add points with error bars between the two columns `errors`."""
        parts = ("line", "fill", "hatch")
        place = {"x": _field(x), "y": _field(y)}
        glyphs = {"glyph": _made("Scatter", **place, **{f"{part}_color": _value(colour) for part in parts})}
        for name, alpha in _FAINTER.items():
            look = {"color": _value(colour), "alpha": _value(alpha)}
            looks = {f"{part}_{key}": value for part in parts for key, value in look.items()}
            glyphs[name] = _made("Scatter", **place, **looks)
        source = _source(columns)
        self._add(source, glyphs, label, tips, {}, {})
        low, high = errors
        ends = {"lower": _field(low), "lower_head": None, "upper": _field(high), "upper_head": None}
        look = {"line_color": _value(colour), "line_alpha": _value(0.4)}
        self._whiskers.append(_made("Whisker", source=_reference(source), **ends, base=_field(x), **look))

    def _add(self, source: Json, glyphs: Json, label: str, tips, own: Json, mode: Json) -> None:
        view = _made("CDSView", filter=_made("AllIndices"))
        curve = _made("GlyphRenderer", **own, data_source=source, view=view, **glyphs)
        self._curves.append(curve)
        if label:
            self._named.append((label, curve))
        if tips:
            told = {"renderers": [_reference(curve)], "tooltips": [list(tip) for tip in tips], "sort_by": None}
            self._hover.append(_made("HoverTool", **told, **mode))

    def root(self) -> Json:
        """Return the plot as an object of a document."""
        x_axis, y_axis = (_axis(label) for label in self._labels)
        grids = [
            _made("Grid", axis=_reference(x_axis), grid_line_alpha=0.15),
            _made("Grid", dimension=1, axis=_reference(y_axis), grid_line_alpha=0.15),
        ]
        box = _made("BoxZoomTool", dimensions="both", overlay=_zoomed_box())
        wheel = _made("WheelZoomTool", dimensions="width", renderers="auto")
        tools = [_made("PanTool"), box, wheel, _made("ResetTool"), *self._hover]
        return _made(
            "Figure",
            height=self._height,
            sizing_mode="stretch_width",
            x_range=self._range,
            y_range=_made("DataRange1d"),
            x_scale=_made("LinearScale"),
            y_scale=_made("LinearScale"),
            title=_made("Title"),
            outline_line_alpha=0.3,
            **({"renderers": self._curves} if self._curves else {}),
            toolbar=_made("Toolbar", tools=tools, logo=None, active_drag=_reference(box), active_scroll=None),
            toolbar_location="above" if self._tools_shown else None,
            left=[y_axis],
            below=[x_axis, *self._legend()],
            center=[*grids, *self._whiskers],
            **_CLEAR,
        )

    def _legend(self) -> list[Json]:
        items = [
            _made("LegendItem", label=_value(label), renderers=[_reference(curve)]) for label, curve in self._named
        ]
        hides = {"click_policy": "hide"} if self._legend_hides else {}
        look = {"ncols": 4, "border_line_alpha": 0, "background_fill_alpha": 0}
        return [_made("Legend", **look, **hides, items=items)] if items else []


def document_of(*plots: Plot) -> Json:
    """Return what `Bokeh.embed.embed_item` takes: a plot, or several one below the other."""
    roots = [plot.root() for plot in plots]
    root = roots[0] if len(roots) == 1 else _made("Column", sizing_mode="stretch_width", children=roots)
    config = _made("DocumentConfig", notifications=_made("Notifications"))
    told = {"version": _bokeh_version(), "title": "", "config": config, "roots": [root]}
    return {"target_id": None, "root_id": root["id"], "doc": told, "version": told["version"]}


@cache
def _bokeh_version() -> str:
    return version("bokeh")


def _made(name: str, **attributes: Any) -> Json:
    """Return a new object of one of bokeh's classes."""
    made = {"type": "object", "name": name, "id": f"p{next(_numbers)}"}
    return {**made, "attributes": attributes} if attributes else made


def _reference(made: Json) -> Json:
    """Return what stands for an object that was written before."""
    return {"id": made["id"]}


def _field(column: str) -> Json:
    return {"type": "field", "field": column}


def _value(value: Any) -> Json:
    return {"type": "value", "value": value}


def _source(columns: Mapping[str, np.ndarray]) -> Json:
    entries = [[name, _array(values)] for name, values in columns.items()]
    return _made(
        "ColumnDataSource",
        selected=_made("Selection", indices=[], line_indices=[]),
        selection_policy=_made("UnionRenderers"),
        data={"type": "map", "entries": entries},
    )


def _array(values: np.ndarray) -> Json:
    """Return numbers, packed: whole ones as int32, all others as float64."""
    kind = "int32" if np.issubdtype(np.asarray(values).dtype, np.integer) else "float64"
    plain = np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<"))
    packed = base64.b64encode(gzip.compress(plain.tobytes(), mtime=1)).decode()
    content = {"type": "bytes", "data": packed}
    return {"type": "ndarray", "array": content, "shape": list(plain.shape), "dtype": kind, "order": "little"}


def _axis(label: str | None) -> Json:
    return _made(
        "LinearAxis",
        ticker=_made("BasicTicker", mantissas=[1, 2, 5]),
        formatter=_made("BasicTickFormatter"),
        axis_label=label,
        major_label_policy=_made("AllLabels"),
    )


def _zoomed_box() -> Json:
    """Return the rectangle that is drawn while one is chosen."""
    visuals = _made("AreaVisuals", fill_color="white", hover_fill_color="lightgray")
    sides = ("left", "right", "top", "bottom")
    return _made(
        "BoxAnnotation",
        syncable=False,
        line_color="black",
        line_alpha=1.0,
        line_width=2,
        line_dash=[4, 4],
        fill_color="lightgrey",
        fill_alpha=0.5,
        level="overlay",
        visible=False,
        **dict.fromkeys(sides, _NAN),
        **{f"{side}_units": "canvas" for side in sides},
        handles=_made("BoxInteractionHandles", all=visuals),
    )
