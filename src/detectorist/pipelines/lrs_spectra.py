"""Spectra through time: what the LRS pipeline returns and writes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import xarray as xr
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import __version__, models
from detectorist.algorithms import dq
from detectorist.errors import InputError
from detectorist.pipelines import products
from detectorist.times import integration_times

log = logging.getLogger(__name__)

#: Bits of the variable `quality`.
NO_FLUX = 1  # the flux is not a number
REPLACED = 2  # a pixel within 4 columns of the trace was replaced
SATURATED = 4  # a pixel within 4 columns of the trace is saturated in part of the ramp
TIME_FROM_HEADER = 8  # INT_TIMES had no row: the time was computed from the exposure's start

#: Pixels to either side of the trace that count for `quality`.
NEAR_TRACE_PIX = 4


@dataclass(frozen=True)
class SegmentSpectra:
    """The spectra of one segment: arrays over (n_ints, ...), wavelength over (n_rows,) in micron."""

    wavelength: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    background: np.ndarray
    x_shift: np.ndarray
    y_shift: np.ndarray
    psf_sigma: np.ndarray
    n_outliers: np.ndarray
    quality: np.ndarray
    time_mjd_utc: np.ndarray
    time_bjd_tdb: np.ndarray
    units: str

    @classmethod
    def collect(
        cls, frames: CubeModel, *, electrons: bool = False, trace_column: int = 36, **arrays: np.ndarray
    ) -> SegmentSpectra:
        """Add times, quality and units, which `frames` know, to what was measured on them.

        electrons : bool
            The extraction gave electron/s; otherwise its unit is that of the frames.
        """
        times = integration_times(frames)
        if times.reconstructed:
            log.warning("%s: times are from the header: %s", models.describe(frames), times.reason)
        near = slice(max(trace_column - NEAR_TRACE_PIX, 0), trace_column + NEAR_TRACE_PIX + 1)
        saturated = dq.has(models.flags(frames)[:, :, near], dq.SATURATED).any(axis=2)
        quality = (
            np.where(np.isfinite(arrays["flux"]), 0, NO_FLUX)
            | np.where(arrays["n_outliers"][:, :, NEAR_TRACE_PIX] > 0, REPLACED, 0)
            | np.where(saturated, SATURATED, 0)
            | np.where(times.reconstructed, TIME_FROM_HEADER, 0)
        )
        return cls(
            quality=quality.astype(np.uint8),
            time_mjd_utc=times.mjd_utc,
            time_bjd_tdb=times.bjd_tdb,
            units="electron/s" if electrons else frames.meta.bunit_data or "DN/s",
            **arrays,
        )


class LrsSpectra:
    """All segments of an exposure, joined.

    Attributes
    ----------
    dataset : xarray.Dataset
        After `finish`.
    """

    def __init__(self, *, author: str = "", contact: str = ""):
        self._segments: list[SegmentSpectra] = []
        self._attributes = {"author": author, "contact": contact, "code": f"detectorist {__version__}"}
        self.dataset = xr.Dataset()

    def add(self, segment: SegmentSpectra) -> None:
        """Append a segment; raises InputError when its wavelengths are not those of the others."""
        if self._segments and not np.array_equal(self._segments[0].wavelength, segment.wavelength, equal_nan=True):
            raise InputError("two segments have different wavelength maps: are they of one exposure?")
        self._segments.append(segment)

    def finish(self) -> xr.Dataset:
        """Build the dataset from the segments added so far and return it."""
        alike = ("wavelength", "units")
        per_integration = [field.name for field in fields(SegmentSpectra) if field.name not in alike]
        joined = {
            name: np.concatenate([getattr(segment, name) for segment in self._segments]) for name in per_integration
        }
        self.dataset = _dataset(self._segments[0].wavelength, joined, self._attributes, self._segments[0].units)
        return self.dataset

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the dataset as NetCDF: what stpipe calls when results are to be saved."""
        products.write_dataset(self.dataset, Path(path).with_suffix(".nc"))


def _dataset(
    wavelength: np.ndarray, arrays: dict[str, np.ndarray], attributes: dict[str, str], units: str
) -> xr.Dataset:
    spectral, temporal = ("integration_number", "wavelength"), ("integration_number",)
    described = {
        "flux": (spectral, units, "count rate in the aperture"),
        "flux_error": (spectral, units, "standard deviation of flux"),
        "background": (
            spectral,
            "DN/s" if units == "electron/s" else units,
            "subtracted background, median over columns, per pixel",
        ),
        "x_shift": (temporal, "pixel", "shift of the trace across dispersion, positive toward higher column"),
        "y_shift": (temporal, "pixel", "shift along dispersion, positive toward higher row"),
        "psf_sigma": (temporal, "pixel", "standard deviation of a Gaussian fitted to the trace"),
        "n_outliers": (
            (*spectral, "region_width"),
            "",
            "pixels replaced within region_width columns of column 36",
        ),
        "quality": (
            spectral,
            "",
            f"bits: {NO_FLUX} no flux, {REPLACED} pixel replaced near the trace, {SATURATED} saturated near the "
            f"trace, {TIME_FROM_HEADER} time computed from the header",
        ),
        "time_mjd_utc": (temporal, "d", "mid-time of the integration, MJD, UTC"),
        "time_bjd_tdb": (
            temporal,
            "d",
            "mid-time at the solar system barycentre, TDB, as BJD minus 2400000.5",
        ),
    }
    data_vars = {
        name: (dims, arrays[name], {"units": unit, "long_name": text}) for name, (dims, unit, text) in described.items()
    }
    n_ints = len(arrays["flux"])
    coords = {
        "integration_number": (temporal, np.arange(1, n_ints + 1), {"units": ""}),
        "wavelength": (("wavelength",), wavelength, {"units": "microns"}),
        "region_width": (("region_width",), np.arange(arrays["n_outliers"].shape[2]), {"units": "pixel"}),
    }
    return xr.Dataset(data_vars, coords, attributes)
