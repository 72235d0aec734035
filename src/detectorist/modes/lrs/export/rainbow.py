"""chromatic's rainbow as a FITS file: tables of quantities by wavelength and time, or by one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from detectorist.atomic_files import whole_file
from detectorist.modes.lrs.export import mjd
from detectorist.modes.lrs.time_series import MJD_ZERO, TimeSeries

#: chromatic chooses its reader by this ending.
SUFFIX = ".rainbow.fits"
#: Longest name of a keyword of the primary header; chromatic reads these as metadata.
_KEYWORD_LENGTH = 8


def write(series: TimeSeries, target: Path) -> list[Path]:
    """Write the tables `fluxlike` (n_wavelengths, n_ints), `wavelike` and `timelike`; times are whole BJD_TDB."""
    unit = flux_unit(series)
    fluxlike = Table({"flux": series.flux.T * unit, "uncertainty": series.flux_error.T * unit})
    fluxlike["ok"] = np.isfinite(series.flux.T) & np.isfinite(series.flux_error.T)
    wavelike = Table({"wavelength": series.wavelength * u.um})
    timelike = Table({"time": (mjd(series) + MJD_ZERO) * u.d, "exposure": series.exposure})
    for name, values in series.series.items():
        if np.ndim(values) == 1 and name != "integration_number":
            timelike[name] = values
    if "background" in series.series:
        fluxlike["background"] = series.series["background"].T * unit
    parts = {"fluxlike": fluxlike, "wavelike": wavelike, "timelike": timelike}
    hdus = [fits.PrimaryHDU(header=_header(series)), *(fits.BinTableHDU(t, name=name) for name, t in parts.items())]
    with whole_file(target) as partial:
        fits.HDUList(hdus).writeto(partial)
    return [target]


def flux_unit(series: TimeSeries) -> u.UnitBase:
    """Return the unit of the flux as astropy knows it."""
    return u.Unit(series.units.replace("DN", "adu"))


def _header(series: TimeSeries) -> fits.Header:
    header = fits.Header()
    header["name"] = str(series.attributes.get("target", "unknown"))
    header["wscale"], header["tscale"] = "?", "linear"
    for name in ("program", "code", "recipe"):
        if name in series.attributes:
            header[name[:_KEYWORD_LENGTH]] = str(series.attributes[name])
    header["timesys"] = "TDB"
    return header
