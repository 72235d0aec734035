"""Spectra as specutils reads them: a FITS table with a row per wavelength and a spectrum per integration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from detectorist.atomic_files import whole_file
from detectorist.errors import ParameterError
from detectorist.modes.lrs.export import mjd
from detectorist.modes.lrs.export.rainbow import flux_unit
from detectorist.modes.lrs.time_series import TimeSeries

if TYPE_CHECKING:
    from specutils import SpectrumList

SUFFIX = "_spectra.fits"


def write(series: TimeSeries, target: Path) -> list[Path]:
    """Write columns `wavelength`, `flux` and `uncertainty` (n_ints per row), and a table of the times.

    `specutils.Spectrum.read(FILE, format="tabular-fits")` returns one Spectrum of flux (n_ints, n_wavelengths).
    specutils has a unit for counts, but none for DN or electrons: they are written as counts, with the unit in the
    keyword UNIT.
    """
    unit = u.Unit("ct / s") if series.units in ("DN/s", "electron/s") else flux_unit(series)
    table = Table({"wavelength": series.wavelength * u.um})
    table["flux"], table["uncertainty"] = series.flux.T * unit, series.flux_error.T * unit
    times = Table({"time": mjd(series) * u.d, "exposure": series.exposure})
    header = fits.Header()
    header["TARGET"] = str(series.attributes.get("target", "unknown"))
    header["CODE"] = str(series.attributes.get("code", "detectorist"))
    header["UNIT"] = (series.units, "of the flux")
    header["TIMESYS"] = ("TDB", "of TIMES: BJD - 2400000.5")
    data, when = fits.BinTableHDU(table, name="DATA"), fits.BinTableHDU(times, name="TIMES")
    with whole_file(target) as partial:
        fits.HDUList([fits.PrimaryHDU(header=header), data, when]).writeto(partial)
    return [target]


def to_spectrum_list(series: TimeSeries) -> SpectrumList:
    """Return a `specutils.SpectrumList`, a Spectrum per integration, with its time in `meta`.

    Raises
    ------
    ParameterError
        When specutils is not installed.
    """
    try:
        from specutils import Spectrum, SpectrumList
    except ImportError as error:
        raise ParameterError("specutils is not installed: pip install specutils") from error
    from astropy.nddata import StdDevUncertainty

    unit, axis = flux_unit(series), series.wavelength * u.um
    return SpectrumList(
        Spectrum(
            flux=flux * unit,
            spectral_axis=axis,
            uncertainty=StdDevUncertainty(error * unit),
            mask=~np.isfinite(flux),
            meta={"time_bjd_tdb": float(time), "exposure": int(exposure)},
        )
        for flux, error, time, exposure in zip(
            series.flux, series.flux_error, series.time_bjd_tdb, series.exposure, strict=True
        )
    )
