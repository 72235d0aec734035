"""Properties of an exposure for the NIRCam steps on ramps: times of groups, order of readout, saturation level."""

from __future__ import annotations

import numpy as np
from jwst.stpipe import Step
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms.flicker.smoother import Readout, alternating_readout
from detectorist.algorithms.ramps.ktc import group_times
from detectorist.errors import InputError


def times_of_groups(model: RampModel) -> np.ndarray:
    """Return the mean time (s) of each group since the reset, shape (n_groups,).

    Raises
    ------
    InputError
        When the header has no group time.
    """
    exposure = model.meta.exposure
    if not exposure.group_time or exposure.group_time <= 0:
        raise InputError(f"{models.describe(model)}: TGROUP is {exposure.group_time}; the time per group is needed")
    return group_times(
        model.data.shape[1],
        group_time_s=exposure.group_time,
        frame_time_s=exposure.frame_time or None,
        n_frames=exposure.nframes or 1,
    )


def readout_of(model: JwstDataModel) -> Readout:
    """Return the order of readout: four outputs on a full frame, one on a subarray unless NOUTPUTS says more."""
    nx = model.data.shape[-1]
    name = (model.meta.subarray.name or "").upper()
    n_outputs = model.meta.exposure.noutputs or (4 if "FULL" in name else 1)
    if nx % n_outputs:
        raise InputError(f"{models.describe(model)}: {nx} columns cannot be shared by NOUTPUTS = {n_outputs}")
    return alternating_readout(
        nx,
        n_outputs,
        fast_direction=-1 if (model.meta.subarray.fastaxis or 1) < 0 else 1,
        slow_direction=-1 if (model.meta.subarray.slowaxis or 2) < 0 else 1,
    )


def saturation_level(step: Step, model: RampModel) -> np.ndarray | None:
    """Return the saturation level (DN, NaN where not checked) under the model, or None where there is no reference."""
    name = step.get_reference_file(model, "saturation")
    if name == "N/A":
        return None
    with datamodels.SaturationModel(name) as reference:
        start = (reference.meta.subarray.xstart or 1, reference.meta.subarray.ystart or 1)
        return np.array(models.on_subarray(reference.data, model, start))
