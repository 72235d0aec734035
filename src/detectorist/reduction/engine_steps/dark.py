"""The dark step, in the engine."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
from astropy.io.fits import HDUList
from jwst.dark_current.dark_current_step import DarkCurrentStep
from stcal.dark_current import dark_sub
from stdatamodels.jwst.datamodels import DarkModel, RampModel

from detectorist.fits_files import floats_in_pieces, opened
from detectorist.reduction.engine_steps.base import EngineStep

log = logging.getLogger(__name__)

#: Extensions of a dark that are large and not read as a whole, or refer to these.
NOT_NEEDED = ("SCI", "ERR", "ASDF")


class EngineDarkCurrentStep(EngineStep, DarkCurrentStep):
    """Subtract the dark as `DarkCurrentStep` does, without the two copies of the ramp that it makes.

    A dark of the read pattern of the exposure is read a few rows at a time. Others are averaged by standard code.
    """

    stock: ClassVar = DarkCurrentStep
    place: ClassVar = (dark_sub, "subtract_dark")

    def process(self, step_input: Any) -> Any:
        """Return the ramps without dark."""
        if self.engine == "stock" or self.dark_output is not None:
            return super().process(step_input)
        ramps = self.prepare_output(step_input, open_as_type=RampModel)
        name = self.get_reference_file(ramps, "dark")
        if name == "N/A" or not self._subtract_in_pieces(ramps, name):
            return super().process(ramps)
        return ramps

    def _subtract_in_pieces(self, ramps: RampModel, name: str) -> bool:
        """Subtract a dark in place and return whether this could be done: nothing has changed where it could not."""
        data = np.asarray(ramps.data)
        if data.dtype != np.float32 or not data.dtype.isnative or ramps.meta.instrument.name == "MIRI":
            return False
        with opened(name, "a dark") as hdus:
            names = [hdu.name for hdu in hdus]
            pieces = floats_in_pieces(hdus["SCI"], data.shape[1:]) if {"SCI", "DQ"} <= {*names} else None
            if pieces is None:
                return False
            others = HDUList([hdu for hdu in hdus if hdu.name not in NOT_NEEDED])
            with DarkModel(others) as dark:
                told = (one.meta.exposure for one in (ramps, dark))
                patterns = {(one.nframes, one.groupgap) for one in told}
                if len(patterns) > 1 or None in min(patterns) or dark.dq.shape != ramps.pixeldq.shape:
                    return False
                log.info("Using DARK reference file %s", name)
                self.set_average_dark_current(ramps, dark)
                ramps.pixeldq = np.bitwise_or(ramps.pixeldq, dark.dq)
            for group, rows, values in pieces:
                values[np.isnan(values)] = 0
                for ramp in data:
                    ramp[group, rows] -= values
        ramps.meta.cal_step.dark_sub = "COMPLETE"
        log.info("%s: read in pieces", self.class_alias)
        return True

    @staticmethod
    def covered(science_data, dark_data) -> Any:
        """Do what stcal's `subtract_dark` does: the science data, the dark subtracted in place, flags combined."""
        dark, flags = dark_data.data, dark_data.groupdq
        if dark.ndim == 4:  # MIRI: the first integrations have their own dark, the last dark serves all others
            flags = np.bitwise_or.reduce(flags[:, 0], axis=0)
            first = science_data.exp_intstart in (None, 1)
        science_data.pixeldq = np.bitwise_or(science_data.pixeldq, flags)
        for i in range(len(science_data.data)):
            own = dark if dark.ndim == 3 else dark[i if first and i < len(dark) else -1]
            science_data.data[i] -= own[: science_data.data.shape[1]]
        return science_data

    def prepare_engine(self) -> None:
        """Do nothing: this step needs no compiled kernel."""
