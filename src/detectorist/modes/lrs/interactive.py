"""Light curves that can be zoomed and read off, as JSON for bokeh's script in the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, HoverTool, Whisker
from bokeh.plotting import figure

from detectorist.figures.lrs_quality import BIN_UM, hours_of, spectroscopic, white_light
from detectorist.figures.style import COLOURS

#: Readable on a white page and on a dark one.
SERIES = ("#3a8fd0", *COLOURS[1:6])
TOOLS = "pan,box_zoom,xwheel_zoom,reset"


def draw_white_light(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the white light curve."""
    white = white_light(arrays)
    plot = _new_plot("relative flux", height=340)
    _add_curve(plot, hours_of(arrays), white, colour=SERIES[0])
    return json_item(plot)


def draw_spectroscopic(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the light curves of bins of wavelength, which the legend switches on and off."""
    plot = _new_plot("flux over its median, shifted", height=480)
    curves = spectroscopic(arrays)
    step = 5 * float(np.nanmedian([np.median(curve.error) for _, curve in curves])) if curves else 1.0
    for number, (start, curve) in enumerate(curves):
        label = f"{start:g}-{start + BIN_UM:g} µm"
        shifted = replace(curve, flux=curve.flux + number * step)
        _add_curve(plot, hours_of(arrays), shifted, colour=SERIES[number % 6], label=label)
    if curves:
        plot.legend.click_policy = "hide"
        plot.legend.background_fill_alpha = 0
        plot.legend.border_line_alpha = 0
        plot.legend.ncols = 4
        plot.add_layout(plot.legend[0], "below")
    return json_item(plot)


def _new_plot(y_label: str, *, height: int):
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools=TOOLS,
        active_drag="box_zoom",
        active_scroll=None,
        toolbar_location="above",
        x_axis_label="time from the first integration (h)",
        y_axis_label=y_label,
    )
    plot.toolbar.logo = None
    # The page's own colours show through; its script sets those of the text.
    plot.background_fill_alpha = 0
    plot.border_fill_alpha = 0
    plot.outline_line_alpha = 0.3
    plot.grid.grid_line_alpha = 0.15
    return plot


def _add_curve(plot, hours: np.ndarray, curve: Any, *, colour: str, label: str | None = None) -> None:
    number = np.arange(1, hours.size + 1)
    source = ColumnDataSource(
        {
            "hours": hours,
            "flux": curve.flux,
            "low": curve.flux - curve.error,
            "high": curve.flux + curve.error,
            "number": number,
        }
    )
    named = {"legend_label": label} if label else {}
    points = plot.scatter("hours", "flux", source=source, size=4, color=colour, **named)
    whisker = Whisker(
        base="hours", lower="low", upper="high", source=source, line_color=colour, line_alpha=0.4, level="underlay"
    )
    whisker.upper_head = whisker.lower_head = None
    plot.add_layout(whisker)
    tips = [("integration", "@number"), ("time (h)", "@hours{0.0000}"), ("flux", "@flux{0.00000}")]
    plot.add_tools(HoverTool(tooltips=tips, renderers=[points]))
