"""Spectra through time: what the LRS pipeline returns and writes."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5netcdf
import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.atomic_files import WholeFile, writing
from detectorist.errors import InputError
from detectorist.modes.lrs import spectra_variables as described
from detectorist.modes.lrs.spectra_variables import NO_FLUX, REPLACED, SATURATED, TIME_FROM_HEADER
from detectorist.modes.lrs.time_series import MJD_ZERO
from detectorist.reduction import products
from detectorist.times import integration_times

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

#: Integrations in one piece of the file, of spectra and of single numbers.
CHUNK_INTS, CHUNK_OF_SERIES = 64, 1024
#: Pixels to either side of the trace that count for `quality`.
NEAR_TRACE_PIX = 4


@dataclass(frozen=True)
class SegmentSpectra:
    """The spectra of one segment: arrays over (n_ints, ...), wavelength over (n_rows,) in micron.

    Rows are those of the detector: the wavelength of some is not a number, and falls from one to the next. Times are
    MJD (UTC) and whole BJD (TDB); `origin` holds attributes for the file.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    background: np.ndarray
    x_shift: np.ndarray
    y_shift: np.ndarray
    y_shift_left: np.ndarray
    psf_sigma: np.ndarray
    n_outliers: np.ndarray
    quality: np.ndarray
    time_mjd_utc: np.ndarray
    time_bjd_tdb: np.ndarray
    integration_number: np.ndarray
    exposure: np.ndarray
    units: str
    origin: dict[str, str] = field(default_factory=dict)

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
            time_bjd_tdb=times.bjd_tdb + MJD_ZERO,
            integration_number=times.table["integration_number"].astype(np.int64),
            exposure=np.full(len(quality), _exposure_number(frames), np.int16),
            origin=described.origin_of(frames),
            units="electron/s" if electrons else frames.meta.bunit_data or "DN/s",
            **arrays,
        )


class LrsSpectra:
    """All segments of an exposure, joined in a NetCDF file that grows with them, in memory until `finish` writes it.

    Memory grows by the size of the file, some kilobytes an integration; segments are not kept beside it.

    Wavelengths ascend; rows of the detector without one are left out, and `detector_row` tells which are there.
    Nothing has the final name until `finish`.

    Parameters
    ----------
    path : Path
        Of the file.
    author, contact, recipe : str
        Written to it, where known.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, *, author: str = "", contact: str = "", recipe: str = ""):
        self.path = path
        self._attributes = described.file_attributes(author=author, contact=contact, recipe=recipe)
        self._wavelength: np.ndarray | None = None
        self._rows = np.zeros(0, np.intp)
        self._n_ints = 0
        self._product = WholeFile(path)
        # In memory, some kilobytes an integration: where the disk is full, the HDF5 library ends the process.
        self._content = io.BytesIO()
        self._file = h5netcdf.File(self._content, "w")

    def add(self, segment: SegmentSpectra) -> None:
        """Append a segment; raises InputError when its wavelengths are not those of the others."""
        if self._wavelength is None:
            self._wavelength = segment.wavelength
            self._rows = _ascending(segment.wavelength)
            self._begin(segment)
        elif not np.array_equal(self._wavelength, segment.wavelength, equal_nan=True):
            raise InputError("two segments have different wavelength maps: are they of one exposure?")
        before, self._n_ints = self._n_ints, self._n_ints + len(segment.flux)
        self._file.resize_dimension("integration_number", self._n_ints)
        new = slice(before, self._n_ints)
        self._file["integration_number"][new] = segment.integration_number
        for name in described.variables(segment.units):
            self._file[name][new] = self._chosen(name, segment)
        self._file.flush()

    def finish(self) -> None:
        """Give the file its final name; raises OutputError when it cannot be written."""
        self._file.close()
        with writing(self.path):
            self._product.partial.write_bytes(self._content.getbuffer())
        self._product.publish()
        self._product.discard()

    def discard(self) -> None:
        """Remove what has been written without being finished."""
        self._file.close()
        self._product.discard()

    def _chosen(self, name: str, segment: SegmentSpectra) -> np.ndarray:
        """Return a variable on the wavelengths of the file."""
        values = getattr(segment, name)
        return values[:, self._rows] if values.ndim > 1 else values

    def _begin(self, segment: SegmentSpectra) -> None:
        """Make the variables."""
        regions = segment.n_outliers.shape[2]
        self._file.dimensions = {
            "integration_number": None,
            "wavelength": self._rows.size,
            "region_width": regions,
        }
        self._file.attrs.update({**self._attributes, **segment.origin, "history": self._history(segment)})
        fixed = {"wavelength": segment.wavelength[self._rows], "region_width": np.arange(regions)}
        for name, (dims, attributes) in described.coordinates().items():
            made = self._make(name, dims, fixed.get(name, np.empty(0, np.int64)), attributes, fill=False)
            if name in fixed:
                made[:] = fixed[name]
        dims, attributes = described.detector_row()
        self._make("detector_row", dims, self._rows, attributes, fill=False)[:] = self._rows
        for name, (dims, attributes) in described.variables(segment.units).items():
            self._make(name, dims, self._chosen(name, segment), attributes)

    def _history(self, segment: SegmentSpectra) -> str:
        """Return what was done, without a date: the same input gives the same file."""
        recipe = f", recipe {self._attributes['recipe']}" if "recipe" in self._attributes else ""
        versions = f"jwst {segment.origin['jwst_version']}" if "jwst_version" in segment.origin else "jwst"
        return f"{self._attributes['code']}, {versions}: ramps to rates, background, spectra, alignment{recipe}"

    def _make(
        self, name: str, dims: tuple[str, ...], values: np.ndarray, attributes: dict[str, Any], *, fill: bool = True
    ) -> Any:
        """Make a variable that grows, compressed when it is a spectrum per integration.

        A coordinate has no fill value: none of it is missing.
        """
        options: dict[str, Any] = {"fillvalue": np.nan} if fill and values.dtype.kind == "f" else {}
        if dims[0] == "integration_number":
            options["chunks"] = (CHUNK_INTS, *values.shape[1:]) if len(dims) > 1 else (CHUNK_OF_SERIES,)
        if len(dims) > 1:
            options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        made = self._file.create_variable(name, dims, values.dtype, **options)
        made.attrs.update(attributes)
        return made

    @contextmanager
    def opened(self) -> Iterator[Mapping[str, Any]]:
        """Yield {name: array} of the file, read when they are used."""
        with h5netcdf.File(self.path, "r") as file:
            yield file

    @cached_property
    def dataset(self) -> xr.Dataset:
        """The dataset in memory, after `finish`."""
        import xarray as xr  # takes long to load

        return xr.load_dataset(self.path, engine="h5netcdf")

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the dataset as NetCDF: what stpipe calls when results are to be saved."""
        products.write_dataset(self.dataset, Path(path).with_suffix(".nc"))


def _ascending(wavelength: np.ndarray) -> np.ndarray:
    """Return the rows that have a wavelength, in ascending order of it; of equal ones the first."""
    known = np.flatnonzero(np.isfinite(wavelength))
    if known.size == 0:
        raise InputError("no row of the detector has a wavelength; is the wavelength map right?")
    return known[np.unique(wavelength[known], return_index=True)[1]]


def _exposure_number(frames: CubeModel) -> int:
    """Return the number of the exposure as its header has it, 1 where that says none."""
    number = str(frames.meta.observation.exposure_number or "")
    return int(number) if number.isdigit() else 1
