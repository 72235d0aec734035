"""Subtract 1/f noise from NIRCam rate images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist.algorithms.destripe import Destriped, destripe
from detectorist.algorithms.residuals import measure_row_noise
from detectorist.stage_1.nircam_readout import readout_of
from detectorist.stage_1.rate_images import (
    flat_under,
    naming,
    read_mask,
    refuse_corrected,
    require_honest_size,
    unusable_pixels,
    write_plane,
)
from detectorist.stage_1.subtract_1overf import add_variance, product_of
from detectorist.step import DetectoristStep


class StripesStep(DetectoristStep):
    """Subtract the stripes that 1/f noise of the readout leaves in rates.

    "flicker" estimates the noise on the time line of the readout, with spectrum and strength from the image itself: no
    threshold is chosen. "median" takes clipped medians of rows, output by output, and of columns (CEERS).

    The level of the sky stays. What the correction adds to the variance of a pixel is added to VAR_RNOISE and ERR; a
    pixel that helped to estimate the noise has part of its own subtracted, so that its ERR can fall. The image is
    not flat-fielded: the flat serves to measure.

    The record holds the rms of the means of rows about their neighbours before and after, and what the scatter from
    pixel to pixel explains of it, all on pixels without sources, DN/s.
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

    def process(self, input_data):
        """Return the rate or the rates of all integrations without stripes."""
        kind = CubeModel if product_of(input_data) is CubeModel else ImageModel
        model = self.open_input(input_data, kind)
        require_honest_size(model)
        refuse_corrected(model, "remstriping", "clean_flicker_noise")
        cube = np.asarray(model.data).reshape(-1, *model.data.shape[-2:])
        bad = unusable_pixels(model).reshape(cube.shape)
        mask = None if self.mask_file is None else read_mask(self.mask_file, model)
        flat = flat_under(self, model) if self.apply_flat else None
        with naming(model):
            found = destripe(
                cube,
                bad,
                readout=readout_of(model),
                flat=flat,
                mask=mask,
                method=self.method,
                thresh=self.thresh,
                vertical=self.vertical,
            )
        before = np.array(cube[0]) if self.draw_stripes else None
        rows_before = measure_row_noise(_flattened(cube[0], flat), bad[0] | found.mask)
        self._subtract(model, found, bad)
        first = np.asarray(model.data).reshape(cube.shape)[0]
        rows_after = measure_row_noise(_flattened(first, flat), bad[0] | found.mask)
        self._write(model, found, before)
        rms = float(np.std(found.horizontal[0] + found.vertical[0]))
        return self.complete(
            model,
            f"stripes of {rms:.3g} DN/s rms subtracted ({self.method}), {100 * found.mask.mean():.0f} % masked",
            method=self.method,
            stripes_rms=rms,
            masked_fraction=float(found.mask.mean()),
            rms_common=found.rms_common,
            rms_own=found.rms_own,
            white_noise=found.white,
            **_known(row_rms_before=rows_before.rms, row_rms_after=rows_after.rms, row_rms_white=rows_after.white),
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
            write_plane(self, model, "horiz", found.horizontal.reshape(model.data.shape))
            write_plane(self, model, "vert", found.vertical.reshape(model.data.shape))
        if before is not None:
            from detectorist.figures.stripes import draw_stripes

            after = np.asarray(model.data).reshape(-1, *before.shape)[0]
            self.draw(lambda: draw_stripes(before, after, found.horizontal[0] + found.vertical[0], found.mask), model)
            if self.figure_path is None:
                from detectorist.figures.sources import draw_sources

                self.draw(lambda: draw_sources(before, found.tier), model, name="sources")


def _flattened(image: np.ndarray, flat: np.ndarray | None) -> np.ndarray:
    return image if flat is None else image / flat


def _known(**numbers: float) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items() if np.isfinite(value)}
