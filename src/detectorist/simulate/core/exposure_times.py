"""When a simulated exposure is taken: its clock, the times of its integrations, and their header keywords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

SECONDS_PER_DAY = 86_400.0
#: Speed of light, au per day.
_LIGHT_AU_DAY = 173.144632674
#: The observatory circles the point L2, farther from the Sun than Earth by this part of the distance between them.
_L2_FRACTION = 0.01
_AU_KM = 149_597_870.7


@dataclass(frozen=True)
class Clock:
    """When the integrations of an exposure begin and end: one reset frame before each.

    Attributes
    ----------
    start_mjd : float
        Start of the exposure, MJD UTC: the reset frame of the first integration.
    frame_time_s : float
        s
    n_groups, n_ints : int
        Of the whole exposure.
    n_frames, n_skipped : int
        Frames averaged per group, and skipped between groups.
    """

    start_mjd: float
    frame_time_s: float
    n_groups: int
    n_ints: int
    n_frames: int = 1
    n_skipped: int = 0

    @property
    def _frames_read(self) -> int:
        return self.n_groups * (self.n_frames + self.n_skipped) - self.n_skipped

    @property
    def group_time_s(self) -> float:
        """Time from group to group, s."""
        return (self.n_frames + self.n_skipped) * self.frame_time_s

    @property
    def integration_s(self) -> float:
        """Time from the reset to the last read, s."""
        return self._frames_read * self.frame_time_s

    @property
    def cadence_s(self) -> float:
        """Time from one integration to the next, s."""
        return (self._frames_read + 1) * self.frame_time_s

    @property
    def exposure_s(self) -> float:
        """Time of the whole exposure, s."""
        return self.n_ints * self.cadence_s

    def mid_times_s(self) -> np.ndarray:
        """Return the middles of the integrations after the start of the exposure, shape (n_ints,), s."""
        return (np.arange(self.n_ints) + 1) * self.cadence_s - self.integration_s / 2


def barycentric_mjd(mjd_utc: np.ndarray, ra_deg: float, dec_deg: float) -> np.ndarray:
    """Return barycentric times (TDB, as MJD) of times at the observatory (UTC, MJD).

    Light time from L2 to the barycentre along the line of sight; the orbit about L2 (below 3 s) is left out. Needs no
    file: the position of Earth is from astropy's built-in ephemeris.
    """
    from astropy.time import Time

    time = Time(mjd_utc, format="mjd", scale="utc")
    observatory = sum(_earth_and_beyond(time))
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    toward_star = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    return time.tdb.mjd + toward_star @ observatory.reshape(3, -1) / _LIGHT_AU_DAY


def _earth_and_beyond(time) -> tuple[np.ndarray, np.ndarray]:
    """Return Earth from the barycentre, and the observatory from Earth, (3, ...) each, au."""
    from astropy.coordinates import get_body_barycentric

    earth = get_body_barycentric("earth", time, ephemeris="builtin").xyz.to_value("au")
    sun = get_body_barycentric("sun", time, ephemeris="builtin").xyz.to_value("au")
    return earth, _L2_FRACTION * (earth - sun)


def observatory_km(mjd_utc: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of the observatory relative to the barycentre and to Earth, (3,) each, km."""
    from astropy.time import Time

    earth, beyond = _earth_and_beyond(Time(mjd_utc, format="mjd", scale="utc"))
    return (earth + beyond) * _AU_KM, beyond * _AU_KM


def integration_times(clock: Clock, *, ra_deg: float, dec_deg: float) -> np.ndarray:
    """Return the rows of INT_TIMES for a whole exposure: number from 1, start, middle and end in UTC and in TDB.

    The barycentric columns are days of BJD - 2400000.5, as in the observatory's own files.
    """
    end = clock.start_mjd + (np.arange(clock.n_ints) + 1) * clock.cadence_s / SECONDS_PER_DAY
    start = end - clock.integration_s / SECONDS_PER_DAY
    utc = [start, (start + end) / 2, end]
    tdb = [barycentric_mjd(time, ra_deg, dec_deg) for time in utc]
    moments = ("start", "mid", "end")
    names = ["integration_number"]
    names += [f"int_{m}_{scale}" for scale in ("MJD_UTC", "BJD_TDB") for m in moments]
    table = np.zeros(clock.n_ints, [(names[0], "i4"), *((name, "f8") for name in names[1:])])
    for name, column in zip(names, [np.arange(clock.n_ints) + 1, *utc, *tdb], strict=True):
        table[name] = column
    return table


def segment_bounds(n_ints: int, n_segments: int) -> list[tuple[int, int]]:
    """Return (first, end) of each segment's integrations, from 0, end exclusive: nearly equal, longer first."""
    sizes = [n_ints // n_segments + (k < n_ints % n_segments) for k in range(n_segments)]
    ends = np.cumsum(sizes)
    return [(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]


def fill_times(meta: JwstDataModel, clock: Clock) -> None:
    """Fill counts and times of `meta.exposure`, for one reset per integration."""
    meta.nints, meta.ngroups = clock.n_ints, clock.n_groups
    meta.nframes, meta.groupgap = clock.n_frames, clock.n_skipped
    meta.frame_time, meta.group_time = clock.frame_time_s, clock.group_time_s
    meta.nsamples, meta.sample_time = 1, 10.0
    meta.nresets_at_start = meta.nresets_between_ints = 1
    meta.drop_frames1, meta.drop_frames3, meta.zero_frame = 0, 0, clock.n_frames > 1
    meta.integration_time = clock.integration_s
    meta.exposure_time = meta.effective_exposure_time = clock.integration_s * clock.n_ints
    meta.duration = clock.exposure_s
    meta.start_time = clock.start_mjd
    meta.mid_time = clock.start_mjd + clock.exposure_s / 2 / SECONDS_PER_DAY
    meta.end_time = clock.start_mjd + clock.exposure_s / SECONDS_PER_DAY
