"""Flag outliers across integrations."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.outliers import flag_outliers, groups_of_outliers
from detectorist.errors import InputError
from detectorist.stage_1.subtract_1overf import product_of
from detectorist.step import DetectoristStep


class RateintsOutliersStep(DetectoristStep):
    """Flag pixels of one integration that differ from the same pixels of all others.

    Given rates of integrations, flags them there (OUTLIER and DO_NOT_USE). Given a ramp and the rates
    fitted to it, flags the ramp: JUMP_DET in the group where a single step makes the outlier, so that the rest of the
    ramp is still used, and DO_NOT_USE in all groups if no single step does. `flagged` (n_ints, ny, nx) is kept on the
    step.
    """

    class_alias = "apply_rateints_outliers"
    instruments: ClassVar = ("NIRCAM", "MIRI")

    spec = """
        sigma_cut = float(min=0.0, default=10.0)  # deviation from the other integrations, in standard deviations
        nint_min = integer(min=3, default=10)  # least number of integrations; with fewer nothing is flagged
        draw_outliers = boolean(default=False)  # draw the positions and integrations of the outliers
    """

    def process(self, input_data, rateints=None):
        """Return the ramp or the rates with outliers flagged.

        rateints : CubeModel, optional
            Rates fitted to the ramp; needed with a ramp.
        """
        kind = product_of(input_data)
        model = self.open_input(input_data, kind if kind is not RampModel else RampModel)
        if model.data.ndim == 2:
            raise InputError(f"{models.describe(model)}: a single rate; {self.class_alias} compares integrations")
        rates = self._rates(model, rateints)
        n_ints = len(rates.data)
        self.flagged = np.zeros(rates.data.shape, bool)
        if n_ints < self.nint_min:
            return self.skip_because(model, f"{n_ints} integrations, {self.nint_min} are needed", n_ints=n_ints)
        # MIRI's first integration starts from another state of the detector than the rest.
        standard = np.arange(n_ints) >= (model.meta.instrument.name == "MIRI" and n_ints > self.nint_min)
        self.flagged = flag_outliers(
            np.asarray(rates.data),
            models.errors(rates),
            dq.has(models.flags(rates), dq.DO_NOT_USE),
            sigma_cut=self.sigma_cut,
            nint_min=self.nint_min,
            standard=standard,
        ).flagged
        n_steps = self._flag(model)
        n_flagged = int(self.flagged.sum())
        if self.draw_outliers:
            from detectorist.figures.rateints_outliers import draw_rateints_outliers

            self.draw(lambda: draw_rateints_outliers(np.asarray(rates.data), self.flagged), model)
        return self.complete(
            model,
            f"{n_flagged} outliers across {n_ints} integrations flagged",
            outliers=n_flagged,
            outliers_in_one_group=n_steps,
            n_ints=n_ints,
        )

    def _rates(self, model: JwstDataModel, rateints) -> JwstDataModel:
        if model.data.ndim == 3:
            return model
        if rateints is None:
            raise InputError(f"{models.describe(model)}: a ramp needs the rates fitted to it as second argument")
        rates = models.open_as(rateints, CubeModel, copy=False)
        if rates.data.shape != (model.data.shape[0], *model.data.shape[-2:]):
            raise InputError(
                f"{models.describe(rates)}: shape {rates.data.shape} is not that of the rates of "
                f"{models.describe(model)} {model.data.shape}"
            )
        return rates

    def _flag(self, model: JwstDataModel) -> int:
        if model.data.ndim == 3:
            model.dq = dq.add(models.flags(model), self.flagged, dq.OUTLIER | dq.DO_NOT_USE)
            return 0
        flags = models.group_flags(model).copy()
        where = np.nonzero(self.flagged)
        group = groups_of_outliers(model.data, flags, where)
        single = group > 0
        i, y, x = (axis[single] for axis in where)
        flags[i, group[single], y, x] |= dq.JUMP_DET
        i, y, x = (axis[~single] for axis in where)
        flags[i, :, y, x] |= dq.DO_NOT_USE
        model.groupdq = flags
        return int(single.sum())
