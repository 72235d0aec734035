"""Sizes and times of exposures, from headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detectorist.errors import InputError
from detectorist.fits_files import opened, read_keywords
from detectorist.modes.job import ExposureInterval

if TYPE_CHECKING:
    from astropy.io.fits import HDUList


@dataclass(frozen=True)
class RampSize:
    """Shape of a SCI array, and its exposure; n_groups is 0 for rates."""

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
    """Return the size of a ramp or of rates; None if it cannot be read from the file."""
    try:
        keywords = read_keywords(path)
        axes, instrument = keywords.axes, keywords.text("INSTRUME") or ""
    except InputError:
        return None
    if not 2 <= len(axes) <= 4 or min(axes) < 1:
        return None
    ny, nx = axes[-2:]
    leading = axes[:-2]
    return RampSize(leading[0] if leading else 1, leading[1] if len(leading) == 2 else 0, ny, nx, instrument)


def read_interval(path: Path) -> ExposureInterval | None:
    """Return detector, start and end of a file; None where it does not tell, as a damaged one."""
    try:
        with opened(path) as hdus:
            times = _times(hdus)
        keywords = read_keywords(path)
        start, end = times or (keywords.number("EXPSTART"), keywords.number("EXPEND"))
        detector = keywords.text("DETECTOR")
    except InputError:
        return None
    if start is None or end is None or detector is None:
        return None
    found = ExposureInterval(detector, start, end)
    return found if 0 < found.start_mjd <= found.end_mjd else None


def _times(hdus: HDUList) -> tuple[float, float] | None:
    """Return start and end of the integrations in a segment, where the table of their times tells them."""
    if "INT_TIMES" not in hdus or not len(hdus["INT_TIMES"].data):
        return None
    table = hdus["INT_TIMES"].data
    start, end = float(table["int_start_MJD_UTC"].min()), float(table["int_end_MJD_UTC"].max())
    return (start, end) if 0 < start < end < 1e6 else None
