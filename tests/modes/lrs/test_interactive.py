"""Light curves for the browser: the numbers that the page gets are those of the arrays."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource, LegendItem, Line, Scatter
from numpy.testing import assert_allclose

from detectorist.algorithms.spectra.quick_transit import fit_quick_transit
from detectorist.figures.time_series_quality import hours_of, white_light
from detectorist.modes.lrs.interactive import draw_spectroscopic, draw_spectrum, draw_white_light
from detectorist.modes.lrs.report import LrsSections

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


def test_a_report_has_no_empty_plot_of_bins(arrays):
    found = SimpleNamespace(spectra=arrays, white=None, fit=None)
    panels = [panel.key for panel in LrsSections._light(found)]
    assert "lrs_spectrum" in panels
    assert "lrs_spectroscopic" not in panels
