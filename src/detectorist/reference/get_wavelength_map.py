"""The wavelength of every pixel."""

from __future__ import annotations

import logging

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.errors import InputError, ParameterError
from detectorist.reference._base import ReferenceStep, save_array

log = logging.getLogger(__name__)


class GetWavelengthMap(ReferenceStep):
    """Return the wavelength in micron of every pixel, from the WCS of the exposure.

    Needs `assign_wcs` and `srctype` to have been run. Pixels outside the WCS's bounding box are NaN. `save` (or
    `save_results`) writes `<input>_wavelengthmap.fits`.
    """

    class_alias = "get_wavelength_map"

    spec = """
        trim_col_start = integer(default=0)  # first column of the map
        trim_col_end = integer(default=72)  # its end (exclusive)
        save = boolean(default=False)  # write the map to save_path
        save_path = string(default=None)  # file (.fits) or folder; default: next to the products
    """

    def process(self, input_data):
        """Return a float array of shape (n_rows, n_cols)."""
        model = self.read_input(input_data, CubeModel)
        name = models.describe(model)
        self._require_wcs(model, name)
        ny, nx = model.data.shape[-2:]
        if not 0 <= self.trim_col_start < self.trim_col_end:
            raise ParameterError(
                f"{name}: trim_col_start is {self.trim_col_start} and trim_col_end is {self.trim_col_end}: a start of "
                f"0 or more and an end (exclusive) behind it are needed",
                start=self.trim_col_start,
                end=self.trim_col_end,
            )
        if self.trim_col_start >= nx:
            raise ParameterError(
                f"{name}: trim_col_start is {self.trim_col_start}, but the data have {nx} columns",
                start=self.trim_col_start,
                n_columns=nx,
            )
        rows, columns = np.mgrid[:ny, :nx]
        # The transform gives right ascension, declination and wavelength.
        wavelength = np.asarray(model.meta.wcs(columns.astype(float), rows.astype(float))[2], float)
        wavelength = wavelength[:, self.trim_col_start : self.trim_col_end]
        if not np.isfinite(wavelength).any():
            raise InputError(f"{name}: the WCS gives no wavelength in any of {wavelength.shape} pixels")
        self.record = {
            "shortest_um": float(np.nanmin(wavelength)),
            "longest_um": float(np.nanmax(wavelength)),
            "outside": int(np.isnan(wavelength).sum()),
        }
        if self.save or self.save_results:
            path = save_array(wavelength, self.path_for(self.save_path, "wavelengthmap", model), {"BUNIT": "um"})
            log.info("%s: wavelength map written to %s", name, path)
        return wavelength

    @staticmethod
    def _require_wcs(model: CubeModel, name: str) -> None:
        if model.meta.cal_step.assign_wcs != "COMPLETE" or getattr(model.meta, "wcs", None) is None:
            raise InputError(
                f"{name}: assign_wcs has not been run (its state is {model.meta.cal_step.assign_wcs}); run "
                "AssignWcsStep and SourceTypeStep first"
            )
        if model.meta.cal_step.srctype != "COMPLETE":
            raise InputError(
                f"{name}: srctype has not been run (its state is {model.meta.cal_step.srctype}); run "
                "SourceTypeStep first"
            )
