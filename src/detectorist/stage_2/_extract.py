"""Functions shared by the two extractions: position of the aperture, gain, noise of the background, product."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, GainModel

from detectorist import __version__, models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.background import measure_background
from detectorist.algorithms.spectra.extraction import Spectra
from detectorist.algorithms.spectra.location import Location, locate_trace
from detectorist.algorithms.spectra.trace import TraceFit, fit_trace
from detectorist.atomic_files import whole_file
from detectorist.errors import InputError, ParameterError, TooFewPixels
from detectorist.parameters import parse_int_or_word, parse_value
from detectorist.reference import GetDefaultGain, GetWavelengthMap
from detectorist.step import LRS_SLITLESS, DetectoristStep

log = logging.getLogger(__name__)

BACKGROUND_COLUMNS = ("bkg_col_left_start", "bkg_col_left_end", "bkg_col_right_start", "bkg_col_right_end")

#: What both extractions take; the widths differ.
SHARED_SPEC = """
        trace_position = pass(default="constant")  # "constant", "measured", "gaussian_fits", or a column
        aperture_center = float(default=36)  # column of the trace when trace_position is "constant"
        aperture_left_width = integer(default={width})  # columns left of the center, inclusive
        aperture_right_width = integer(default={width})  # columns right of the center, inclusive
        units = option("DN/s", "electron/s", default="DN/s")  # of the spectra
        gain = pass(default=None)  # electrons per DN: a number or a gain reference file; None: the one in CRDS
        bkg_col_left_start = integer(default=None)  # columns of a background subtracted by hand, to measure its noise
        bkg_col_left_end = integer(default=None)  # end (exclusive) of the left region
        bkg_col_right_start = integer(default=None)  # first column of the right region
        bkg_col_right_end = integer(default=None)  # its end (exclusive)
        draw_psf_fits = boolean(default=False)  # draw the Gaussian fits of the trace
        draw_aperture = boolean(default=False)  # draw the aperture over the data
        draw_spectra = boolean(default=False)  # draw the spectra
"""


class ExtractStep(DetectoristStep):
    """Base of the extractions: `process` returns (wavelengths, spectra, uncertainties, trace widths).

    The model given is not changed and gets no stamp, since no model is returned; the numbers are in `record`.
    """

    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    def read_input(self, input_data: Any) -> CubeModel:
        """Return the input, not to be changed."""
        model = models.open_as(input_data, CubeModel, copy=False)
        self.require_mode(model)
        if not np.isfinite(model.data).any():
            raise InputError(f"{models.describe(model)}: SCI has not one finite value; nothing can be extracted")
        return model

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        #: Where the trace lies, where whoever runs the step has located it on another part of the exposure.
        self.location: Location | None = None

    def locate(self, model: CubeModel) -> tuple[float | np.ndarray, TraceFit]:
        """Return the centre of the aperture and the fits of the trace.

        The centre is a number, one per integration, or, for "measured", one per row, shape (1, n_rows).
        """
        words = ("constant", "gaussian_fits", "measured")
        position = parse_int_or_word(self.trace_position, name="trace_position", words=words)
        around = None if self.location is None else self.location.column
        fit = fit_trace(model.data, models.errors(model), trace_column=around)
        if position == "measured":
            return self._measured(model), fit
        if position == "constant":
            return float(self.aperture_center), fit
        if position != "gaussian_fits":
            return float(position), fit
        known = np.isfinite(fit.center_pix)
        if not known.any():
            raise TooFewPixels(f"{models.describe(model)}: the trace could not be fitted in any integration")
        if not known.all():
            log.warning(
                "%s: the trace could not be fitted in %d integrations; they get the median position",
                models.describe(model),
                (~known).sum(),
            )
        return np.where(known, fit.center_pix, np.median(fit.center_pix[known])), fit

    def _measured(self, model: CubeModel) -> np.ndarray:
        """Return the column of the trace at every row, shape (1, n_rows), the aperture kept inside the image."""
        location = self.location or locate_trace(model.data, dq.has(models.flags(model), dq.DO_NOT_USE))
        center = location.center_at(np.arange(model.data.shape[1]))
        low, high = self.aperture_left_width, model.data.shape[2] - 1 - self.aperture_right_width
        return np.clip(center, low, high)[None]

    def wavelengths(self, model: CubeModel, wavelength_map: Any, center: float | np.ndarray) -> np.ndarray:
        """Return the wavelength of every row at the centre of the aperture, micron."""
        if wavelength_map is None:
            wavelength_map = GetWavelengthMap().run(model)
        wavelength_map = np.asarray(wavelength_map, float)
        n_rows, n_cols = model.data.shape[-2:]
        if wavelength_map.shape == (n_rows,):
            return wavelength_map.copy()
        if wavelength_map.shape != (n_rows, n_cols):
            raise ParameterError(
                f"{models.describe(model)}: the wavelength map has shape {wavelength_map.shape}; {(n_rows, n_cols)}, "
                "the shape of an image, is needed"
            )
        return wavelength_map[:, int(np.clip(np.rint(np.median(center)), 0, n_cols - 1))].copy()

    def gain_of(self, model: CubeModel) -> float | np.ndarray:
        """Return the gain, e-/DN, as a number or for every pixel."""
        given = self.gain if isinstance(self.gain, GainModel) else parse_value(self.gain)
        if isinstance(given, int | float):
            return float(given)
        if isinstance(given, str):
            if not Path(given).is_file():
                raise ParameterError(f"gain is {given!r}: a number or the path of a gain reference is needed")
            given = GainModel(given)
        reference = GetDefaultGain().run(model) if given is None else given
        start = reference.meta.subarray
        gain = np.array(models.on_subarray(reference.data, model, (start.xstart or 1, start.ystart or 1)), float)
        usable = np.isfinite(gain) & (gain > 0)
        if not usable.any():
            raise ParameterError(f"{models.describe(reference)}: no positive gain where {models.describe(model)} lies")
        gain[~usable] = np.median(gain[usable])
        return gain

    def background_variance(self, model: CubeModel) -> tuple[np.ndarray | None, str]:
        """Return the variance of the background, common to a row, and where it comes from."""
        columns = {name: getattr(self, name) for name in BACKGROUND_COLUMNS}
        given = [name for name, value in columns.items() if value is not None]
        if given:
            if len(given) < len(columns):
                raise ParameterError(f"{', '.join(given)} given alone: all of {', '.join(columns)} are needed")
            unusable = dq.has(models.flags(model), dq.DO_NOT_USE | dq.OUTLIER | dq.REFERENCE_PIXEL)
            return measure_background(model.data, models.errors(model), unusable, **columns).variance, "columns"
        variance = models.background_variance(model)
        if variance is not None and variance.shape == model.data.shape[:2]:
            return variance, "model"
        log.warning(
            "%s: the noise of the background is not known and not part of the errors; use the model that "
            "BackgroundSubtractStep returns, or, if a background was subtracted by hand, give its columns (%s)",
            models.describe(model),
            ", ".join(columns),
        )
        return None, "unknown"

    def finish(self, model: CubeModel, wavelengths: np.ndarray, spectra: Spectra, fit: TraceFit, **numbers: Any):
        """Record, log, draw and save; return what `process` returns."""
        signal = float(np.nanmedian(spectra.flux / np.where(spectra.error > 0, spectra.error, np.nan)))
        err = models.errors(model)
        self.record = {
            **numbers,
            "units": self.units,
            "median_signal_to_noise": signal,
            "missing_values": int(np.isnan(spectra.flux).sum()),
            "errors_known": float(np.mean((err > 0) & np.isfinite(err))),
            "trace_center_pix": float(np.nanmedian(fit.center_pix)) if np.isfinite(fit.center_pix).any() else None,
            "trace_sigma_pix": float(np.nanmedian(fit.sigma_pix)) if np.isfinite(fit.sigma_pix).any() else None,
        }
        log.info("%s: %s: %s", models.describe(model), self.class_alias, self.record)
        self._draw(model, wavelengths, spectra, fit, numbers["aperture"])
        if self.save_results:
            self._save(model, wavelengths, spectra, fit)
        return wavelengths, spectra.flux, spectra.error, fit.sigma_pix

    def _draw(self, model, wavelengths, spectra, fit, aperture) -> None:
        if not (self.draw_psf_fits or self.draw_aperture or self.draw_spectra):
            return
        from detectorist.figures import extraction as figures

        if self.draw_psf_fits:
            self.draw(lambda: figures.draw_psf_fits(fit), model, name="psf_fits")
        if self.draw_aperture:
            self.draw(lambda: figures.draw_aperture(np.asarray(model.data), aperture), model, name="aperture")
        if self.draw_spectra:
            self.draw(
                lambda: figures.draw_spectra(wavelengths, spectra.flux, spectra.error, units=self.units),
                model,
                name="spectra",
            )

    def _save(self, model: CubeModel, wavelengths: np.ndarray, spectra: Spectra, fit: TraceFit) -> None:
        per_row, each = ("integration_number", "wavelength"), ("integration_number",)
        variables = {
            "flux": (per_row, spectra.flux, {"units": self.units}),
            "flux_error": (per_row, spectra.error, {"units": self.units}),
            "psf_sigma": (each, fit.sigma_pix, {"units": "pixel"}),
            "trace_position": (each, fit.center_pix, {"units": "pixel"}),
        }
        save_time_series(self, model, variables, {"wavelength": (("wavelength",), wavelengths, {"units": "microns"})})


def save_time_series(step: DetectoristStep, model: CubeModel, variables: dict, coordinates: dict | None = None) -> Path:
    """Write arrays as `<input>_<step>.nc`, with the integrations numbered as in the exposure."""
    import xarray as xr

    first = model.meta.exposure.integration_start or 1
    numbers = np.arange(first, first + model.data.shape[0])
    dataset = xr.Dataset(
        variables,
        coords={"integration_number": (("integration_number",), numbers), **(coordinates or {})},
        attrs={"code": f"detectorist {__version__}", "step": step.class_alias, "input": models.describe(model)},
    )
    return write_netcdf(dataset, Path(step.make_output_path(basepath=models.describe(model), ext=".nc")))


def write_netcdf(dataset: Any, path: Path) -> Path:
    """Write a dataset; raises OutputError when it cannot be written."""
    # Made in memory: where the disk is full, the HDF5 library ends the process.
    content = dataset.to_netcdf(engine="h5netcdf")
    with whole_file(path) as partial:
        partial.write_bytes(content)
    log.info("written to %s", path)
    return path
