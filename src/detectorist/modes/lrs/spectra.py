"""Spectra through time: what the LRS pipeline returns and writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import xarray as xr
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import __version__, models
from detectorist.algorithms import dq
from detectorist.errors import InputError
from detectorist.reduction import products
from detectorist.times import integration_times

log = logging.getLogger(__name__)

#: Bits of the variable `quality`.
NO_FLUX = 1  # the flux is not a number
REPLACED = 2  # a pixel within 4 columns of the trace was replaced
SATURATED = 4  # a pixel within 4 columns of the trace is saturated in part of the ramp
TIME_FROM_HEADER = 8  # INT_TIMES had no row: the time was computed from the exposure's start

#: Integrations in one piece of the file, of spectra and of single numbers.
CHUNK_INTS, CHUNK_OF_SERIES = 64, 1024
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
    """All segments of an exposure, joined in a NetCDF file that grows with them: none is kept in memory.

    Nothing has the final name until `finish`.

    Parameters
    ----------
    path : Path
        Of the file.
    author, contact : str
        Written to it.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, *, author: str = "", contact: str = ""):
        self.path = path
        self._attributes = {"author": author, "contact": contact, "code": f"detectorist {__version__}"}
        self._wavelength: np.ndarray | None = None
        self._n_ints = 0
        self._product = products.WholeFile(path)
        with products.writing(path):
            self._file = h5netcdf.File(self._product.partial, "w")

    def add(self, segment: SegmentSpectra) -> None:
        """Append a segment; raises InputError when its wavelengths are not those of the others."""
        with products.writing(self.path):
            if self._wavelength is None:
                self._wavelength = segment.wavelength
                self._begin(segment)
            elif not np.array_equal(self._wavelength, segment.wavelength, equal_nan=True):
                raise InputError("two segments have different wavelength maps: are they of one exposure?")
            before, self._n_ints = self._n_ints, self._n_ints + len(segment.flux)
            self._file.resize_dimension("integration_number", self._n_ints)
            rows = slice(before, self._n_ints)
            self._file["integration_number"][rows] = np.arange(before + 1, self._n_ints + 1)
            for name in _described(segment.units):
                self._file[name][rows] = getattr(segment, name)
            self._file.flush()

    def finish(self) -> None:
        """Give the file its final name; raises OutputError when it cannot be written."""
        with products.writing(self.path):
            self._file.close()
        self._product.publish()
        self._product.discard()

    def discard(self) -> None:
        """Remove what has been written without being finished."""
        with suppress(OSError, RuntimeError):  # a full disk is why it was not finished
            self._file.close()
        self._product.discard()

    def _begin(self, segment: SegmentSpectra) -> None:
        """Make the variables."""
        spectral, regions = len(segment.wavelength), segment.n_outliers.shape[2]
        self._file.dimensions = {"integration_number": None, "wavelength": spectral, "region_width": regions}
        self._file.attrs.update(self._attributes)
        coordinates: dict[str, tuple[tuple[str, ...], str, np.ndarray]] = {
            "integration_number": (("integration_number",), "", np.empty(0, np.int64)),
            "wavelength": (("wavelength",), "microns", segment.wavelength),
            "region_width": (("region_width",), "pixel", np.arange(regions)),
        }
        for name, (dims, unit, values) in coordinates.items():
            made = self._make(name, dims, values, {"units": unit})
            if name != "integration_number":
                made[:] = values
        for name, (dims, unit, text) in _described(segment.units).items():
            self._make(name, dims, getattr(segment, name), {"units": unit, "long_name": text})

    def _make(self, name: str, dims: tuple[str, ...], values: np.ndarray, attributes: dict[str, str]) -> Any:
        """Make a variable that grows, compressed when it is a spectrum per integration."""
        options: dict[str, Any] = {"fillvalue": np.nan} if values.dtype.kind == "f" else {}
        if dims[0] == "integration_number":
            options["chunks"] = (CHUNK_INTS, *values.shape[1:]) if len(dims) > 1 else (CHUNK_OF_SERIES,)
        if len(dims) > 1:
            options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        made = self._file.create_variable(name, dims, values.dtype, **options)
        made.attrs.update(attributes)
        return made

    @contextmanager
    def opened(self) -> Iterator[xr.Dataset]:
        """Yield the dataset, whose variables are read when they are used."""
        with xr.open_dataset(self.path, engine="h5netcdf", cache=False) as dataset:
            yield dataset

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The dataset in memory, after `finish`."""
        return xr.load_dataset(self.path, engine="h5netcdf")

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the dataset as NetCDF: what stpipe calls when results are to be saved."""
        products.write_dataset(self.dataset, Path(path).with_suffix(".nc"))


def _described(units: str) -> dict[str, tuple[tuple[str, ...], str, str]]:
    """Return dimensions, unit and description of every variable."""
    spectral, temporal = ("integration_number", "wavelength"), ("integration_number",)
    return {
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
            "pixels replaced within region_width columns of the trace",
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
