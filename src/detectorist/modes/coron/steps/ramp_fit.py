"""Ramp fitting that can do single pixels again."""

from __future__ import annotations

import numpy as np
from jwst.ramp_fitting.ramp_fit_step import get_reference_file_subarrays
from stcal.ramp_fitting import ramp_fit as stcal_fit
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, RampModel, dqflags

from detectorist import models
from detectorist.reduction.engine_steps import EngineRampFitStep
from detectorist.reduction.engine_steps.base import replaced

#: Arrays of a rate that the fit of a pixel makes, and how the fit calls them.
FITTED = {"data": "slope", "dq": "dq", "var_poisson": "var_poisson", "var_rnoise": "var_rnoise", "err": "err"}


class CoronRampFitStep(EngineRampFitStep):
    """Fit ramps as the stock step does."""

    def refit(self, ramp: RampModel, rate: ImageModel, rateints: CubeModel, changed: np.ndarray) -> None:
        """Fit the ramps of some pixels again, in place of what `rate` and `rateints` hold there.

        changed : ndarray of bool, shape (ny, nx)
        """
        if not changed.any():
            return
        y, x = np.nonzero(changed)
        with (
            datamodels.ReadnoiseModel(self.get_reference_file(ramp, "readnoise")) as readnoise,
            datamodels.GainModel(self.get_reference_file(ramp, "gain")) as gain,
        ):
            readnoise_2d, gain_2d = get_reference_file_subarrays(ramp, readnoise, gain)
            # The last pixel is that of `some_pixels`, which only has flags: any values will do.
            readnoise_1d, gain_1d = (np.append(part[y, x], part[y[0], x[0]])[None] for part in (readnoise_2d, gain_2d))
        arguments = (
            some_pixels(ramp, y, x),
            False,
            readnoise_1d,
            gain_1d,
            self.algorithm,
            self.weighting,
            "1",
            dqflags.pixel,
            self.suppress_one_group,
        )
        if self.engine == "stock":
            image, integrations, _ = stcal_fit.ramp_fit(*arguments)
        else:
            with replaced(*self.place, self._in_engine(getattr(*self.place))):
                image, integrations, _ = stcal_fit.ramp_fit(*arguments)
        for name, fitted in FITTED.items():
            for model, result in ((rate, image), (rateints, integrations)):
                array = np.array(getattr(model, name))
                array[..., y, x] = result[fitted][..., 0, : y.size]
                setattr(model, name, array)


def some_pixels(ramp: RampModel, y: np.ndarray, x: np.ndarray) -> RampModel:
    """Return a ramp of one row with the given pixels, and one more that has only the flags common to all pixels.

    The fit of MIRI leaves out groups that no pixel can use: the last pixel keeps those apart from groups
    that merely none of the chosen pixels can use.
    """
    flags = models.group_flags(ramp)
    common = np.bitwise_and.reduce(flags, axis=(2, 3))
    small = RampModel(data=np.concatenate([ramp.data[:, :, y, x], ramp.data[:, :, :1, 0]], axis=2)[:, :, None])
    small.update(ramp)
    small.groupdq = np.concatenate([flags[:, :, y, x], common[..., None]], axis=2)[:, :, None]
    small.pixeldq = np.append(ramp.pixeldq[y, x], np.uint32(0))[None]
    if ramp.hasattr("average_dark_current") and ramp.average_dark_current is not None:
        dark = ramp.average_dark_current
        small.average_dark_current = np.append(dark[y, x], dark[:1, 0])[None]
    if ramp.hasattr("zeroframe") and ramp.zeroframe is not None and ramp.meta.exposure.zero_frame:
        small.zeroframe = np.concatenate([ramp.zeroframe[:, y, x], ramp.zeroframe[:, :1, 0]], axis=1)[:, None]
    return small
