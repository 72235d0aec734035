"""Light curves that can be zoomed and read off, as JSON for bokeh's script in the page."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

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
from detectorist.modes.lrs.bokeh_json import json_item
from detectorist.modes.lrs.bokeh_plots import Plot, one_above_the_other

#: Of points and of what is fitted to them: readable on a white page and on a dark one.
SERIES, MODEL = "#3a8fd0", "#d9622b"
TIME = "time from the first integration (h)"


def draw_white_light(arrays: Mapping[str, np.ndarray], fit: QuickTransit) -> dict[str, Any]:
    """Return the white light curve with its fit."""
    white, hours = white_light(arrays), hours_of(arrays)
    upper = Plot("", "relative flux", height=330)
    lower = Plot(TIME, "residuals (ppm)", height=190, x_range=upper.x_range, toolbar=False)
    _add_curve(upper, hours, white, colour=SERIES)
    upper.add_line({"x": hours, "y": fit.model}, width=2, colour=MODEL, on_top=True)
    rest = LightCurve(1e6 * (white.flux - fit.model), 1e6 * white.error)
    _add_curve(lower, hours, rest, colour=SERIES, form="0", name="residual (ppm)")
    lower.add_line({"x": hours[[0, -1]], "y": np.zeros(2)}, width=2, colour=MODEL, on_top=True)
    return json_item(one_above_the_other(upper.model(), lower.model()))


def draw_spectrum(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the median spectrum in the aperture and the background of a pixel."""
    wavelength = np.asarray(arrays["wavelength"], float)
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order])]
    plot = Plot("wavelength (µm)", "count rate (DN/s)", height=340)
    for name, label, colour in (
        ("flux", "star, in the aperture", SERIES),
        ("background", "background, per pixel", MODEL),
    ):
        values = _median_in_time(arrays[name])[order]
        line = plot.add_line({"wavelength": wavelength[order], "value": values}, colour=colour, width=1.5, label=label)
        plot.add_tips(line, [("wavelength (µm)", "@wavelength{0.000}"), (label, "@value{0.0}")], mode="vline")
    return json_item(plot.model())


def _median_in_time(values: np.ndarray) -> np.ndarray:
    """Return the median of every wavelength; NaN, a gap in a line, where no integration has a value."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(np.asarray(values, float), axis=0)


def draw_spectroscopic(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the light curves of bins of wavelength, which can be toggled in the legend."""
    plot = Plot(TIME, "flux over its median, shifted", height=480)
    curves = spectroscopic(arrays)
    for (start, curve), level, colour in zip(curves, offsets([c for _, c in curves]), SPECTRAL_COLOURS, strict=False):
        label = f"{start:g}-{start + BIN_UM:g} µm"
        shifted = replace(curve, flux=curve.flux + level)
        _add_curve(plot, hours_of(arrays), shifted, colour=colour, label=label, shift=level)
    return json_item(plot.model(hides=True))


def _add_curve(
    plot: Plot,
    hours: np.ndarray,
    curve: LightCurve,
    *,
    colour: str,
    label: str = "",
    shift: float = 0.0,
    form: str = "0.00000",
    name: str = "flux",
) -> None:
    """Add points with their errors; under the cursor they say their value without the shift."""
    arrays = {
        "hours": hours,
        "flux": curve.flux,
        "value": curve.flux - shift,
        "low": curve.flux - curve.error,
        "high": curve.flux + curve.error,
        "number": np.arange(1, hours.size + 1),
    }
    points = plot.add_points(arrays, "hours", "flux", colour=colour, label=label)
    plot.add_tips(points, [("integration", "@number"), ("time (h)", "@hours{0.0000}"), (name, f"@value{{{form}}}")])
