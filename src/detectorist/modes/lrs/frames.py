"""A summary of the frames: images and records small enough to keep for any number of integrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import __version__, models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.location import Location
from detectorist.algorithms.spectra.profile import TRACE_COLUMN
from detectorist.reduction import products

if TYPE_CHECKING:
    import xarray as xr

#: Columns to either side of the trace whose photons count for the limit.
APERTURE_PIX = 4
#: Lists longer than that are no summary: they are in the products.
MOST_VALUES = 256


class LrsFrames:
    """Frames before and after cleaning, block by block: their means, one example, replaced pixels, photon noise.

    Attributes
    ----------
    location : Location or None
        Where the trace lies.
    records : dict
        {block of integrations: {step: numbers}}, as the steps recorded them.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.location: Location | None = None
        self._sums: dict[str, np.ndarray] = {}
        self._photon_error: list[np.ndarray] = []
        self._n_ints = 0
        self._most_replaced = -1
        self._is_example = False
        self._example: dict[str, np.ndarray] = {}
        self._example_number = 0

    def add_photons(self, rates: CubeModel) -> None:
        """Add the noise of the photons in a block, of which nothing else asks for the variance."""
        self._photon_error.append(_photon_error(rates, self.trace_column))

    def add_before(self, rates: CubeModel, replaced: np.ndarray, background: np.ndarray) -> None:
        """Add a block before its background is subtracted and it is cleaned, and what will be subtracted.

        replaced : ndarray of int, shape (n_ints, ...)
            Pixels near the trace that a first cleaning replaced: the integration with most of them is the example.
        """
        data = np.asarray(rates.data)
        self._add("raw", _sum(data))
        self._add("raw_known", np.isfinite(data).sum(axis=0))
        self._add("background", _sum(background))
        counts = np.asarray(replaced).reshape(len(data), -1).sum(axis=1)
        index = int(counts.argmax())
        self._is_example = bool(counts[index] > self._most_replaced)
        if self._is_example:
            self._most_replaced = int(counts[index])
            self._example = {"index": np.array(index), "raw": np.array(data[index], np.float32)}
            self._example_number = self._n_ints + index + 1

    def add_after(self, frames: CubeModel, profile: np.ndarray) -> None:
        """Add the same block, background subtracted and cleaned."""
        data = np.asarray(frames.data)
        self._add("clean", _sum(data))
        self._add("replaced", dq.has(models.flags(frames), dq.OUTLIER).sum(axis=0))
        self._add("profile", _sum(profile))
        if self._is_example:
            self._example["clean"] = np.array(data[int(self._example["index"])], np.float32)
        self._n_ints += len(data)

    def add_records(self, frames: CubeModel, *others: Any, made: dict[str, dict[str, Any]] | None = None) -> None:
        """Keep the records of the steps on a block.

        others : steps that return no model. made : records of references made from the data.
        """
        first = int(frames.meta.exposure.integration_start or 1)
        stem = Path(models.describe(frames)).stem.rpartition("_")[0]
        found = {**(made or {})}
        found.update({alias: dict(numbers) for alias, numbers in models.records(frames).items()})
        found.update({step.class_alias: {"state": "COMPLETE", **step.record} for step in others})
        self.records[f"{stem}, integrations {first} to {first + len(frames.data) - 1}"] = {
            alias: {name: value for name, value in numbers.items() if np.size(value) <= MOST_VALUES}
            for alias, numbers in found.items()
        }

    @property
    def trace_column(self) -> int:
        """Column of the trace."""
        return TRACE_COLUMN if self.location is None else self.location.column

    @property
    def photon_error(self) -> np.ndarray:
        """Noise of the photons in the sum over the aperture, shape (n_ints, n_rows), unit of the frames."""
        return np.concatenate(self._photon_error)

    def variables(self) -> dict[str, products.Variable]:
        """Return images over (row, column), and the noise of the photons over (integration_number, row)."""
        image = ("row", "column")
        n = max(self._n_ints, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = self._sums["raw"] / self._sums["raw_known"]
        described = {
            "raw": (image, raw, "mean frame, background and outliers included"),
            "clean": (image, self._sums["clean"] / n, "mean frame, background subtracted and outliers replaced"),
            "background": (image, self._sums["background"] / n, "mean background"),
            "replaced": (image, self._sums["replaced"] / n, "share of the integrations in which a pixel was replaced"),
            "profile": (image, self._sums["profile"] / n, "mean spatial profile, share of the light of a row"),
            "example_raw": (image, self._example["raw"], "integration with most pixels replaced, before"),
            "example_clean": (image, self._example["clean"], "the same integration, after"),
            "photon_error": (("integration_number", "row"), self.photon_error, "noise of the photons in the aperture"),
        }
        return {
            name: products.Variable(dims, np.asarray(array, np.float32), {"long_name": text})
            for name, (dims, array, text) in described.items()
        }

    def images(self) -> dict[str, np.ndarray]:
        """Return the arrays of `variables` alone."""
        return {name: variable.values for name, variable in self.variables().items()}

    def dataset(self) -> xr.Dataset:
        """Return the variables and attributes as a dataset."""
        import xarray as xr  # takes long to load

        return xr.Dataset(dict(self.variables()), attrs=self._attributes())

    def write(self, target: Path) -> Path:
        """Write the variables as NetCDF; raises OutputError when it cannot be written."""
        return products.write_variables(self.variables(), self._attributes(), target)

    def _attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "code": f"detectorist {__version__}",
            "example_integration": self._example_number,
            "trace_column": self.trace_column,
        }
        if self.location is not None:
            attributes["trace_tilt"] = self.location.tilt
            attributes["trace_significance"] = self.location.significance
        return attributes

    def _add(self, name: str, values: np.ndarray) -> None:
        self._sums[name] = self._sums[name] + values if name in self._sums else values


def _sum(images: np.ndarray) -> np.ndarray:
    """Return the sum over integrations of what is finite, without a second copy of the images."""
    return np.sum(images, axis=0, dtype=float, where=np.isfinite(images))


def _photon_error(rates: CubeModel, column: int) -> np.ndarray:
    """Return the square root of VAR_POISSON summed over the aperture; NaN where the rates do not say it."""
    variance = getattr(rates, "var_poisson", None)
    if variance is None or np.shape(variance) != rates.data.shape:
        return np.full(rates.data.shape[:2], np.nan, np.float32)
    aperture = slice(max(column - APERTURE_PIX, 0), column + APERTURE_PIX + 1)
    return np.sqrt(np.nansum(np.asarray(variance)[:, :, aperture], axis=2, dtype=float))
