"""A plot for bokeh's script: axes, tools, curves with their errors, lines, a legend."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectorist.modes.lrs.bokeh_json import Model, columns_of, field, fixed

#: Opacity of what is not selected, and of what is muted in the legend: bokeh's own.
DIMMED = {"nonselection_glyph": 0.1, "muted_glyph": 0.2}
#: An edge of a box that is not drawn yet.
NOWHERE = {"type": "number", "value": "nan"}
EDGES = ("left", "right", "top", "bottom")

Tips = list[tuple[str, str]]


class Plot:
    """A plot that is filled bit by bit.

    Parameters
    ----------
    x_label, y_label : str
        "" for none.
    height : int
        CSS pixels.
    x_range : Model, optional
        That of another plot, with which this one moves.
    toolbar : bool
        Whether the tools are shown above.
    """

    def __init__(self, x_label: str, y_label: str, *, height: int, x_range: Model | None = None, toolbar: bool = True):
        self.x_range = x_range or Model("DataRange1d")
        self._labels, self._height, self._toolbar = (x_label, y_label), height, toolbar
        self._drawn: list[Model] = []
        self._beside: list[Model] = []
        self._tools: list[Model] = []
        self._named: list[Model] = []

    def add_line(
        self, arrays: dict[str, np.ndarray], *, colour: str, width: float, label: str = "", on_top: bool = False
    ) -> Model:
        """Draw a line through two columns, x and y; return what hovering can refer to."""
        x, y = arrays
        glyph = {"x": field(x), "y": field(y), "line_color": colour}
        glyphs = {
            "glyph": Model("Line", **glyph, line_width=width),
            **{name: Model("Line", **glyph, line_alpha=alpha, line_width=width) for name, alpha in DIMMED.items()},
        }
        return self._draw(_source(arrays), glyphs, label, on_top=on_top)

    def add_points(self, arrays: dict[str, np.ndarray], x: str, y: str, *, colour: str, label: str = "") -> Model:
        """Draw points with errors between the columns `low` and `high`; return what hovering can refer to."""
        place = {"x": field(x), "y": field(y)}
        source = _source(arrays)
        whole = {f"{part}_color": fixed(colour) for part in ("line", "fill", "hatch")}
        glyphs = {"glyph": Model("Scatter", **place, **whole)}
        for name, alpha in DIMMED.items():
            dimmed: dict[str, Any] = {}
            for part in ("line", "fill", "hatch"):
                dimmed |= {f"{part}_color": fixed(colour), f"{part}_alpha": fixed(alpha)}
            glyphs[name] = Model("Scatter", **place, **dimmed)
        drawn = self._draw(source, glyphs, label)
        self._beside.append(
            Model(
                "Whisker",
                source=source,
                lower=field("low"),
                lower_head=None,
                upper=field("high"),
                upper_head=None,
                base=field(x),
                line_color=fixed(colour),
                line_alpha=fixed(0.4),
            )
        )
        return drawn

    def add_tips(self, drawn: Model, tips: Tips, *, mode: str = "mouse") -> None:
        """Say values under the cursor; `mode` "vline": of the whole height."""
        where = {} if mode == "mouse" else {"mode": mode}
        self._tools.append(
            Model("HoverTool", renderers=[drawn], tooltips=[list(tip) for tip in tips], sort_by=None, **where)
        )

    def model(self, *, hides: bool = False) -> Model:
        """Return the plot; its page's own colours show through. `hides`: a click in the legend hides a curve."""
        below, left = (_axis(label) for label in self._labels)
        grid = {"grid_line_alpha": 0.15}
        legend = [self._legend(hides=hides)] if self._named else []
        return Model(
            "Figure",
            height=self._height,
            sizing_mode="stretch_width",
            x_range=self.x_range,
            y_range=Model("DataRange1d"),
            x_scale=Model("LinearScale"),
            y_scale=Model("LinearScale"),
            title=Model("Title"),
            outline_line_alpha=0.3,
            renderers=self._drawn,
            toolbar=_toolbar(self._tools),
            toolbar_location="above" if self._toolbar else None,
            left=[left],
            below=[below, *legend],
            center=[Model("Grid", axis=below, **grid), Model("Grid", dimension=1, axis=left, **grid), *self._beside],
            background_fill_alpha=0,
            border_fill_alpha=0,
        )

    def _draw(self, source: Model, glyphs: dict[str, Model], label: str, *, on_top: bool = False) -> Model:
        view = Model("CDSView", filter=Model("AllIndices"))
        level: dict[str, Any] = {"level": "overlay"} if on_top else {}
        drawn = Model("GlyphRenderer", **level, data_source=source, view=view, **glyphs)
        self._drawn.append(drawn)
        if label:
            self._named.append(Model("LegendItem", label=fixed(label), renderers=[drawn]))
        return drawn

    def _legend(self, *, hides: bool) -> Model:
        policy = {"click_policy": "hide"} if hides else {}
        look = {"ncols": 4, "border_line_alpha": 0, "background_fill_alpha": 0}
        return Model("Legend", **look, **policy, items=self._named)


def one_above_the_other(*plots: Model) -> Model:
    """Return plots in a column."""
    return Model("Column", sizing_mode="stretch_width", children=list(plots))


def _source(arrays: dict[str, np.ndarray]) -> Model:
    return Model(
        "ColumnDataSource",
        selected=Model("Selection", indices=[], line_indices=[]),
        selection_policy=Model("UnionRenderers"),
        data=columns_of(arrays),
    )


def _axis(label: str) -> Model:
    return Model(
        "LinearAxis",
        ticker=Model("BasicTicker", mantissas=[1, 2, 5]),
        formatter=Model("BasicTickFormatter"),
        axis_label=label or None,
        major_label_policy=Model("AllLabels"),
    )


def _toolbar(tips: list[Model]) -> Model:
    """Return the tools: move, zoom into a box or with the wheel, go back; what is under the cursor."""
    handles = Model("AreaVisuals", fill_color="white", hover_fill_color="lightgray")
    box = Model(
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
        **dict.fromkeys(EDGES, NOWHERE),
        **{f"{edge}_units": "canvas" for edge in EDGES},
        handles=Model("BoxInteractionHandles", all=handles),
    )
    zoom = Model("BoxZoomTool", dimensions="both", overlay=box)
    wheel = Model("WheelZoomTool", dimensions="width", renderers="auto")
    tools = [Model("PanTool"), zoom, wheel, Model("ResetTool"), *tips]
    return Model("Toolbar", tools=tools, logo=None, active_drag=zoom, active_scroll=None)
