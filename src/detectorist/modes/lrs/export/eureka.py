"""The file that Eureka! writes at the end of its Stage 3 and reads in its Stage 4: SpecData.h5, an astraeus dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from detectorist.atomic_files import whole_file
from detectorist.modes.lrs.export import mjd
from detectorist.modes.lrs.time_series import TimeSeries

SUFFIX = "_SpecData.h5"
_TIME = "BMJD_TDB"


def write(series: TimeSeries, target: Path) -> list[Path]:
    """Write the dataset.

    Variables over (time, x): `stdspec`, `stdvar`, `optspec`, `opterr`, `optmask` (True: excluded), `skylev`;
    over time: `centroid_y`, `centroid_sy`; over x: `wave_1d`. The same extraction is written as the standard and as the
    optimal one. x is the row of the detector.
    """
    content = to_dataset(series).to_netcdf(engine="h5netcdf", invalid_netcdf=True)
    with whole_file(target) as partial:
        partial.write_bytes(content)
    return [target]


def to_dataset(series: TimeSeries) -> xr.Dataset:
    """Return the dataset as in the memory of Eureka!."""
    unit = {"DN/s": "DN/s", "electron/s": "ELECTRONS/s"}.get(series.units, series.units)
    both = ("time", "x")
    missing = ~(np.isfinite(series.flux) & np.isfinite(series.flux_error))
    flux, error = np.where(missing, 0.0, series.flux), np.where(missing, 0.0, series.flux_error)

    def spectral(values: np.ndarray, units: str = unit) -> tuple:
        return both, values, {"flux_units": units, "time_units": _TIME, "wave_units": "microns"}

    variables = {
        "stdspec": spectral(flux),
        "stdvar": spectral(error**2),
        "optspec": spectral(flux),
        "opterr": spectral(error),
        "optmask": spectral(missing, "None"),
        "wave_1d": (("x",), series.wavelength, {"wave_units": "microns"}),
    }
    if "background" in series.series:
        variables["skylev"] = spectral(series.series["background"])
    for name, ours, text in (("centroid_y", "x_shift", "pixels"), ("centroid_sy", "psf_sigma", "pixels")):
        if ours in series.series:
            variables[name] = (("time",), series.series[ours], {"units": text})
    rows = np.arange(series.wavelength.size) if series.detector_row is None else series.detector_row
    coordinates = {"time": ("time", mjd(series), {"time_units": _TIME}), "x": ("x", rows)}
    return xr.Dataset(variables, coordinates, _attributes(series))


def _attributes(series: TimeSeries) -> dict[str, str | int | float]:
    """Return what Stage 4 asks a dataset for, and where this one comes from."""
    kept = {name: value for name, value in series.attributes.items() if isinstance(value, str | int | float)}
    return {**kept, "inst": "miri", "filter": "LRS", "data_format": "detectorist", "n_int": series.time_bjd_tdb.size}
