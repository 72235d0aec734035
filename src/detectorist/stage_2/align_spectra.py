"""Measure the motion of the LRS trace, and align spectra by it."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.alignment import Shifts, Template, build_template, measure_shifts
from detectorist.algorithms.spectra.resampling import shift_spectra
from detectorist.errors import InputError, ParameterError
from detectorist.stage_2.extract_1d_box import Extract1DBoxStep
from detectorist.step import LRS_SLITLESS, DetectoristStep

log = logging.getLogger(__name__)


class AlignSpectraStep(DetectoristStep):
    """Measure the shifts of every integration across (x) and along (y) the dispersion, and undo those along it.

    `process(model, spec=None, spec_unc=None, template=None)` returns (spectra, uncertainties, x_shifts, y_shifts):
    shifts in pixels, positive toward higher column and row. With `align_spectra` the spectra are returned shifted by -y
    (cubic interpolation; the uncertainties follow its weights), otherwise as given.

    spec, spec_unc : (n_ints, n_rows), as an extraction returns them; by default those of a box.

    template : what the shifts are relative to. By default the mean of the integrations given, so that every segment has
    its own zero point. For shifts without steps between segments, pass the same template to all: `template =
    AlignSpectraStep().template_from(first_segment)`.

    The model must be free of its background. Pixels flagged DO_NOT_USE, OUTLIER or REFERENCE_PIXEL are ignored, as are
    others that deviate by more than 6 sigma. Errors of the shifts are in `record`.
    """

    class_alias = "align_spectra"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        align_spectra = boolean(default=True)  # move the spectra by the shift along the dispersion
        draw_cross_correlation_fits = boolean(default=False)  # draw how the fit responds to shifts
        draw_trace_positions = boolean(default=False)  # draw the shifts against time
    """

    def process(
        self,
        input_data: Any,
        spec: np.ndarray | None = None,
        spec_unc: np.ndarray | None = None,
        template: Template | None = None,
    ):
        """Return (spectra, uncertainties, x shifts, y shifts)."""
        model = self._read(input_data)
        spec, spec_unc = self._spectra(model, spec, spec_unc)
        if template is None:
            template = self.template_from(model)
        shifts = measure_shifts(model.data, models.errors(model), unusable(model), template)
        if self.align_spectra:
            spec, spec_unc = shift_spectra(spec, spec_unc, shifts.y_pix)
        self._report(model, shifts)
        self._draw(model, template, shifts)
        if self.save_results:
            self._save(model, spec, spec_unc, shifts)
        return spec, spec_unc, shifts.x_pix, shifts.y_pix

    def template_from(self, input_data: Any) -> Template:
        """Return the template of some integrations, for this and other segments of the same exposure."""
        model = self._read(input_data)
        variance = models.background_variance(model)
        if variance is not None and variance.shape != model.data.shape[:2]:
            variance = None
        return build_template(model.data, models.errors(model), unusable(model), background_variance=variance)

    def _read(self, input_data: Any) -> CubeModel:
        model = models.open_as(input_data, CubeModel, copy=False)
        self.require_mode(model)
        if not np.isfinite(model.data).any():
            raise InputError(f"{models.describe(model)}: SCI has not one finite value; no shift can be measured")
        return model

    @staticmethod
    def _spectra(model: CubeModel, spec, spec_unc) -> tuple[np.ndarray, np.ndarray | None]:
        if spec is None:
            spectra = Extract1DBoxStep().extract(model)[0]
            return spectra.flux, spectra.error
        spec = np.asarray(spec)
        spec_unc = None if spec_unc is None else np.asarray(spec_unc)
        for name, array in (("spec", spec), ("spec_unc", spec_unc)):
            if array is not None and array.shape != model.data.shape[:2]:
                raise ParameterError(
                    f"{models.describe(model)}: {name} has shape {array.shape}; {model.data.shape[:2]}, one row "
                    "per integration, is needed"
                )
        return spec, spec_unc

    def _report(self, model: CubeModel, shifts: Shifts) -> None:
        lost = int(np.isnan(shifts.x_pix).sum())
        numbers = {
            "x_scatter_pix": np.nanstd(shifts.x_pix) if lost < len(shifts.x_pix) else None,
            "y_scatter_pix": np.nanstd(shifts.y_pix) if lost < len(shifts.y_pix) else None,
            "x_error_pix": shifts.x_error_pix,
            "y_error_pix": shifts.y_error_pix,
            "chi2_per_pixel": shifts.chi2_per_pixel,
            "unmeasured": lost,
        }
        self.record = {key: np.asarray(v).tolist() if v is not None else None for key, v in numbers.items()}
        if lost:
            log.warning("%s: %d integrations have no measurable shift", models.describe(model), lost)
        if lost < len(shifts.x_pix):
            log.info(
                "%s: align_spectra: trace moves by %.4f pixel across and %.4f along the dispersion (rms), measured to "
                "%.4f and %.4f",
                models.describe(model),
                *(np.nanstd(v) for v in (shifts.x_pix, shifts.y_pix)),
                *(np.nanmedian(v) for v in (shifts.x_error_pix, shifts.y_error_pix)),
            )

    def _draw(self, model: CubeModel, template: Template, shifts: Shifts) -> None:
        if not (self.draw_cross_correlation_fits or self.draw_trace_positions):
            return
        from detectorist.figures import alignment as figures

        if self.draw_cross_correlation_fits:
            cube = np.asarray(model.data)
            self.draw(lambda: figures.draw_fits(cube, template, shifts), model, name="fits")
        if self.draw_trace_positions:
            self.draw(lambda: figures.draw_trace_positions(shifts), model, name="trace_positions")

    def _save(self, model: CubeModel, spec, spec_unc, shifts: Shifts) -> None:
        """Write `<input>_align_spectra.nc`."""
        from detectorist.stage_2._extract import save_time_series

        per_row, each = ("integration_number", "row"), ("integration_number",)
        variables = {
            "flux": (per_row, spec),
            "flux_error": (per_row, spec_unc),
            "x_shift": (each, shifts.x_pix, {"units": "pixel"}),
            "y_shift": (each, shifts.y_pix, {"units": "pixel"}),
            "x_shift_error": (each, shifts.x_error_pix, {"units": "pixel"}),
            "y_shift_error": (each, shifts.y_error_pix, {"units": "pixel"}),
        }
        save_time_series(self, model, {k: v for k, v in variables.items() if v[1] is not None})


def unusable(model: CubeModel) -> np.ndarray:
    """Return where a pixel is bad or interpolated."""
    return dq.has(models.flags(model), dq.DO_NOT_USE | dq.OUTLIER | dq.REFERENCE_PIXEL)
