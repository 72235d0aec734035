"""Sizes and times of exposures, from headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detectorist.modes.job import ExposureInterval

if TYPE_CHECKING:
    from astropy.io import fits


@dataclass(frozen=True)
class RampSize:
    """Shape of a SCI array, and whose it is; n_groups is 0 for rates."""

    n_ints: int
    n_groups: int
    ny: int
    nx: int
    instrument: str = ""

    @property
    def samples(self) -> int:
        """Number of samples of all ramps; 0 for rates."""
        return self.n_ints * self.n_groups * self.ny * self.nx

    @property
    def pixels(self) -> int:
        """Number of pixels of all integrations."""
        return self.n_ints * self.ny * self.nx


def ramp_size(path: Path) -> RampSize | None:
    """Return the size of a ramp or of rates; None where the file does not tell, as a damaged one."""
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
            header = hdus["SCI"].header
            instrument = str(hdus[0].header.get("INSTRUME", ""))
            axes = [int(header[f"NAXIS{number}"]) for number in range(int(header["NAXIS"]), 0, -1)]
    except (OSError, KeyError, ValueError, TypeError, fits.VerifyError):
        return None
    if not 2 <= len(axes) <= 4 or min(axes) < 1:
        return None
    ny, nx = axes[-2:]
    leading = axes[:-2]
    return RampSize(leading[0] if leading else 1, leading[1] if len(leading) == 2 else 0, ny, nx, instrument)


def read_interval(path: Path) -> ExposureInterval | None:
    """Return detector, start and end of a file; None where it does not tell, as a damaged one."""
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
            header = hdus[0].header
            start, end = _times(hdus) or (float(header["EXPSTART"]), float(header["EXPEND"]))
            found = ExposureInterval(str(header["DETECTOR"]), start, end)
    except (OSError, KeyError, ValueError, TypeError, IndexError, fits.VerifyError):
        return None
    return found if 0 < found.start_mjd <= found.end_mjd else None


def _times(hdus: fits.HDUList) -> tuple[float, float] | None:
    """Return start and end of the integrations in a segment, where the table of their times tells them."""
    if "INT_TIMES" not in hdus or not len(hdus["INT_TIMES"].data):
        return None
    table = hdus["INT_TIMES"].data
    start, end = float(table["int_start_MJD_UTC"].min()), float(table["int_end_MJD_UTC"].max())
    return (start, end) if 0 < start < end < 1e6 else None
