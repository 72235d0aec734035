"""Subtract the background of LRS integrations, measured beside the trace."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.background import measure_background
from detectorist.step import LRS_SLITLESS, DetectoristStep


class Subtracted(NamedTuple):
    """What the step returns: `model, background = BackgroundSubtractStep.call(...)`."""

    model: CubeModel
    background: np.ndarray  #: (n_ints, n_rows, n_cols), unit of SCI


class BackgroundSubtractStep(DetectoristStep):
    """Measure the background in two regions of columns and subtract it.

    Pixels flagged DO_NOT_USE, OUTLIER (their values may be made up) or REFERENCE_PIXEL do not take part.

    ERR stays as it is: the noise that the subtraction adds is common to all pixels of a row, and an extraction that
    found it in every pixel's own error would average it away. Its variance (n_ints, n_rows) travels with the model
    instead (extension BKG_VAR; `detectorist.models.background_variance`) and our extractions add it once: n**2
    times in a box of n pixels. Someone who sums pixels otherwise has to do the same.

    Two values are returned, the model and the background. A script that subtracts the background by hand
    (`proc.data -= background`) gives the extraction the columns instead, as its `bkg_col_*` parameters.
    `save_results` writes the model.
    """

    class_alias = "background_subtract"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)
    subtracts: ClassVar = True

    spec = """
        method = option("row_wise", "constant", "col_wise", default="row_wise")  # median or line per row, or one level
        bkg_col_left_start = integer(default=8)  # first column of the region left of the trace
        bkg_col_left_end = integer(default=17)  # its end (exclusive)
        bkg_col_right_start = integer(default=56)  # first column of the region right of the trace
        bkg_col_right_end = integer(default=72)  # its end (exclusive)
        smoothing_length = integer(default=None)  # rows of a running median over the background
        draw_background = boolean(default=False)  # draw the background, its noise and its columns
    """

    def process(self, input_data: Any) -> Subtracted:
        """Return (model, background)."""
        model = self.open_input(input_data, CubeModel)
        found = measure_background(
            model.data,
            models.errors(model),
            dq.has(models.flags(model), dq.DO_NOT_USE | dq.OUTLIER | dq.REFERENCE_PIXEL),
            method=self.method,
            bkg_col_left_start=self.bkg_col_left_start,
            bkg_col_left_end=self.bkg_col_left_end,
            bkg_col_right_start=self.bkg_col_right_start,
            bkg_col_right_end=self.bkg_col_right_end,
            smoothing_length=self.smoothing_length,
        )
        if self.draw_background:
            from detectorist.figures.background import draw_background

            regions = (
                (self.bkg_col_left_start, self.bkg_col_left_end),
                (self.bkg_col_right_start, self.bkg_col_right_end),
            )
            before = np.array(model.data)
            self.draw(lambda: draw_background(before, found.image, found.variance, regions=regions), model)
        model.data = model.data - found.image
        models.set_background_variance(model, found.variance)
        level = float(np.nanmedian(found.image[..., 0]))
        noise = float(np.sqrt(np.nanmedian(found.variance)))
        self.complete(
            model,
            f"{self.method} background subtracted, median {level:.2f} with a noise of {noise:.3f} per row",
            method=self.method,
            columns=[self.bkg_col_left_start, self.bkg_col_left_end, self.bkg_col_right_start, self.bkg_col_right_end],
            level=level,
            noise=noise,
            rows_bridged=int((found.n_used == 0).sum()),
        )
        return Subtracted(model, found.image)

    def save_model(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Save under a name without the number that stpipe gives to each of several results."""
        kwargs.pop("idx", None)
        return super().save_model(model, *args, **kwargs)
