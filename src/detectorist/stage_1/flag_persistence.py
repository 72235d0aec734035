"""Flag persistence: pixels that saturated in an earlier exposure and still release charge."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms.ramps.persistence import find_saturated, flag_glow
from detectorist.fits_files import opened
from detectorist.step import DetectoristStep
from detectorist.times import SECONDS_PER_DAY, integration_times

#: Extension and columns of the table of saturated pixels: place on the detector from 0, end of the saturation.
EXTENSION = "SATURATED"
TABLE_DTYPE = np.dtype([("ROW", "<i2"), ("COLUMN", "<i2"), ("END_MJD", "<f8")])


class FlagPersistenceStep(DetectoristStep):
    """Exclude groups affected by persistence, in pixels that saturated earlier on the same detector.

    Saturated stars and cores of snowballs fill traps, which release charge for 2500 to 4000 s. Groups
    that begin within that time after the end of the integration in which a pixel saturated get DO_NOT_USE, the pixel
    gets PERSISTENCE. Belongs between jump detection (and the search for snowballs) and the ramp fit.

    A campaign with `persistence_time` runs this step, in the order of time. The pixels that saturate in this exposure
    are left in `saturated`, for the next one.
    """

    class_alias = "flag_persistence"
    instruments: ClassVar = ("NIRCAM",)

    spec = """
        earlier = string(default=None)  # FITS table of pixels that saturated earlier: ROW, COLUMN (from 0), END_MJD
        persistence_time = float(min=0.0, default=4000.0)  # how long such a pixel is affected, s
        exclude = boolean(default=True)  # exclude the affected groups from the fit; else only flag the pixel
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.saturated = np.empty(0, TABLE_DTYPE)

    def process(self, input_data):
        """Return the ramps with flags."""
        model = self.open_input(input_data, RampModel)
        table = integration_times(model).table
        flags = models.group_flags(model)
        self.saturated = _saturated_pixels(model, flags, table["int_end_MJD_UTC"])
        earlier = np.empty(0, TABLE_DTYPE) if self.earlier is None else read_saturated(Path(self.earlier))
        rows, columns, until = _inside(model, earlier)
        start = table["int_start_MJD_UTC"][:, None] * SECONDS_PER_DAY
        starts = start + np.arange(flags.shape[1]) * (model.meta.exposure.group_time or 0.0)
        pixeldq = model.pixeldq if model.pixeldq is not None else np.zeros(flags.shape[-2:], np.uint32)
        found = flag_glow(
            flags,
            pixeldq,
            rows,
            columns,
            until * SECONDS_PER_DAY + self.persistence_time,
            group_start_s=starts,
            exclude=self.exclude,
        )
        model.groupdq, model.pixeldq = found.groupdq, found.pixeldq
        return self.complete(
            model,
            f"{found.n_pixels} pixels have persistence from earlier exposures, {found.n_lost} of them in all groups; "
            f"{len(self.saturated)} saturate in this one",
            n_glowing=found.n_pixels,
            n_lost=found.n_lost,
            n_saturated=len(self.saturated),
            n_earlier=len(earlier),
        )


def read_saturated(path: Path) -> np.ndarray:
    """Return a table of saturated pixels with the columns of TABLE_DTYPE.

    Raises
    ------
    InputError
        When the file is not such a table.
    """
    with opened(path, "a table of saturated pixels") as hdus:
        found = hdus[EXTENSION].data
        table = np.empty(len(found), TABLE_DTYPE)
        for name in TABLE_DTYPE.names:
            table[name] = found[name]
        return table


def _corner(model: RampModel) -> tuple[int, int]:
    """Return row and column of the detector, from 0, under the first pixel."""
    subarray = model.meta.subarray
    return (subarray.ystart or 1) - 1, (subarray.xstart or 1) - 1


def _saturated_pixels(model: RampModel, flags: np.ndarray, ends: np.ndarray) -> np.ndarray:
    rows, columns, last = find_saturated(flags)
    y0, x0 = _corner(model)
    table = np.empty(len(rows), TABLE_DTYPE)
    table["ROW"], table["COLUMN"], table["END_MJD"] = rows + y0, columns + x0, ends[last]
    return table


def _inside(model: RampModel, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns (of the array) and end (MJD) of the earlier pixels that this subarray shows."""
    y0, x0 = _corner(model)
    rows, columns = earlier["ROW"].astype(int) - y0, earlier["COLUMN"].astype(int) - x0
    ny, nx = model.data.shape[-2:]
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    return rows[inside], columns[inside], earlier["END_MJD"][inside]
