"""Light curves for the browser: the numbers that the page gets are those of the arrays."""

import json
import subprocess
import sys

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.embed import json_item
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, HoverTool, LegendItem, Line, Scatter, Whisker
from bokeh.plotting import figure
from bokeh.resources import Resources
from numpy.testing import assert_allclose

from detectorist.algorithms.spectra.quick_transit import fit_quick_transit
from detectorist.figures.time_series_quality import hours_of, white_light
from detectorist.modes.lrs.interactive import draw_spectroscopic, draw_spectrum, draw_white_light
from detectorist.report.page import bokeh_script

N_INTS, N_ROWS = 24, 80


@pytest.fixture
def arrays(rng):
    wavelength = np.linspace(13, 4.5, N_ROWS)
    error = np.full((N_INTS, N_ROWS), 2.0)
    return {
        "wavelength": wavelength,
        "flux": 1000 + 10 * wavelength + error * rng.normal(size=error.shape),
        "flux_error": error,
        "background": 30 + rng.normal(size=error.shape),
        "time_mjd_utc": 60000 + np.arange(N_INTS) / 48,
        "quality": np.zeros(error.shape, np.uint8),
    }


def read(item):
    """Return the document that a browser makes of the JSON."""
    document = Document.from_json(json.loads(json.dumps(item, allow_nan=False))["doc"])
    return document.roots[0]


def sources_of(root, kind):
    found = [one for one in root.select({"type": ColumnDataSource})]
    return [one.data for one in found if kind in one.data]


def test_white_light_with_its_errors_and_residuals(arrays):
    white, hours = white_light(arrays), hours_of(arrays)
    root = read(draw_white_light(arrays, fit_quick_transit(hours, white.flux)))
    curve, rest = sorted(sources_of(root, "number"), key=lambda one: abs(np.median(one["flux"]) - 1))
    assert_allclose(curve["hours"], hours)
    assert_allclose(curve["hours"][-1], (N_INTS - 1) * 0.5)
    assert_allclose(curve["flux"], white.flux)
    assert_allclose(curve["high"] - curve["low"], 2 * white.error)
    assert_allclose(curve["number"], np.arange(1, N_INTS + 1))
    model = fit_quick_transit(hours, white.flux).model
    assert_allclose(rest["value"], 1e6 * (white.flux - model), atol=1e-6)
    assert_allclose(rest["high"] - rest["low"], 2e6 * white.error)
    assert len(list(root.select({"type": Line}))) >= 2


def test_the_spectrum_runs_with_wavelength(arrays):
    arrays["wavelength"][5] = np.nan
    background, star = sorted(
        sources_of(read(draw_spectrum(arrays)), "wavelength"), key=lambda one: np.mean(one["value"])
    )
    assert len(star["wavelength"]) == N_ROWS - 1
    assert np.all(np.diff(star["wavelength"]) > 0)
    assert_allclose(star["value"][0], np.median(arrays["flux"][:, -1]))
    assert_allclose(background["value"][-1], np.median(arrays["background"][:, 0]))


def test_a_wavelength_without_a_flux_is_a_gap(arrays):
    arrays["flux"][:, 3] = np.nan
    star, background = sources_of(read(draw_spectrum(arrays)), "wavelength")
    gaps = [np.isnan(one["value"]).sum() for one in (star, background)]
    assert sorted(gaps) == [0, 1]


def test_bins_of_wavelength_say_their_values_without_the_shift(arrays):
    root = read(draw_spectroscopic(arrays))
    curves = sources_of(root, "number")
    names = [item.label.value for item in root.select({"type": LegendItem})]
    assert len(names) == len(curves) == len(list(root.select({"type": Scatter}))) / 3
    assert "5-6 µm" in names
    for curve in curves:
        assert np.median(curve["value"]) == pytest.approx(1.0, abs=1e-3)
        assert np.ptp(curve["flux"] - curve["value"]) < 1e-12
    levels = sorted(np.median(curve["flux"]) for curve in curves)
    assert np.all(np.diff(levels) > 0)


def test_without_a_bin_the_plot_is_empty_but_there(arrays):
    arrays["wavelength"][:] = 20.0
    assert sources_of(read(draw_spectroscopic(arrays)), "number") == []


def plot_by_bokeh(y_label, x_label, height):
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,xwheel_zoom,reset",
        active_drag="box_zoom",
        active_scroll=None,
        toolbar_location="above",
        x_axis_label=x_label,
        y_axis_label=y_label,
    )
    plot.toolbar.logo = None
    plot.background_fill_alpha = plot.border_fill_alpha = 0
    plot.outline_line_alpha = 0.3
    plot.grid.grid_line_alpha = 0.15
    return plot


def curve_by_bokeh(plot, columns, tips, colour, **named):
    source = ColumnDataSource(columns)
    points = plot.scatter("hours", "flux", source=source, size=4, color=colour, **named)
    bars = Whisker(base="hours", lower="low", upper="high", source=source, line_color=colour, line_alpha=0.4)
    bars.level, bars.upper_head, bars.lower_head = "underlay", None, None
    plot.add_layout(bars)
    plot.add_tools(HoverTool(tooltips=tips, renderers=[points]))


def legend_by_bokeh(plot):
    plot.legend.background_fill_alpha = plot.legend.border_line_alpha = 0
    plot.legend.ncols = 4
    plot.add_layout(plot.legend[0], "below")


def spectrum_by_bokeh(ours):
    plot = plot_by_bokeh("count rate (DN/s)", "wavelength (µm)", 340)
    labels = ("star, in the aperture", "#3a8fd0"), ("background, per pixel", "#d9622b")
    for curve, (label, colour) in zip(ours.renderers, labels, strict=True):
        source = ColumnDataSource(dict(curve.data_source.data))
        line = plot.line("wavelength", "value", source=source, color=colour, line_width=1.5, legend_label=label)
        tips = [("wavelength (µm)", "@wavelength{0.000}"), (label, "@value{0.0}")]
        plot.add_tools(HoverTool(tooltips=tips, renderers=[line], mode="vline"))
    legend_by_bokeh(plot)
    return plot


def white_light_by_bokeh(ours):
    upper = plot_by_bokeh("relative flux", None, 330)
    lower = plot_by_bokeh("residuals (ppm)", "time from the first integration (h)", 190)
    lower.x_range, lower.toolbar_location = upper.x_range, None
    forms = ("flux", "@value{0.00000}"), ("residual (ppm)", "@value{0}")
    for plot, told, ours_here in zip((upper, lower), forms, ours.children, strict=True):
        points, line = (curve.data_source.data for curve in ours_here.renderers)
        tips = [("integration", "@number"), ("time (h)", "@hours{0.0000}"), told]
        curve_by_bokeh(plot, dict(points), tips, "#3a8fd0")
        plot.line(line["x"], line["y"], line_width=2, color="#d9622b", level="overlay")
    return column(upper, lower, sizing_mode="stretch_width")


def spectroscopic_by_bokeh(ours):
    plot = plot_by_bokeh("flux over its median, shifted", "time from the first integration (h)", 480)
    labels = [item.label.value for item in ours.below[1].items]
    tips = [("integration", "@number"), ("time (h)", "@hours{0.0000}"), ("flux", "@value{0.00000}")]
    for curve, label in zip(ours.renderers, labels, strict=True):
        look = curve.glyph.line_color
        colour = look if isinstance(look, str) else look.value
        curve_by_bokeh(plot, dict(curve.data_source.data), tips, colour, legend_label=label)
    legend_by_bokeh(plot)
    plot.legend.click_policy = "hide"
    return plot


def numbered(value, known):
    """Return JSON with the numbers of objects by the order in which they come."""
    if isinstance(value, dict):
        named = {key: known.setdefault(one, len(known)) if key == "id" else one for key, one in value.items()}
        return {key: numbered(one, known) for key, one in named.items()}
    return [numbered(one, known) for one in value] if isinstance(value, list) else value


def written_again(item):
    """Return JSON as bokeh writes what it reads."""
    return numbered(json.loads(json.dumps(json_item(read(item))))["doc"]["roots"], {})


@pytest.mark.parametrize("name", ["white light", "spectrum", "spectroscopic"])
def test_the_json_is_that_of_bokeh(arrays, name):
    if name == "white light":
        item = draw_white_light(arrays, fit_quick_transit(hours_of(arrays), white_light(arrays).flux))
        expected = white_light_by_bokeh(read(item))
    elif name == "spectrum":
        item = draw_spectrum(arrays)
        expected = spectrum_by_bokeh(read(item))
    else:
        item = draw_spectroscopic(arrays)
        expected = spectroscopic_by_bokeh(read(item))
    assert written_again(item) == written_again(json_item(expected))
    assert item["version"] == json_item(expected)["version"]


def test_the_script_is_that_of_bokeh():
    inline = Resources(mode="inline", components=["bokeh"]).js_raw
    ours = bokeh_script().splitlines()
    assert [line for line in "\n".join(inline).splitlines() if line not in ours] == [
        "/* BEGIN bokeh.min.js */",
        "/* END bokeh.min.js */",
    ]


def test_bokeh_is_not_imported():
    modules = "detectorist.modes.lrs.interactive, detectorist.report.page"
    code = f"import sys, {modules}; detectorist.report.page.bokeh_script(); sys.exit('bokeh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
