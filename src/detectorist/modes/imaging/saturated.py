"""Tables of saturated pixels, used to flag persistence in the next exposures on the same detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.io import fits

from detectorist.atomic_files import whole_file
from detectorist.stage_1.flag_persistence import EXTENSION, TABLE_DTYPE, read_saturated

#: Ending of the file that an exposure leaves, after its name.
SUFFIX = "_saturated.fits"


def write_saturated(table: np.ndarray, target: Path) -> Path:
    """Write a table of TABLE_DTYPE; raises OutputError when it cannot be written."""
    with whole_file(target) as partial:
        hdu = fits.BinTableHDU(table, name=EXTENSION)
        hdu.header["COMMENT"] = "ROW, COLUMN: on the detector, from 0; END_MJD: end of the saturation, UTC"
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(partial)
    return target


def join_saturated(sources: Sequence[Path]) -> np.ndarray:
    """Return one table for several files: each pixel once, with its latest saturation, in order of place."""
    tables = [read_saturated(path) for path in sources]
    table = np.concatenate([np.empty(0, TABLE_DTYPE), *tables])
    table = table[np.lexsort((-table["END_MJD"], table["COLUMN"], table["ROW"]))]
    place = table["ROW"].astype(np.int64) * 65536 + table["COLUMN"]
    return table[np.unique(place, return_index=True)[1]]
