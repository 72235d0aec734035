"""Extract LRS spectra by summing an aperture."""

from __future__ import annotations

from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms.spectra.extraction import Spectra, extract_box
from detectorist.algorithms.spectra.trace import TraceFit
from detectorist.stage_2._extract import SHARED_SPEC, ExtractStep


class Extract1DBoxStep(ExtractStep):
    """Sum the pixels of every row from `aperture_left_width` left of the trace to `aperture_right_width` right of it.

    `process(model, wavelength_map=None)` returns four arrays: wavelengths (n_rows,) in micron, spectra and
    uncertainties (n_ints, n_rows), and trace widths (n_ints,) in pixels, the sigma of a Gaussian fitted to each
    integration's profile.

    Both ends of the aperture are inclusive (4 + 1 + 4 = 9 pixels). "gaussian_fits" centres it on each integration's
    own fit; pixels at its ends then count partly. The uncertainty holds the errors of the pixels and, once for the
    whole aperture, that of the background subtracted. An ERR that is 0 or not finite means unknown: the pixel gets the
    error of its neighbours. A pixel that is not finite makes the row's sum NaN: clean the image first. DQ is not
    consulted, since cleaned pixels keep their flags.

    Without a wavelength map it is computed from the WCS. `save_results` writes `<input>_extract_1d_box.nc` (flux,
    flux_error, psf_sigma, trace_position).
    """

    class_alias = "extract_1d_box"

    spec = SHARED_SPEC.format(width=4)

    def process(self, input_data: Any, wavelength_map: np.ndarray | None = None):
        """Return (wavelengths, spectra, uncertainties, trace widths)."""
        model = self.read_input(input_data)
        spectra, fit, center, source = self.extract(model)
        wavelengths = self.wavelengths(model, wavelength_map, center)
        middle = float(np.median(center))
        aperture = [middle - self.aperture_left_width, middle + self.aperture_right_width]
        return self.finish(model, wavelengths, spectra, fit, aperture=aperture, background_noise=source)

    def extract(self, model: CubeModel) -> tuple[Spectra, TraceFit, Any, str]:
        """Return the spectra, the fits of the trace, the centre(s) used, and where the background's noise is from."""
        center, fit = self.locate(model)
        variance, source = self.background_variance(model)
        spectra = extract_box(
            model.data,
            models.errors(model),
            aperture_center=center,
            aperture_left_width=self.aperture_left_width,
            aperture_right_width=self.aperture_right_width,
            background_variance=variance,
            units=self.units,
            gain=self.gain_of(model) if self.units == "electron/s" else None,
        )
        return spectra, fit, center, source
