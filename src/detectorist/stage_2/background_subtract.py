"""Subtract the background of LRS integrations, measured beside the trace."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.background import Background, measure_background
from detectorist.algorithms.spectra.background_shape import Shape, fit_shape, measure_levels
from detectorist.algorithms.spectra.location import MIN_BACKGROUND_COLUMNS, Location, locate_trace, mean_image
from detectorist.errors import TooFewPixels
from detectorist.step import LRS_SLITLESS, DetectoristStep


class Subtracted(NamedTuple):
    """What the step returns: `model, background = BackgroundSubtractStep.call(...)`."""

    model: CubeModel
    background: np.ndarray  #: (n_ints, n_rows, n_cols), unit of SCI


class BackgroundPlan(NamedTuple):
    """The choice of "auto": the columns and, for "col_wise", the background's shape across them."""

    columns: np.ndarray
    shape: Shape | None


class BackgroundSubtractStep(DetectoristStep):
    """Measure the background in two regions of columns and subtract it.

    Pixels flagged DO_NOT_USE, OUTLIER (their values may be interpolated) or REFERENCE_PIXEL are ignored.

    ERR is not changed: the noise that the subtraction adds is common to all pixels of a row, and an extraction that
    found it in every pixel's own error would average it away. Its variance (n_ints, n_rows) is stored in the model
    instead (extension BKG_VAR; `detectorist.models.background_variance`) and our extractions add it once: n**2 times in
    a box of n pixels. Code that sums pixels itself has to do the same.

    With `columns` "auto" the regions are those without light of the trace or of a neighbour, and "col_wise" measures
    gradient and curvature as smooth functions of the row on the mean image and assumes them to be the same in all
    integrations, but for a factor by which the whole background brightens: only a level is measured for each row and
    integration.

    Two values are returned, the model and the background. A script that subtracts the background by hand
    (`proc.data -= background`) gives the extraction the columns instead, as its `bkg_col_*` parameters.
    `save_results` writes the model.
    """

    class_alias = "background_subtract"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)
    subtracts: ClassVar = True

    spec = """
        columns = option("given", "auto", default="given")  # auto: those without light of the trace or a neighbour
        method = option("row_wise", "constant", "col_wise", default="row_wise")  # median or line per row, or one level
        bkg_col_left_start = integer(default=8)  # first column of the region left of the trace
        bkg_col_left_end = integer(default=17)  # its end (exclusive)
        bkg_col_right_start = integer(default=56)  # first column of the region right of the trace
        bkg_col_right_end = integer(default=72)  # its end (exclusive)
        smoothing_length = integer(default=None)  # rows of a running median over the background
        draw_background = boolean(default=False)  # draw the background, its noise and its columns
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        #: What "auto" has chosen, where whoever runs the step has let it `decide` on another part of the exposure.
        self.decided: BackgroundPlan | None = None

    def decide(self, model: CubeModel, location: Location | None = None) -> BackgroundPlan:
        """Choose the columns of the background and, for "col_wise", measure its shape across them.

        location : of the trace, if it is known; otherwise it is measured here.

        Raises
        ------
        TooFewPixels
            When the trace and its neighbours leave fewer than eight columns.
        """
        unusable = unusable_pixels(model)
        location = location or locate_trace(model.data, unusable)
        columns = np.array(location.background_columns, int)
        if columns.size < MIN_BACKGROUND_COLUMNS:
            raise TooFewPixels(
                f"{models.describe(model)}: {columns.size} columns without light of the trace at column "
                f"{location.center_pix:.1f} or of a neighbour: {MIN_BACKGROUND_COLUMNS} are needed for a background",
                n_usable=int(columns.size),
                needed=MIN_BACKGROUND_COLUMNS,
            )
        if self.method != "col_wise":
            return BackgroundPlan(columns, None)
        return BackgroundPlan(columns, fit_shape(mean_image(model.data, unusable), columns, center=location.center_pix))

    def process(self, input_data: Any) -> Subtracted:
        """Return (model, background)."""
        model = self.open_input(input_data, CubeModel)
        columns = None
        if self.columns == "auto":
            plan = self.decided or self.decide(model)
            columns, found = plan.columns, self._measure(model, plan)
        else:
            found = self._measure(model, None)
        if self.draw_background:
            from detectorist.figures.background import draw_background

            before, regions = np.array(model.data), self._regions(columns)
            self.draw(lambda: draw_background(before, found.image, found.variance, regions=regions), model)
        model.data = model.data - found.image
        before = models.background_variance(model)  # of other light that was subtracted, common to a row as well
        models.set_background_variance(model, found.variance if before is None else before + found.variance)
        level = float(np.nanmedian(found.image[..., 0]))
        noise = float(np.sqrt(np.nanmedian(found.variance)))
        self.complete(
            model,
            f"{self.method} background subtracted, median {level:.2f} with a noise of {noise:.3f} per row",
            method=self.method,
            columns=[edge for region in self._regions(columns) for edge in region],
            level=level,
            noise=noise,
            rows_bridged=int((found.n_used == 0).sum()),
        )
        return Subtracted(model, found.image)

    def _measure(self, model: CubeModel, plan: BackgroundPlan | None) -> Background:
        arrays = (model.data, models.errors(model), unusable_pixels(model))
        if plan is not None and plan.shape is not None:
            return measure_levels(*arrays, columns=plan.columns, shape=plan.shape)
        return measure_background(
            *arrays,
            method=self.method,
            bkg_col_left_start=self.bkg_col_left_start,
            bkg_col_left_end=self.bkg_col_left_end,
            bkg_col_right_start=self.bkg_col_right_start,
            bkg_col_right_end=self.bkg_col_right_end,
            smoothing_length=self.smoothing_length,
            columns=None if plan is None else plan.columns,
        )

    def _regions(self, columns: np.ndarray | None) -> tuple[tuple[int, int], ...]:
        """Return the columns as ranges, ends exclusive."""
        if columns is None:
            return (
                (self.bkg_col_left_start, self.bkg_col_left_end),
                (self.bkg_col_right_start, self.bkg_col_right_end),
            )
        parts = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
        return tuple((int(part[0]), int(part[-1]) + 1) for part in parts)

    def save_model(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Save under a name without the number that stpipe gives to each of several results."""
        kwargs.pop("idx", None)
        return super().save_model(model, *args, **kwargs)


def unusable_pixels(model: CubeModel) -> np.ndarray:
    """Return where a pixel is bad, interpolated, or a reference pixel."""
    return dq.has(models.flags(model), dq.DO_NOT_USE | dq.OUTLIER | dq.REFERENCE_PIXEL)
