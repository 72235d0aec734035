"""The NetCDF file that scripts for ExoTiC-MIRI usually write: all rows of the detector, in its order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from detectorist.detectors import MIRI_SUBARRAYS
from detectorist.modes.lrs.time_series import TimeSeries
from detectorist.reduction import products

SUFFIX = "_exotic.nc"
_N_ROWS = MIRI_SUBARRAYS["SLITLESSPRISM"].n_rows
_SPECTRAL, _TEMPORAL = ("integration_number", "wavelength"), ("integration_number",)


def write(series: TimeSeries, target: Path) -> list[Path]:
    """Write `flux`, `flux_error`, `background`, `x_shift`, `y_shift`, `psf_sigma`, `n_outliers`.

    Wavelengths fall from row to row and are NaN where a row has none, as are the spectra there: code written for such
    files selects rows by number.
    """
    return [products.write_dataset(to_dataset(series), target)]


def to_dataset(series: TimeSeries) -> xr.Dataset:
    """Return the dataset."""
    rows = np.arange(series.wavelength.size) if series.detector_row is None else np.asarray(series.detector_row)
    n_rows = max(_N_ROWS, int(rows.max()) + 1)

    def on_rows(values: np.ndarray) -> np.ndarray:
        """Put columns back to their rows; counts are 0 where there are none."""
        kind = np.result_type(values.dtype, np.float32) if values.dtype.kind == "f" else values.dtype
        full = np.full((values.shape[0], n_rows, *values.shape[2:]), np.nan if kind.kind == "f" else 0, kind)
        full[:, rows] = values
        return full

    wavelength = np.full(n_rows, np.nan)
    wavelength[rows] = series.wavelength
    variables: dict[str, Any] = {
        "flux": (_SPECTRAL, on_rows(series.flux), {"units": series.units}),
        "flux_error": (_SPECTRAL, on_rows(series.flux_error), {"units": series.units}),
    }
    if "background" in series.series:
        variables["background"] = (_SPECTRAL, on_rows(series.series["background"]), {"units": series.units})
    for name in ("x_shift", "y_shift", "psf_sigma"):
        if name in series.series:
            variables[name] = (_TEMPORAL, series.series[name], {"units": "pixel"})
    coordinates: dict[str, Any] = {
        "integration_number": (_TEMPORAL, np.arange(1, series.time_bjd_tdb.size + 1), {"units": ""}),
        "wavelength": (("wavelength",), wavelength, {"units": "microns"}),
    }
    outliers = series.series.get("n_outliers")
    if outliers is not None:
        variables["n_outliers"] = ((*_SPECTRAL, "region_width"), on_rows(outliers), {"units": ""})
        coordinates["region_width"] = (("region_width",), np.arange(outliers.shape[2]), {"units": "pixel"})
    kept = ("author", "contact", "code")
    return xr.Dataset(
        variables, coordinates, {name: series.attributes[name] for name in kept if name in series.attributes}
    )
