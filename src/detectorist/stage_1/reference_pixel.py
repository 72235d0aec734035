"""Subtract the drift of the four outputs, measured on the reference columns of the LRS subarray."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps import refpix
from detectorist.algorithms.ramps.groups import count_deciding
from detectorist.errors import InputError, ParameterError
from detectorist.parameters import parse_value
from detectorist.step import LRS_SLITLESS, DetectoristStep


class ReferencePixelStep(DetectoristStep):
    """Correct every group for the drift of its amplifier since the first group.

    The standard pipeline has no such correction for subarrays, although this one includes the reference columns at the
    left edge of the detector. All columns are corrected, including the reference columns, whose residuals show its
    quality. The correction's own noise is common to all pixels of a row that share an amplifier, so it
    is not part of a pixel's independent error: its rms in DN is in the record (`correction_noise_dn`), to be added in
    quadrature, once for each row and output, to a sum over columns.
    """

    class_alias = "reference_pixel"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)
    subtracts: ClassVar = True

    spec = """
        smoothing_length = pass(default=None)  # rows of the detector to smooth over; None: the whole column at once
        smoothing = option("median", "gaussian", "auto", default="median")  # auto: chosen by cross-validation
        odd_even_rows = boolean(default=True)  # separate offsets for odd and even rows
        draw_correction = boolean(default=False)  # draw the correction of the first integration
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        #: What "auto" has chosen, where whoever runs the step has let it `decide` on another part of the exposure.
        self.decided: refpix.SplineChoice | None = None

    def decide(self, model: RampModel) -> refpix.SplineChoice:
        """Return the choice of "auto" for a ramp, made from its first integrations."""
        first = slice(count_deciding(model.data.shape))
        unusable = unusable_reads(models.group_flags(model)[first], model.pixeldq)
        reads = model.data[first, ..., : refpix.N_OUTPUTS]
        return refpix.choose_smoothing(reads, unusable, odd_even_rows=self.odd_even_rows)

    def process(self, input_data):
        """Return the ramp without the drift of its outputs."""
        length = self._length()
        model = self.open_input(input_data, RampModel)
        first_column = (model.meta.subarray.xstart or 1) - 1
        if first_column != 0 or model.data.shape[-1] < refpix.N_OUTPUTS:
            raise InputError(
                f"{models.describe(model)}: columns {first_column} to {first_column + model.data.shape[-1] - 1} of the "
                f"detector; the reference columns 0 to {refpix.N_OUTPUTS - 1} are needed",
                first_column=first_column,
            )
        reads = model.data[..., : refpix.N_OUTPUTS]
        measured = refpix.measure_reference_drift(
            reads,
            unusable_reads(models.group_flags(model), model.pixeldq),
            smoothing_length=length,
            smoothing=self.smoothing,
            odd_even_rows=self.odd_even_rows,
            chosen=(self.decided or self.decide(model)) if self.smoothing == "auto" else None,
        )
        if self.draw_correction:
            from detectorist.figures.refpix import draw_reference_correction

            self.draw(lambda: draw_reference_correction(np.asarray(reads[0]), measured.drift[0]), model)
        model.data = refpix.subtract_reference_drift(model.data, measured.drift, out=models.place_for(model.data))
        length_rows = None if measured.length_rows is None else round(float(measured.length_rows), 1)
        over = "whole columns" if length_rows is None else f"{length_rows:g} rows"
        drift_rms = float(measured.drift.std())
        return self.complete(
            model,
            f"drift of {drift_rms:.2f} DN rms subtracted ({measured.estimator} over {over}), "
            f"noise added {measured.noise_dn:.2f} DN",
            estimator=measured.estimator,
            length_rows=length_rows,
            drift_rms_dn=drift_rms,
            correction_noise_dn=measured.noise_dn,
            read_noise_dn=measured.read_noise_dn / np.sqrt(2),
            reads_rejected=measured.n_rejected,
            columns_unmeasured=measured.n_unmeasured,
        )

    def _length(self) -> int | None:
        length = parse_value(self.smoothing_length)
        if length is None:
            return None
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise ParameterError(
                f"smoothing_length is {self.smoothing_length!r}: a number of rows, 1 or more, or None is needed",
                parameter="smoothing_length",
            )
        if self.smoothing == "auto":
            raise ParameterError(
                f'smoothing_length is {length}, but smoothing "auto" chooses the length itself: leave it out',
                parameter="smoothing_length",
            )
        return int(length)


def unusable_reads(groupdq: np.ndarray, pixeldq: np.ndarray | None) -> np.ndarray:
    """Return which reads of the reference columns must not be used, shape (n_ints, n_groups, ny, 4).

    Pixels flagged DO_NOT_USE, groups flagged so, saturated ones, and all groups from a jump on: after it the pixel is
    offset from its first group. A group that is DO_NOT_USE as a whole (dropped on purpose) has good reference reads.
    REFERENCE_PIXEL is no reason to leave out a reference pixel.
    """
    flags = groupdq[..., : refpix.N_OUTPUTS]
    dropped = dq.has(flags, dq.DO_NOT_USE)
    dropped = dropped & ~dropped.all(axis=(2, 3), keepdims=True)
    behind_jump = dq.has(flags, dq.JUMP_DET | dq.SATURATED)
    for group in range(1, behind_jump.shape[1]):  # numpy's accumulate takes several times as long
        behind_jump[:, group] |= behind_jump[:, group - 1]
    unusable = dropped | behind_jump
    if pixeldq is not None and np.shape(pixeldq) == groupdq.shape[-2:]:
        unusable |= dq.has(pixeldq[:, : refpix.N_OUTPUTS], dq.DO_NOT_USE)
    return unusable
