"""Spectra through time as read from a file: what fits, figures and exports begin with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectorist.algorithms.spectra.fixed_wavelengths import undo_movement
from detectorist.atomic_files import PARTIAL
from detectorist.errors import InputError, NoSuchFile

if TYPE_CHECKING:
    import xarray as xr

log = logging.getLogger(__name__)

#: Days between Julian dates and the modified ones that files held before.
MJD_ZERO = 2400000.5
#: Where a run writes its spectra, below the folder of an exposure.
PRODUCT = "stage_2/stage_2_output.nc"
#: Variables of one number per integration that fits may use as regressors.
PER_INTEGRATION = ("x_shift", "y_shift", "psf_sigma")
#: Share of the integrations whose times must be known; the others are left out.
LEAST_KNOWN = 0.5
#: A gap of more cadences than this begins another exposure, where a table does not tell exposures apart.
GAP_CADENCES = 5.0


@dataclass(frozen=True)
class TimeSeries:
    """Spectra of one target through time, of one exposure or several.

    Attributes
    ----------
    wavelength : ndarray of float, shape (n_wavelengths,)
        Micron, ascending, finite.
    flux, flux_error : ndarray of float, shape (n_ints, n_wavelengths)
    time_bjd_tdb : ndarray of float, shape (n_ints,)
        Mid-times, whole Barycentric Julian Dates, ascending. Where these are unknown, the UTC at the observatory as a
        Julian Date; `attributes["time_scale"]` tells.
    exposure : ndarray of int, shape (n_ints,)
        Numbers of exposures, from 1.
    series : dict of str to ndarray, shape (n_ints, ...)
        All other variables: shifts, widths, background, quality, integration_number, ...
    units : str
        Of the flux.
    attributes : dict
        Of the file: program, observation, recipe, ...
    source : str
        Name of the file, for messages.
    detector_row : ndarray of int, shape (n_wavelengths,), optional
    """

    wavelength: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    time_bjd_tdb: np.ndarray
    exposure: np.ndarray
    series: dict[str, np.ndarray] = field(default_factory=dict)
    units: str = "DN/s"
    attributes: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    detector_row: np.ndarray | None = None

    @cached_property
    def flux_at_fixed_wavelengths(self) -> np.ndarray:
        """Flux with the movement along the dispersion undone, exposure by exposure; shape of `flux`.

        As `flux` where the file does not know what movement is left in its spectra.
        """
        left = self.series.get("y_shift_left")
        if left is None or self.detector_row is None or self.wavelength.size < 2:
            return self.flux
        flux = np.array(self.flux)
        for number in np.unique(self.exposure):
            one = self.exposure == number
            flux[one] = undo_movement(flux[one], self.detector_row, left[one])
        return flux

    @property
    def cadence_s(self) -> float:
        """Median spacing of the mid-times, s."""
        return float(np.median(np.diff(self.time_bjd_tdb))) * 86400.0 if self.time_bjd_tdb.size > 1 else float("nan")


def find_spectra(source: str | Path) -> list[Path]:
    """Return the files of spectra that `source` stands for: a file itself, or those below the folder of a run.

    Raises
    ------
    InputError
        When there is none.
    """
    source = Path(source)
    if source.is_file():
        return [source]
    if not source.exists():
        raise NoSuchFile(f"{source}: no such file or folder")
    direct = source / PRODUCT
    found = [direct] if direct.is_file() else sorted(source.rglob(Path(PRODUCT).name))
    found = [path for path in found if not any(part.startswith(PARTIAL) for part in path.parts)]
    if not found:
        raise InputError(f"{source}: no {Path(PRODUCT).name} in it; was an LRS exposure reduced there?")
    return found


def read_time_series(sources: str | Path | Sequence[str | Path]) -> TimeSeries:
    """Read spectra of one or several exposures and join them in time.

    sources : path or sequence of paths
        Files, or folders of runs; several exposures must have the same wavelengths and target.

    Raises
    ------
    InputError
        When a file is missing, is not what the LRS pipeline writes, or does not belong to the others.
    """
    given = [sources] if isinstance(sources, str | Path) else list(sources)
    parts = [_read_one(path) for source in given for path in find_spectra(source)]
    return parts[0] if len(parts) == 1 else _join(sorted(parts, key=lambda part: part.time_bjd_tdb[0]))


def _read_one(path: Path) -> TimeSeries:
    import xarray as xr  # takes long to load

    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as opened:
            dataset = opened.load()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as NetCDF ({error})") from error
    missing = {"flux", "flux_error", "wavelength"} - set(dataset.variables)
    if missing:
        raise InputError(f"{path}: no variable {', '.join(sorted(missing))}; a file of the LRS pipeline is needed")
    wavelength = dataset["wavelength"].values.astype(float)
    order = np.argsort(wavelength)
    order = order[np.isfinite(wavelength[order])]
    if order.size == 0 or dataset["flux"].shape[1] != wavelength.size:
        raise InputError(f"{path}: flux has shape {dataset['flux'].shape}, and {order.size} wavelengths are finite")
    rows = dataset["detector_row"].values if "detector_row" in dataset.variables else np.arange(wavelength.size)
    series = {
        str(name): variable.values[:, order] if variable.dims[1:2] == ("wavelength",) else variable.values
        for name, variable in dataset.variables.items()
        if variable.dims[:1] == ("integration_number",) and name not in ("flux", "flux_error")
    }
    time, scale = _times(path, dataset)
    known = np.isfinite(time)
    exposure = series.pop("exposure", np.ones(time.size, int)).astype(int)
    return TimeSeries(
        wavelength[order],
        dataset["flux"].values[known][:, order].astype(float),
        dataset["flux_error"].values[known][:, order].astype(float),
        time[known],
        exposure[known],
        {name: values[known] for name, values in series.items()},
        str(dataset["flux"].attrs.get("units", "DN/s")),
        {**dataset.attrs, "time_scale": scale},
        str(path),
        rows[order],
    )


def _times(path: Path, dataset: xr.Dataset) -> tuple[np.ndarray, str]:
    """Return whole Julian dates, also of files that hold modified ones, and what scale they are on.

    An integration whose time is unknown is left out (NaN): another scale for all of them would be minutes off.
    """
    for name, scale in (("time_bjd_tdb", "BJD_TDB"), ("time_mjd_utc", "JD_UTC")):
        if name not in dataset.variables:
            continue
        time = dataset[name].values.astype(float)
        known = np.isfinite(time)
        if known.sum() < LEAST_KNOWN * time.size:
            continue
        time = time if np.median(time[known]) > 1e6 else time + MJD_ZERO
        if (np.diff(time[known]) <= 0).any():
            raise InputError(f"{path}: {name} does not increase from one integration to the next")
        if not known.all():
            numbers = ", ".join(str(k) for k in dataset["integration_number"].values[~known][:5])
            log.warning(
                "%s: %s is not known for %d of %d integrations (number %s%s): they are left out",
                path, name, (~known).sum(), time.size, numbers, ", ..." if (~known).sum() > 5 else "",
            )  # fmt: skip
        return time, scale
    raise InputError(f"{path}: neither time_bjd_tdb nor time_mjd_utc holds the times of most integrations")


def _join(parts: Sequence[TimeSeries]) -> TimeSeries:
    first = parts[0]
    for part in parts[1:]:
        if not np.array_equal(part.wavelength, first.wavelength):
            raise InputError(f"{part.source}: its wavelengths are not those of {first.source}; they cannot be joined")
        for name in ("target", "time_scale"):
            if part.attributes.get(name) != first.attributes.get(name):
                raise InputError(
                    f"{part.source}: {name} is {part.attributes.get(name)}, that of {first.source} is "
                    f"{first.attributes.get(name)}; exposures of one time series are needed"
                )
    time = np.concatenate([part.time_bjd_tdb for part in parts])
    if (np.diff(time) <= 0).any():
        raise InputError(f"{', '.join(part.source for part in parts)}: the exposures overlap in time")
    names = set.intersection(*(set(part.series) for part in parts))
    n_before = np.cumsum([0, *(part.exposure.max() for part in parts[:-1])])
    return TimeSeries(
        first.wavelength,
        np.concatenate([part.flux for part in parts]),
        np.concatenate([part.flux_error for part in parts]),
        time,
        np.concatenate([part.exposure + before for part, before in zip(parts, n_before, strict=True)]),
        {name: np.concatenate([part.series[name] for part in parts]) for name in names},
        first.units,
        first.attributes,
        ", ".join(part.source for part in parts),
        first.detector_row,
    )


def exposures_by_gaps(time: np.ndarray) -> np.ndarray:
    """Return numbers of exposures, from 1, told apart by gaps of more than 5 cadences, shape (n_ints,)."""
    steps = np.diff(time)
    return 1 + np.concatenate([[0], np.cumsum(steps > GAP_CADENCES * np.median(steps))])
