"""Contrast curves and companions as tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from detectorist import __version__
from detectorist.modes.coron.subtraction.subtract import SubtractedExposure, SubtractedTarget

#: Where a row of the tables is measured on all exposures of the target together.
TOGETHER = "together"


def contrast_table(target: SubtractedTarget) -> Table:
    """Return noise, limit, contrast and throughput against separation: a row per exposure and distance."""
    rows = [row for one in target.exposures for row in _curve_rows(one.image.name, one.curve, one.throughput, target)]
    first = target.exposures[0]
    rows += _curve_rows(TOGETHER, target.curve, first.throughput, target)
    names = ("exposure", "separation", "noise", "limit", "contrast", "limit_flux", "throughput", "n_places")
    table = Table(rows=rows, names=names, meta=_meta(target, "contrast"))
    table["separation"].unit, table["limit_flux"].unit = u.arcsec, u.Jy
    for name, text in _CONTRAST.items():
        table[name].info.description = text
    return table


_CONTRAST = {
    "exposure": f"name of the exposure; {TOGETHER}: mean of all, north up",
    "noise": "standard deviation of the flux of a point source, throughput corrected, unit of the image times pixel",
    "limit": "flux with the false-alarm rate of 5 sigma of a Gaussian (Student's t; Mawet et al. 2014)",
    "contrast": "limit over the flux of the star; NaN where that was not given",
    "throughput": "part of a point source's flux that the subtraction leaves, by injection; the mask's not included",
    "n_places": "independent places on the ring",
}


def _curve_rows(name: str, curve: Any, throughput: Any, target: SubtractedTarget) -> Iterator[tuple[Any, ...]]:
    jy, star = target.exposures[0].image.jy_per_flux, target.settings.star_flux
    for radius, noise, limit, places in zip(curve.radius_pix, curve.noise, curve.limit, curve.n_places, strict=True):
        contrast = limit / star if star else np.nan
        left = float(np.interp(radius, *throughput))
        yield name, radius * target.pixel_arcsec, noise, limit, contrast, limit * jy, left, places


def companion_table(target: SubtractedTarget) -> Table:
    """Return the companions: a row per exposure and companion, and one for the mean of the exposures."""
    rows = []
    for number in range(max((len(one.companions) for one in target.exposures), default=0)):
        seen = [one for one in target.exposures if one.companions[number] is not None]
        of_exposures = [_companion_row(number + 1, one, number, target) for one in seen]
        rows += of_exposures
        if of_exposures:
            rows.append(_mean_row(number + 1, of_exposures, target))
    names = [
        *("companion", "exposure", "separation", "separation_error", "position_angle", "position_angle_error"),
        *("flux", "flux_error", "snr", "contrast", "flux_jy", "flux_jy_error", "throughput", "x", "y"),
    ]
    kinds = ["i4", "U64", *["f8"] * 13]
    table = Table(rows=rows or None, names=names, dtype=kinds, meta=_meta(target, "companions"))
    for name, unit in {
        "separation": u.arcsec,
        "separation_error": u.arcsec,
        "position_angle": u.deg,
        "position_angle_error": u.deg,
        "flux_jy": u.Jy,
        "flux_jy_error": u.Jy,
        "x": u.pix,
        "y": u.pix,
    }.items():
        table[name].unit = unit
    table["flux"].info.description = "unit of the image times pixel; what the subtraction took is given back"
    table["flux_error"].info.description = "scatter of fluxes at this separation, and the companion's photon noise"
    table["position_angle"].info.description = "north over east; errors are of the fit, not of star or roll"
    table["x"].info.description = table["y"].info.description = "place in the image, from 0; NaN for means"
    return table


def _companion_row(label: int, exposure: SubtractedExposure, number: int, target: SubtractedTarget) -> tuple[Any, ...]:
    companion, image = exposure.companions[number], exposure.image
    assert companion is not None
    separation, angle = image.on_sky(companion.place)
    error_pix = float(np.mean(companion.place_error_pix))
    across = np.degrees(error_pix * image.pixel_arcsec / separation) if separation else np.nan
    place = (separation, error_pix * image.pixel_arcsec, angle, across)
    fluxes = _flux_columns(companion.flux, companion.flux_error, target)
    return label, image.name, *place, *fluxes, companion.throughput, *companion.place


def _mean_row(label: int, rows: list[tuple[Any, ...]], target: SubtractedTarget) -> tuple[Any, ...]:
    """Return the mean of the exposures' measurements, weighted by the error of the flux."""
    columns = [np.array(column, float) for column in list(zip(*rows, strict=True))[2:]]
    separation, separation_error, angle, angle_error, flux, error = columns[:6]
    weights = 1 / error**2
    mean = _Mean(weights / weights.sum())
    turned = np.unwrap(angle, period=360)
    place = (mean(separation), mean.error(separation_error), mean(turned) % 360, mean.error(angle_error))
    fluxes = _flux_columns(mean(flux), mean.error(error), target)
    return label, TOGETHER, *place, *fluxes, mean(columns[10]), np.nan, np.nan


class _Mean:
    """A weighted mean, and its error."""

    def __init__(self, weights: np.ndarray):
        self._weights = weights

    def __call__(self, values: np.ndarray) -> float:
        return float(self._weights @ values)

    def error(self, errors: np.ndarray) -> float:
        """Return the error of the weighted sum of values with independent errors."""
        return float(np.sqrt(self._weights**2 @ errors**2))


def _flux_columns(flux: float, error: float, target: SubtractedTarget) -> tuple[float, ...]:
    """Return flux, error, their ratio, contrast, and both in Jy."""
    star, jy = target.settings.star_flux, target.exposures[0].image.jy_per_flux
    return flux, error, flux / error if error > 0 else np.nan, flux / star if star else np.nan, flux * jy, error * jy


def _meta(target: SubtractedTarget, title: str) -> dict[str, Any]:
    settings = asdict(target.settings)
    settings["companions"] = [list(one) for one in target.settings.companions]
    return {
        "title": title,
        "code": f"detectorist {__version__}",
        "unit": target.exposures[0].image.unit,
        "fwhm_arcsec": float(target.source.fwhm_pix * target.pixel_arcsec),
        "exposures": [one.image.path.name for one in target.exposures],
        "references": [one.path.name for one in target.references],
        "settings": settings,
    }
