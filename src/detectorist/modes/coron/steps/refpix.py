"""Reference-pixel correction of NIRCam subarrays without reference pixels."""

from __future__ import annotations

import logging
from typing import Any

from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps.pseudo_refpix import level_error, measure_reference_drift
from detectorist.detectors import NIRCAM
from detectorist.reduction.engine_steps.refpix import EngineRefPixStep
from detectorist.stage_1.nircam_readout import times_of_groups

log = logging.getLogger(__name__)

#: Rows below and above, columns left and right, where an aperture has no reference pixels.
DEFAULT_BORDER = (4, 4, 0, 0)


class CoronRefPixStep(EngineRefPixStep):
    """Correct NIRCam subarrays with the pixels at their edges, and all other exposures as the standard step does.

    Every drift (level, odd and even columns, rows) is subtracted to the extent that the rest of the image follows it;
    see the log. No flag is changed. The mean slope of the level over all integrations looks like sky and stays. It is
    common to all pixels and so not in ERR; its standard error is `level_error_dn_s` in the record.
    """

    spec = """
        nlower = integer(min=0, default=None)  # rows at the bottom; None: the aperture's own reference rows, else 4
        nupper = integer(min=0, default=None)  # rows at the top; None: the aperture's own, else 4
        nleft = integer(min=0, default=None)  # columns at the left; None: the aperture's own, else 0
        nright = integer(min=0, default=None)  # columns at the right; None: the aperture's own, else 0
        nrow_off = integer(min=0, default=0)  # rows between the edge and these rows
        ncol_off = integer(min=0, default=0)  # columns between the edge and these columns
    """

    def process(self, step_input: Any) -> Any:
        """Return the ramp without drifts."""
        result = self.prepare_output(step_input, open_as_ramp=True)
        full = "FULL" in (result.meta.subarray.name or "").upper()
        border = self._border(result)
        if result.meta.instrument.name != "NIRCAM" or full or not any(border.values()):
            return super().process(result)
        unusable = dq.has(models.group_flags(result), dq.DO_NOT_USE | dq.SATURATED | dq.JUMP_DET)
        unusable |= dq.has(result.pixeldq, dq.DO_NOT_USE)
        times = times_of_groups(result)
        drift = measure_reference_drift(
            result.data,
            unusable,
            times,
            **border,
            nrow_off=self.nrow_off,
            ncol_off=self.ncol_off,
            odd_even_columns=self.odd_even_columns,
            side_smoothing_length=self.side_smoothing_length,
            n_outputs=result.meta.exposure.noutputs or 1,
        )
        for what, response in drift.responses.items():
            text = f"{response.weight:.2f} of it subtracted"
            if response.reason:
                text = f"{response.reason}, nothing subtracted"
            log.info("pseudo reference pixels, %s: drift of %.2f DN rms, %s", what, response.drift, text)
        applied = {what: response.weight for what, response in drift.responses.items() if not response.reason}
        if applied:
            result.data = drift.subtract(result.data)
        result.meta.cal_step.refpix = "COMPLETE" if applied else "SKIPPED"
        unknown = level_error(drift, times) if result.data.shape[1] > 1 else float("nan")
        log.info("a level common to all pixels of the rate is uncertain by %.2f DN/s", unknown)
        numbers = {**border, "weights": applied, "level_error_dn_s": unknown}
        models.record_step(result, "refpix", result.meta.cal_step.refpix, numbers)
        return result

    def _border(self, model: RampModel) -> dict[str, int]:
        """Return how many rows and columns to use: as asked for, else the aperture's own, else the default."""
        own = reference_border(model)
        usual = own if any(own) else DEFAULT_BORDER
        names = ("nlower", "nupper", "nleft", "nright")
        asked = {name: getattr(self, name) for name in names}
        return {name: usual[k] if asked[name] is None else asked[name] for k, name in enumerate(names)}


def reference_border(model: RampModel) -> tuple[int, int, int, int]:
    """Return how many of the detector's reference rows and columns a subarray contains: lower, upper, left, right."""
    detector = NIRCAM.get(model.meta.instrument.detector)
    subarray = model.meta.subarray
    if detector is None or None in (subarray.xstart, subarray.ystart):
        return (0, 0, 0, 0)
    ny, nx = model.data.shape[-2:]
    width = detector.n_reference_pix
    below, left = subarray.ystart - 1, subarray.xstart - 1
    above, right = detector.n_rows - below - ny, detector.n_cols - left - nx
    return tuple(max(0, width - distance) for distance in (below, above, left, right))
