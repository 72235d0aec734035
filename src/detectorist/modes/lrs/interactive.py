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
from detectorist.figures.zoomable import Plot, document_of

#: Of points and of what is fitted to them: readable on a white page and on a dark one.
SERIES, MODEL = "#3a8fd0", "#d9622b"
TIME = "time from the first integration (h)"


def draw_white_light(arrays: Mapping[str, np.ndarray], fit: QuickTransit) -> dict[str, Any]:
    """Return the white light curve with its fit."""
    white, hours = white_light(arrays), hours_of(arrays)
    upper = Plot("relative flux", x_label=None, height=330)
    lower = Plot("residuals (ppm)", x_label=TIME, height=190, tools=False, beside=upper)
    rest = LightCurve(1e6 * (white.flux - fit.model), 1e6 * white.error)
    _add_curve(upper, hours, white, colour=SERIES)
    _add_model(upper, hours, fit.model)
    _add_curve(lower, hours, rest, colour=SERIES, form="0", name="residual (ppm)")
    _add_model(lower, hours[[0, -1]], np.zeros(2))
    return document_of(upper, lower)


def draw_spectrum(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the median spectrum in the aperture and the background of a pixel."""
    wavelength = np.asarray(arrays["wavelength"], float)
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order])]
    plot = Plot("count rate (DN/s)", x_label="wavelength (µm)", height=340)
    for name, label, colour in (
        ("flux", "star, in the aperture", SERIES),
        ("background", "background, per pixel", MODEL),
    ):
        columns = {"wavelength": wavelength[order], "value": _median_in_time(arrays[name])[order]}
        tips = [("wavelength (µm)", "@wavelength{0.000}"), (label, "@value{0.0}")]
        plot.add_line(columns, "wavelength", "value", colour=colour, width=1.5, label=label, tips=tips)
    return document_of(plot)


def _median_in_time(values: np.ndarray) -> np.ndarray:
    """Return the median of every wavelength; NaN, a gap in a line, where no integration has a value."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(np.asarray(values, float), axis=0)


def draw_spectroscopic(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the light curves of bins of wavelength, which can be toggled in the legend."""
    plot = Plot("flux over its median, shifted", x_label=TIME, height=480, legend_hides=True)
    curves = spectroscopic(arrays)
    for (start, curve), level, colour in zip(curves, offsets([c for _, c in curves]), SPECTRAL_COLOURS, strict=False):
        label = f"{start:g}-{start + BIN_UM:g} µm"
        shifted = replace(curve, flux=curve.flux + level)
        _add_curve(plot, hours_of(arrays), shifted, colour=colour, label=label, shift=level)
    return document_of(plot)


def _add_model(plot: Plot, hours: np.ndarray, model: np.ndarray) -> None:
    plot.add_line({"x": hours, "y": model}, "x", "y", colour=MODEL, width=2, above=True)


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
    columns = {
        "hours": hours,
        "flux": curve.flux,
        "value": curve.flux - shift,
        "low": curve.flux - curve.error,
        "high": curve.flux + curve.error,
        "number": np.arange(1, hours.size + 1),
    }
    tips = [("integration", "@number"), ("time (h)", "@hours{0.0000}"), (name, f"@value{{{form}}}")]
    plot.add_points(columns, "hours", "flux", ("low", "high"), colour=colour, label=label, tips=tips)
