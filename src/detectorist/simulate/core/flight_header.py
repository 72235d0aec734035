"""Further keywords of flight headers, derived from those that a simulated header has already.

Compared keyword by keyword with the header of a flight exposure (docs, "Simulator"). Left out, because a simulation
cannot know them: versions of the ground system, guide stars, names of telemetry files, and keywords written by later
steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectorist.simulate.core.exposure_times import SECONDS_PER_DAY, barycentric_mjd, observatory_km

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

#: SCA_NUM, the number of each detector's electronics.
SCA_NUMBERS = {
    "NRCA1": 481,
    "NRCA2": 482,
    "NRCA3": 483,
    "NRCA4": 484,
    "NRCALONG": 485,
    "NRCB1": 486,
    "NRCB2": 487,
    "NRCB3": 488,
    "NRCB4": 489,
    "NRCBLONG": 490,
    "MIRIMAGE": 493,
}
#: Time over which velocities are differences, days.
_VELOCITY_DAYS = 0.01


def complete_header(model: JwstDataModel, *, label: str) -> None:
    """Fill keywords that follow from the metadata of an exposure.

    model : with instrument, observation, exposure (times in MJD UTC), target, wcsinfo filled.
    label : the proposer's name for the observation.
    """
    meta = model.meta
    meta.time_sys, meta.time_unit = "UTC", "s"
    meta.hga_move, meta.compress = False, False
    _fill_observation(meta.observation, meta.exposure, label)
    _fill_visit(meta.visit, meta.exposure)
    _fill_target(meta.target)
    _fill_instrument(meta.instrument)
    _fill_exposure(meta.exposure, meta.instrument.detector)
    _fill_barycentre(meta)
    _fill_ephemeris(meta.ephemeris, meta.exposure.mid_time)
    _fill_pointing(meta)
    meta.guidestar.gs_pcs_mode = "FINEGUIDE"


def _isot(mjd: float) -> str:
    from astropy.time import Time

    return str(Time(mjd, format="mjd", scale="utc").isot)


def _fill_observation(observation: Any, exposure: Any, label: str) -> None:
    observation.date_beg, observation.date_end = _isot(exposure.start_time), _isot(exposure.end_time)
    observation.sequence_id = "1"
    observation.exposure_number = str(int(observation.exposure_number or 1))
    activity = f"{observation.visit_group or '01'}1{observation.activity_id or '01'}"
    observation.obs_id = f"V{observation.visit_id}P00000000{activity}"
    observation.observation_label = observation.observation_folder = label


def _fill_visit(visit: Any, exposure: Any) -> None:
    visit.type, visit.status, visit.engineering_quality = "PRIME_TARGETED_FIXED", "SUCCESSFUL", "OK"
    visit.engdb_pointing_quality = "PLANNED"
    visit.start_time = f"{_isot(exposure.start_time).replace('T', ' ')}0000"
    visit.total_exposures = 1
    visit.internal_target = visit.too_visit = visit.exp_only = visit.crowded_field = False


def _fill_target(target: Any) -> None:
    target.type = "FIXED"
    target.ra_uncertainty = target.dec_uncertainty = 0.1
    target.proper_motion_ra = target.proper_motion_dec = 0.0
    target.proper_motion_epoch = "2000-01-01 12:00:00.0000000"
    target.proposer_ra, target.proposer_dec = target.ra, target.dec


def _fill_instrument(instrument: Any) -> None:
    instrument.lamp_mode = "NONE"
    if instrument.name == "NIRCAM":
        instrument.pupil_imaging_lens = False


def _fill_exposure(exposure: Any, detector: str) -> None:
    exposure.count, exposure.prime_parallel = 1, "PRIME"
    #: The sum of the frames of a group is divided by it on board: groups are means.
    exposure.frame_divisor = exposure.nframes
    exposure.data_problem, exposure.clock_adjust_rate = False, 0.0
    exposure.sca_num = SCA_NUMBERS[detector]
    exposure.start_time_mjd, exposure.mid_time_mjd = exposure.start_time, exposure.mid_time
    exposure.end_time_mjd = exposure.end_time
    exposure.elapsed_exposure_time = exposure.duration


def _fill_barycentre(meta: Any) -> None:
    exposure, time = meta.exposure, meta.time
    utc = np.array([exposure.start_time, exposure.mid_time, exposure.end_time])
    tdb = barycentric_mjd(utc, meta.target.ra, meta.target.dec)
    time.barycentric_correction = float((tdb[0] - utc[0]) * SECONDS_PER_DAY)
    time.barycentric_expstart, time.barycentric_expmid, time.barycentric_expend = map(float, tdb)
    exposure.start_time_tdb, exposure.mid_time_tdb, exposure.end_time_tdb = map(float, tdb)


def _fill_ephemeris(ephemeris: Any, mjd: float) -> None:
    places = [observatory_km(mjd + step) for step in (-_VELOCITY_DAYS / 2, 0.0, _VELOCITY_DAYS / 2)]
    seconds = _VELOCITY_DAYS * SECONDS_PER_DAY
    ephemeris.reference_frame, ephemeris.type, ephemeris.time = "EME2000", "Predicted", mjd
    for kind, unit in (("bary", 1.0), ("geo", 1e3)):
        index = 0 if kind == "bary" else 1
        before, here, after = (place[index] * unit for place in places)
        for axis, where, speed in zip("xyz", here, (after - before) / seconds, strict=True):
            setattr(ephemeris, f"spatial_{axis}_{kind}", float(where))
            setattr(ephemeris, f"velocity_{axis}_{kind}", float(speed))


def _fill_pointing(meta: Any) -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    wcs, roll = meta.wcsinfo, np.radians(meta.wcsinfo.roll_ref)
    # From the reference point back to the axis of the telescope, V2 = V3 = 0, along east and north.
    east = -(wcs.v2_ref * np.cos(roll) + wcs.v3_ref * np.sin(roll))
    north = -(-wcs.v2_ref * np.sin(roll) + wcs.v3_ref * np.cos(roll))
    reference = SkyCoord(wcs.ra_ref, wcs.dec_ref, unit="deg")
    axis = reference.directional_offset_by(np.arctan2(east, north) * u.rad, np.hypot(east, north) * u.arcsec)
    meta.pointing.ra_v1, meta.pointing.dec_v1 = float(axis.ra.deg), float(axis.dec.deg)
    meta.pointing.pa_v3 = wcs.roll_ref
    meta.aperture.position_angle = wcs.roll_ref + wcs.v3yangle
    meta.velocity_aberration.va_ra_ref, meta.velocity_aberration.va_dec_ref = wcs.ra_ref, wcs.dec_ref
