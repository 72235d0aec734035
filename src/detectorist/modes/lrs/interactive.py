"""Light curves that can be zoomed and read off, as JSON for bokeh's script in the page."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, HoverTool, Whisker
from bokeh.plotting import figure

from detectorist.algorithms.spectra.light_curves import LightCurve
from detectorist.algorithms.spectra.quick_transit import QuickTransit
from detectorist.figures.time_series_quality import (
    BIN_UM,
    SPECTRAL_COLOURS,
    hours_of,
    offsets,
    spectroscopic,
    white_light,
)

#: Of points and of what is fitted to them: readable on a white page and on a dark one.
SERIES, MODEL = "#3a8fd0", "#d9622b"
TOOLS = "pan,box_zoom,xwheel_zoom,reset"


def draw_white_light(arrays: Mapping[str, np.ndarray], fit: QuickTransit) -> dict[str, Any]:
    """Return the white light curve with its fit."""
    white, hours = white_light(arrays), hours_of(arrays)
    upper, lower = _new_plot("relative flux", height=330), _new_plot("residuals (ppm)", height=190)
    upper.xaxis.axis_label = None
    lower.x_range = upper.x_range
    lower.toolbar_location = None
    _add_curve(upper, hours, white, colour=SERIES)
    upper.line(hours, fit.model, line_width=2, color=MODEL, level="overlay")
    rest = LightCurve(1e6 * (white.flux - fit.model), 1e6 * white.error)
    _add_curve(lower, hours, rest, colour=SERIES, form="0", name="residual (ppm)")
    lower.line(hours[[0, -1]], [0, 0], line_width=2, color=MODEL, level="overlay")
    return json_item(column(upper, lower, sizing_mode="stretch_width"))


def draw_spectrum(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the median spectrum in the aperture and the background of a pixel."""
    wavelength = np.asarray(arrays["wavelength"], float)
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order])]
    plot = _new_plot("count rate (DN/s)", height=340, x_label="wavelength (µm)")
    for name, label, colour in (
        ("flux", "star, in the aperture", SERIES),
        ("background", "background, per pixel", MODEL),
    ):
        values = _median_in_time(arrays[name])[order]
        source = ColumnDataSource({"wavelength": wavelength[order], "value": values})
        line = plot.line("wavelength", "value", source=source, color=colour, line_width=1.5, legend_label=label)
        tips = [("wavelength (µm)", "@wavelength{0.000}"), (label, "@value{0.0}")]
        plot.add_tools(HoverTool(tooltips=tips, renderers=[line], mode="vline"))
    _place_legend(plot)
    return json_item(plot)


def _median_in_time(values: np.ndarray) -> np.ndarray:
    """Return the median of every wavelength; NaN, a gap in a line, where no integration has a value."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(np.asarray(values, float), axis=0)


def draw_spectroscopic(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the light curves of bins of wavelength, which can be toggled in the legend."""
    plot = _new_plot("flux over its median, shifted", height=480)
    curves = spectroscopic(arrays)
    for (start, curve), level, colour in zip(curves, offsets([c for _, c in curves]), SPECTRAL_COLOURS, strict=False):
        label = f"{start:g}-{start + BIN_UM:g} µm"
        shifted = replace(curve, flux=curve.flux + level)
        _add_curve(plot, hours_of(arrays), shifted, colour=colour, label=label, shift=level)
    if curves:
        _place_legend(plot)
        plot.legend.click_policy = "hide"
    return json_item(plot)


def _place_legend(plot) -> None:
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_alpha = 0
    plot.legend.ncols = 4
    plot.add_layout(plot.legend[0], "below")


def _new_plot(y_label: str, *, height: int, x_label: str = "time from the first integration (h)"):
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools=TOOLS,
        active_drag="box_zoom",
        active_scroll=None,
        toolbar_location="above",
        x_axis_label=x_label,
        y_axis_label=y_label,
    )
    plot.toolbar.logo = None
    # The page's own colours show through; its script sets those of the text.
    plot.background_fill_alpha = 0
    plot.border_fill_alpha = 0
    plot.outline_line_alpha = 0.3
    plot.grid.grid_line_alpha = 0.15
    return plot


def _add_curve(
    plot,
    hours: np.ndarray,
    curve: LightCurve,
    *,
    colour: str,
    label: str | None = None,
    shift: float = 0.0,
    form: str = "0.00000",
    name: str = "flux",
) -> None:
    """Add points with their errors; under the cursor they say their value without the shift."""
    source = ColumnDataSource(
        {
            "hours": hours,
            "flux": curve.flux,
            "value": curve.flux - shift,
            "low": curve.flux - curve.error,
            "high": curve.flux + curve.error,
            "number": np.arange(1, hours.size + 1),
        }
    )
    named = {"legend_label": label} if label else {}
    points = plot.scatter("hours", "flux", source=source, size=4, color=colour, **named)
    whisker = Whisker(
        base="hours", lower="low", upper="high", source=source, line_color=colour, line_alpha=0.4, level="underlay"
    )
    whisker.upper_head = whisker.lower_head = None
    plot.add_layout(whisker)
    tips = [("integration", "@number"), ("time (h)", "@hours{0.0000}"), (name, f"@value{{{form}}}")]
    plot.add_tools(HoverTool(tooltips=tips, renderers=[points]))
