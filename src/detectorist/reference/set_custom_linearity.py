"""A linearity correction from the ramps of the exposure itself."""

from __future__ import annotations

import logging

import numpy as np
from stdatamodels.jwst.datamodels import LinearityModel, RampModel

from detectorist import models
from detectorist.algorithms.ramps import linearity
from detectorist.algorithms.ramps.groups import count_deciding
from detectorist.algorithms.ramps.pedestal_linearity import fit_above_pedestal
from detectorist.errors import InputError, ParameterError, TooFewPixels
from detectorist.reference._base import MIRI_FRAME, ReferenceStep, as_full_frame

log = logging.getLogger(__name__)


class SetCustomLinearity(ReferenceStep):
    """Make a linearity reference, for `override_linearity` of the linearity step, from raw ramps.

    Method "continued_line": the straight line through a section of each ramp that is taken to be linear is
    extrapolated over the rest, and for each of the four amplifiers (column mod 4) a polynomial is fitted that converts
    measured DN to it: constant 0, linear term 1, orders 2 to 4 from the trace on columns 34 to 38. It is a polynomial
    in the measured counts including the pedestal, as the standard step requires; each ramp has a free offset, so only
    its shape is fitted. It needs long ramps, of 40 groups or more. Ends of ranges are exclusive; -1 is up to the
    last group but one.

    Method "above_pedestal": the correction is a function of the counts above the pedestal, where its slope is 1, and
    is fitted to ramps of all brightnesses about the trace, wherever that lies, averaged over the first integrations.
    No section has to be linear, and nine groups are enough; the ranges of groups and rows are not used.

    Not corrected: reference columns 0 to 3, whose coefficients are 0.
    """

    class_alias = "set_custom_linearity"

    spec = """
        method = option("continued_line", "above_pedestal", default="continued_line")  # what is fitted
        when = option("always", "needed", default="always")  # needed: only if the reference corrects nothing
        group_idx_start_fit = integer(default=10)  # first group of the section taken to be linear
        group_idx_end_fit = integer(default=40)  # its end (exclusive)
        group_idx_start_derive = integer(default=10)  # first group to be corrected
        group_idx_end_derive = integer(default=-1)  # end (exclusive); -1: up to the last but one
        row_idx_start_used = integer(default=350)  # first row of the trace
        row_idx_end_used = integer(default=386)  # its end (exclusive)
        draw_corrections = boolean(default=False)  # draw the corrections of the four amplifiers
    """

    def process(self, input_data):
        """Return a `LinearityModel`."""
        model = self.read_input(input_data, RampModel)
        fit = self._fit(model)
        if not np.isfinite(fit.left_pct).all() or not np.isfinite(fit.coefficients).all():
            raise InputError(
                f"{models.describe(model)}: no linearity correction from these ramps: {fit.left_pct.round(3).tolist()} "
                "% of the signal left by the four outputs; is there a source in the frame?",
                left_pct=fit.left_pct.tolist(),
            )
        if self.draw_corrections:
            from detectorist.figures.linearity import draw_linearity

            self.draw(lambda: draw_linearity(fit), model)
        self.record = {
            "method": self.method,
            "coefficients": fit.coefficients.tolist(),
            "ramps_used": fit.n_ramps.tolist(),
            "ramps_left_out": fit.n_left_out,
            "range_dn": fit.range_dn.tolist(),
            "left_pct": fit.left_pct.tolist(),
            "pedestal_dn": fit.pedestal_dn,
        }
        log.info(
            "%s: linearity from %d ramps (%d left out); %.3f %% of the signal left at most (rms)",
            models.describe(model),
            fit.n_ramps.sum(),
            fit.n_left_out,
            fit.left_pct.max(),
        )
        reference = LinearityModel(
            coeffs=linearity.detector_coefficients(fit.coefficients, MIRI_FRAME),
            dq=np.zeros(MIRI_FRAME, np.uint32),
        )
        source = f"self-made from {models.describe(model)}, {int(fit.n_ramps.sum())} ramps"
        return as_full_frame(reference, model, kind="linearity", description=source)

    def _fit(self, model: RampModel) -> linearity.LinearityFit:
        try:
            if self.method == "above_pedestal":
                return fit_above_pedestal(model.data[: count_deciding(model.data.shape)])
            return linearity.fit_linearity(
                model.data,
                models.group_flags(model),
                group_idx_start_fit=self.group_idx_start_fit,
                group_idx_end_fit=self.group_idx_end_fit,
                group_idx_start_derive=self.group_idx_start_derive,
                group_idx_end_derive=self.group_idx_end_derive,
                row_idx_start_used=self.row_idx_start_used,
                row_idx_end_used=self.row_idx_end_used,
            )
        except (ParameterError, TooFewPixels) as error:
            raise type(error)(f"{models.describe(model)}: {error.message}", **error.numbers) from error
