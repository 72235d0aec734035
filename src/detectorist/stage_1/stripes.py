"""Subtract 1/f noise from NIRCam rate images, rates of integrations, and ramps."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.flicker.destripe import Destriped, destripe
from detectorist.algorithms.flicker.destripe_groups import destripe_ramps
from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise, scale_noise
from detectorist.algorithms.images.large_events import levels_of_events
from detectorist.algorithms.images.residuals import measure_row_noise
from detectorist.parameters import require_path
from detectorist.stage_1.nircam_readout import readout_of, times_of_groups
from detectorist.stage_1.rate_images import (
    flat_under,
    naming,
    other_ramps,
    read_mask,
    refuse_corrected,
    require_honest_size,
    unusable_pixels,
    write_plane,
)
from detectorist.stage_1.subtract_1overf import add_variance, product_of
from detectorist.step import DetectoristStep

log = logging.getLogger(__name__)


class StripesStep(DetectoristStep):
    """Subtract the stripes that 1/f noise leaves in rates, or in the groups of ramps.

    "flicker" estimates the noise on the time line of the readout, with spectrum and strength from the image itself: no
    threshold is chosen. "median" takes clipped medians of rows, output by output, and of columns (CEERS).

    The level of the sky changes only by the noise of whole outputs, where reference pixels beside the rows have it as
    well. The variance added by the correction is included in VAR_RNOISE and ERR; part of the noise of a pixel used in
    the estimate is subtracted, so that its ERR can decrease. The image is not flat-fielded: the flat is used only to
    measure.

    On ramps, between jump detection and ramp fitting, pixels with jumps are corrected as well, by the noise of just the
    groups that are fitted. Ramps have no ERR: the variance that the correction adds to slopes, (DN/s)**2, is kept as
    `rate_variance` (n_ints, ny, nx) and `mean_variance` (ny, nx) of the step, for the ramp fit.

    The record holds the rms of the means of rows about their neighbours before and after, and the value expected from
    the scatter from pixel to pixel, all on pixels without sources, DN/s.
    """

    class_alias = "stripes"
    instruments: ClassVar = ("NIRCAM",)
    subtracts: ClassVar = True
    reference_file_types: ClassVar = ["flat"]

    spec = """
        method = option("flicker", "median", default="flicker")  # in readout time, or medians of rows and columns
        thresh = float(min=0.0, max=1.0, default=0.8)  # median: masked part of an output's row that takes the whole row
        vertical = boolean(default=True)  # flicker: also subtract an offset of each column
        apply_flat = boolean(default=True)  # measure on the flat-fielded image
        mask_file = string(default=None)  # FITS image, not zero on sources; by default they are detected
        save_mask = boolean(default=False)  # write <input>_1fmask.fits
        save_patterns = boolean(default=False)  # write <input>_horiz.fits and <input>_vert.fits
        draw_stripes = boolean(default=False)  # draw the image before and after, and the source mask
    """

    def require_possible(self) -> None:
        """Refuse a mask that is not there."""
        require_path(self.mask_file, name="stripes.mask_file")

    def process(self, input_data):
        """Return the rate, the rates of all integrations or the ramps without stripes."""
        kind = product_of(input_data)
        model = self.open_input(input_data, kind)
        require_honest_size(model)
        refuse_corrected(model, "remstriping", "clean_flicker_noise")
        settings = {
            "readout": readout_of(model),
            "flat": flat_under(self, model) if self.apply_flat else None,
            "mask": None if self.mask_file is None else read_mask(self.mask_file, model),
            "method": self.method,
            "thresh": self.thresh,
            "vertical": self.vertical,
        }
        if kind is RampModel:
            return self._of_ramps(model, settings)
        cube = np.asarray(model.data).reshape(-1, *model.data.shape[-2:])
        bad = unusable_pixels(model).reshape(cube.shape)
        with naming(model):
            reference = dq.has(models.flags(model), dq.REFERENCE_PIXEL).reshape(cube.shape).any(axis=0)
            events = other_ramps(model).reshape(cube.shape)
            unlike = bad | events
            found = destripe(cube, unlike, reference=reference, group_noise=self._group_noise(model), **settings)
        if not getattr(self.parent, "ramps_alike", False):
            level_events(cube, found, events, bad, settings["readout"])
        before = np.where(bad[0], np.nan, cube[0]) if self.draw_stripes else None
        rows = self._rows(cube[0], unlike[0], found, settings["flat"])
        self._subtract(model, found, bad)
        rows["rms_in_outputs"] = rms_in_outputs(found.horizontal[0], settings["readout"])
        return self._finish_with(model, found, before, rows)

    def _group_noise(self, model) -> FlickerNoise | None:
        """Return the noise of every image as the pipeline's ramps told it, None without ramps."""
        of_integration = getattr(self.parent, "group_noise", None)
        if of_integration is None or model.data.ndim > 2:
            return of_integration
        return scale_noise(of_integration, 1 / (model.meta.exposure.nints or 1))

    def _of_ramps(self, model, settings):
        bad = dq.has(model.pixeldq, dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        with naming(model):
            ramps = destripe_ramps(model.data, models.group_flags(model), times_of_groups(model), bad, **settings)
        found = ramps.slopes
        ramps.stripes[:, :, bad] = 0
        model.data = np.subtract(model.data, ramps.stripes, out=ramps.stripes)
        self.rate_variance = np.where(bad, 0, found.variance_change)
        self.mean_variance = self.rate_variance.mean(axis=0) / len(self.rate_variance)
        rate = ramps.rates[0]
        rows = self._rows(rate, ~np.isfinite(rate), found, settings["flat"])
        rows["rms_in_outputs"] = rms_in_outputs(found.horizontal[0], settings["readout"])
        return self._finish_with(model, found, rate if self.draw_stripes else None, rows)

    def _rows(self, image: np.ndarray, bad: np.ndarray, found: Destriped, flat: np.ndarray | None) -> dict[str, float]:
        """Return the noise of rows before and after, as far as it can be measured."""
        mask, divisor = bad | found.mask, 1 if flat is None else flat
        before = measure_row_noise(image / divisor, mask)
        after = measure_row_noise((image - found.horizontal[0] - found.vertical[0]) / divisor, mask)
        numbers = {"row_rms_before": before.rms, "row_rms_after": after.rms, "row_rms_white": after.white}
        return {name: float(value) for name, value in numbers.items() if np.isfinite(value)}

    def _finish_with(self, model, found: Destriped, before: np.ndarray | None, rows: dict[str, float]):
        self._write(model, found, before)
        rms = float(np.std(found.horizontal[0] + found.vertical[0]))
        if found.rms_unsure is not None:
            log.warning(
                "%s: light fills most of the frame and cannot be separated from slow 1/f noise: the level of rows is "
                "uncertain by about %.2g DN/s",
                models.describe(model),
                found.rms_unsure,
            )
        return self.complete(
            model,
            f"stripes of {rms:.3g} DN/s rms subtracted ({self.method}), {100 * found.mask.mean():.0f} % masked",
            method=self.method,
            stripes_rms=rms,
            masked_fraction=float(found.mask.mean()),
            rms_common=found.rms_common,
            rms_own=found.rms_own,
            white_noise=found.white,
            **rows,
            **({} if found.rms_unsure is None else {"slow_rms_unsure": found.rms_unsure}),
        )

    def _subtract(self, model, found: Destriped, bad: np.ndarray) -> None:
        """Subtract from pixels that hold data: reference pixels and pixels without value stay as they are."""
        shape = model.data.shape
        total = found.horizontal + found.vertical
        total[bad] = 0
        model.data = np.asarray(model.data) - total.reshape(shape)
        del total
        change = found.variance_change
        change[bad] = 0
        add_variance(model, change.reshape(shape))

    def _write(self, model, found: Destriped, before: np.ndarray | None) -> None:
        if self.save_mask:
            write_plane(self, model, "1fmask", found.tier)
        if self.save_patterns:
            for name, pattern in (("horiz", found.horizontal), ("vert", found.vertical)):
                write_plane(self, model, name, pattern if len(pattern) > 1 else pattern[0])
        if before is not None:
            from detectorist.figures.stripes import draw_stripes

            stripes = found.horizontal[0] + found.vertical[0]
            self.draw(lambda: draw_stripes(before, before - stripes, stripes, found.mask), model)
            if self.figure_path is None:
                from detectorist.figures.sources import draw_sources

                self.draw(lambda: draw_sources(before, found.tier), model, name="sources")


def rms_in_outputs(pattern: np.ndarray, readout: Readout) -> float:
    """Return the standard deviation of a pattern (ny, nx) about the mean of each output, whose level is no stripe."""
    parts = [pattern[:, first:last] for first, last, _ in readout.outputs]
    return float(np.sqrt(np.mean([part.var(dtype=float) for part in parts])))


def level_events(cube: np.ndarray, found: Destriped, events: np.ndarray, bad: np.ndarray, readout: Readout) -> None:
    """Add to the pattern, in place, by how much regions of large events (bool, as `cube`) differ from their output."""
    for index in np.flatnonzero(events.any(axis=(1, 2))):
        left = cube[index] - found.horizontal[index] - found.vertical[index]
        unseen = bad[index] | found.mask
        for first, last, _ in readout.outputs:
            part = np.s_[:, first:last]
            found.horizontal[index][part] += levels_of_events(left[part], events[index][part], unseen[part])
