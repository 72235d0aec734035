"""Subtract the background of every group of an LRS ramp, measured beside the trace."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.background import measure_background
from detectorist.step import LRS_SLITLESS, DetectoristStep


class GroupBackgroundSubtractStep(DetectoristStep):
    """Measure the background in two regions of columns, group by group, and subtract it.

    Ramps carry no errors, so the noise of the background is in the record only (`noise_dn`, for one group). It is
    common to a row: to include it in the errors of spectra, pass the same columns to the extraction
    (`bkg_col_left_start`...). A frame without any usable background pixel, such as that of a dropped group, is
    not changed.
    """

    class_alias = "group_background_subtract"
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
    """

    def process(self, input_data: Any) -> RampModel:
        """Return the ramp without its background."""
        model = self.open_input(input_data, RampModel)
        unusable = dq.has(models.group_flags(model), dq.DO_NOT_USE | dq.SATURATED)
        unusable |= dq.has(np.asarray(model.pixeldq, np.uint32), dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        found = measure_background(
            model.data,
            mask=unusable,
            method=self.method,
            bkg_col_left_start=self.bkg_col_left_start,
            bkg_col_left_end=self.bkg_col_left_end,
            bkg_col_right_start=self.bkg_col_right_start,
            bkg_col_right_end=self.bkg_col_right_end,
            smoothing_length=self.smoothing_length,
        )
        measured = np.isfinite(found.image[..., 0, 0])
        model.data = model.data - np.nan_to_num(found.image, copy=False)
        noise = float(np.sqrt(np.nanmedian(found.variance)))
        level = float(np.median(found.image[measured][..., 0]))
        left_alone = int((~measured).sum())
        return self.complete(
            model,
            f"{self.method} background subtracted, median {level:.1f} DN with a noise of {noise:.2f} DN"
            + (f"; {left_alone} frames without usable background left as they are" if left_alone else ""),
            level_dn=level,
            noise_dn=noise,
            rows_bridged=int((found.n_used[measured] == 0).sum()),
            frames_left_alone=left_alone,
        )
