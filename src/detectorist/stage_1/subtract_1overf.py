"""Subtract 1/f noise from coronagraphic exposures, without the light of the star."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.flicker.one_over_f import StripeStack, stripes_of_integrations, stripes_of_ramps
from detectorist.algorithms.flicker.weighted_slopes import WeightedSlopes, stripes_of_weights
from detectorist.stage_1.nircam_readout import readout_of, saturation_level, times_of_groups
from detectorist.step import DetectoristStep

#: A pixel's variance is not brought below this part of what it was: the noise of a pixel is never all 1/f.
LEAST_VARIANCE = 0.2


class SubtractOneOverFStep(DetectoristStep):
    """Subtract the stripes of 1/f noise from ramps, from the rates of each integration, or from a single rate image.

    Differences between integrations are noise, even where the star is bright; the stripes that all
    integrations share are separated from the star by their shape. The variance added by a correction of rates is
    included in VAR_RNOISE and ERR. Ramps have no ERR: there the variance, (DN/s)**2, is kept as `rate_variance`
    (n_ints, ny, nx) and `mean_variance` (ny, nx) of the step, for the ramp fit. The subtracted stripes are kept as its
    `stripes`.
    """

    class_alias = "subtract_1overf"
    instruments: ClassVar = ("NIRCAM",)
    subtracts: ClassVar = True
    reference_file_types: ClassVar = ["saturation"]
    #: How rates of integrations were made of groups, where known: bright pixels hold 1/f noise that faint ones do not.
    slopes: WeightedSlopes | None = None

    spec = """
        model_type = option("flicker", "savgol", "median", "mean", default="flicker")  # how stripes are told
        sat_frac = float(min=0.0, max=1.0, default=0.5)  # on ramps: groups above this part of saturation are left out
        combine_ints = boolean(default=True)  # one star for all integrations; False: each integration by itself
        vertical_corr = boolean(default=True)  # also subtract an offset of each column
        draw_stripes = boolean(default=False)  # draw the last image (or group) of the first integration
    """

    def process(self, input_data):
        """Return the ramps, rates or rate without stripes."""
        model = self.open_input(input_data, product_of(input_data))
        settings = {
            "readout": readout_of(model),
            "model_type": self.model_type,
            "combine_ints": self.combine_ints,
            "vertical_corr": self.vertical_corr,
        }
        found = self._of_ramps(model, settings) if model.data.ndim == 4 else self._of_rates(model, settings)
        if not found.measured.any():
            return self.skip_because(model, "too few usable pixels in every image")
        self.rate_variance, self.mean_variance, self.stripes = found.variance, found.mean_variance, found.stripes
        unmeasured = int((~found.measured).sum())
        stripes = found.stripes[found.measured]
        rms, rows_rms = float(stripes.std()), float(stripes.mean(axis=-1).std())
        unit = "DN" if model.data.ndim == 4 else "DN/s"
        if self.draw_stripes:
            from detectorist.figures.one_over_f import draw_coronagraphic_stripes

            shape = model.data.shape[-2:]
            after = np.asarray(model.data[0] if model.data.ndim > 2 else model.data).reshape(-1, *shape)[-1]
            stripes = found.stripes[0].reshape(-1, *shape)[-1]
            self.draw(lambda: draw_coronagraphic_stripes(after + stripes, stripes, unit=unit), model)
        return self.complete(
            model,
            f"stripes of {rms:.3g} {unit} rms subtracted ({self.model_type}), {unmeasured} images left alone",
            stripes_rms=rms,
            unit=unit,
            rows_rms=rows_rms,
            model_type=self.model_type,
            images_unmeasured=unmeasured,
        )

    def _of_ramps(self, model: JwstDataModel, settings) -> StripeStack:
        unusable = dq.has(model.pixeldq, dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        if model.data.shape[1] < 2:
            mask = unusable | dq.has(models.group_flags(model)[:, 0], dq.DO_NOT_USE | dq.SATURATED)
            found = stripes_of_integrations(model.data[:, 0], mask, **settings)
            model.data = model.data - found.stripes[:, None]
            return found
        found = stripes_of_ramps(
            model.data,
            models.group_flags(model),
            times_of_groups(model),
            unusable,
            saturation=saturation_level(self, model),
            sat_frac=self.sat_frac,
            **settings,
        )
        model.data = model.data - found.stripes
        return found

    def _of_rates(self, model: JwstDataModel, settings) -> StripeStack:
        single = model.data.ndim == 2
        cube = model.data[None] if single else model.data
        flags = models.flags(model)
        mask = dq.has(flags[None] if single else flags, dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        found = self._of_integrations(np.asarray(cube), mask, settings)
        model.data = model.data - (found.stripes[0] if single else found.stripes)
        add_variance(model, found.variance[0] if single else found.variance)
        return found

    def _of_integrations(self, cube: np.ndarray, mask: np.ndarray, settings) -> StripeStack:
        """Take off what bright pixels have beyond faint ones, where known, before what all share."""
        if self.slopes is None:
            return stripes_of_integrations(cube, mask, **settings)
        known = {name: settings[name] for name in ("readout", "model_type", "vertical_corr")}
        beyond = stripes_of_weights(self.slopes, mask.all(axis=0), **known)
        found = stripes_of_integrations(cube - beyond.stripes, mask, **settings)
        return replace(
            found,
            stripes=found.stripes + beyond.stripes,
            variance=found.variance + beyond.variance,
            mean_variance=found.mean_variance + beyond.variance.sum(axis=0) / np.float32(len(cube) ** 2),
        )


def product_of(input_data) -> type[JwstDataModel]:
    """Return the class for ramps, rates or a rate, by the dimensions of the data; ramps where that is not clear."""
    shape = None
    if isinstance(input_data, JwstDataModel):
        shape = input_data.shape
    elif isinstance(input_data, str | Path) and Path(input_data).is_file():
        with datamodels.open(input_data) as found:
            shape = found.shape
    return {3: CubeModel, 2: ImageModel}.get(len(shape or ()), RampModel)


def add_variance(model: JwstDataModel, change: np.ndarray) -> None:
    """Add the variance of a correction to VAR_RNOISE and ERR of rates; unknown values stay unknown."""
    err = np.asarray(models.errors(model), np.float32)
    before = err**2
    change = np.maximum(change, (LEAST_VARIANCE - 1) * before)
    known = np.isfinite(before) & (before > 0)
    model.err = np.where(known, np.sqrt(np.where(known, before + change, 1.0)), err).astype(np.float32)
    read = getattr(model, "var_rnoise", None)
    if read is not None and np.shape(read) == model.data.shape:
        model.var_rnoise = np.where(known, np.maximum(read + change, 0), read).astype(np.float32)
