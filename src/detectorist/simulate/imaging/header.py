"""Headers of simulated NIRCam images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from astropy.time import Time

from detectorist.simulate.core.exposure_times import SECONDS_PER_DAY
from detectorist.simulate.core.flight_header import complete_header
from detectorist.simulate.core.nircam_detector import Window
from detectorist.simulate.imaging.components import ImagingComponents
from detectorist.simulate.imaging.exposure import ImagingExposures

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel


#: Start of the first simulated exposure: 2026-07-01, MJD UTC; each later one begins this much later.
START_MJD, BETWEEN_EXPOSURES_S = 61_222.0, 3_600.0
#: Place on the sky, degrees.
RA_DEG, DEC_DEG, ROLL_DEG = 214.9, 52.9, 30.0
PREFIX = "jw09999002001_02101_"
#: Place of the detector's middle in the telescope's focal plane, arcsec (assumed; about that of module B), and scales.
V2_REF_ARCSEC, V3_REF_ARCSEC = -120.9, -528.0
SHORT_SCALE_ARCSEC, LONG_SCALE_ARCSEC = 0.031, 0.063


def file_name(detector: str, number: int) -> str:
    """Return the name of the uncal file of an exposure (from 0)."""
    return f"{PREFIX}{number + 1:05d}_{detector.lower()}_uncal.fits"


@dataclass(frozen=True)
class Start:
    """When an exposure begins."""

    mjd: float

    @property
    def date(self) -> str:
        """Date and time, as DATE-BEG."""
        return Time(self.mjd, format="mjd", scale="utc").isot


def fill_header(model: JwstDataModel, exposures: ImagingExposures, number: int) -> Start:
    """Fill the metadata of an exposure (from 0); return when it begins."""
    start = Start(START_MJD + number * BETWEEN_EXPOSURES_S / SECONDS_PER_DAY)
    detector, window = exposures.scene.detector, exposures.window
    meta = model.meta
    meta.telescope, meta.origin = "JWST", "SIMULATED"
    fill_instrument(meta, exposures.scene)
    meta.observation.date, meta.observation.time = start.date.split("T")
    meta.observation.program_number, meta.observation.observation_number = "09999", "002"
    meta.observation.visit_number, meta.observation.visit_id = "001", "09999002001"
    meta.observation.visit_group, meta.observation.activity_id = "02", "01"
    meta.observation.exposure_number = f"{number + 1:05d}"
    meta.observation.observation_id = f"{PREFIX}{number + 1:05d}"
    meta.visit.tsovisit = False
    fill_subarray(meta.subarray, window)
    _fill_exposure(meta.exposure, exposures, start)
    meta.target.catalog_name = meta.target.proposer_name = "SIMULATED FIELD"
    meta.target.ra, meta.target.dec = RA_DEG, DEC_DEG
    meta.aperture.name = meta.aperture.pps_name = aperture_of(window)
    meta.observation.template, meta.observation.bkgdtarg = "NIRCam Imaging", False
    meta.dither.primary_type, meta.dither.position_number = "NONE", number + 1
    meta.dither.total_points = exposures.n_exposures
    x, y = exposures.dither(number)
    scale = LONG_SCALE_ARCSEC if window.facts.is_long_wave else SHORT_SCALE_ARCSEC
    meta.dither.x_offset, meta.dither.y_offset = x * scale, y * scale
    wcs = meta.wcsinfo
    wcs.ra_ref, wcs.dec_ref, wcs.roll_ref = RA_DEG, DEC_DEG, ROLL_DEG
    # The pixel that the middle of the field has moved to is where the sky of the reference position falls.
    wcs.v2_ref, wcs.v3_ref, wcs.v3yangle, wcs.vparity = V2_REF_ARCSEC + x * scale, V3_REF_ARCSEC + y * scale, 0.0, -1
    wcs.velosys = 0.0
    meta.velocity_aberration.scale_factor = 1.0
    meta.bunit_data = "DN"
    meta.exposure.gain_factor = None
    complete_header(model, label="simulated field")
    assert detector.name == window.facts.name
    return start


def aperture_of(window: Window) -> str:
    """Return APERNAME: long-wave detectors are the fifth of their module there."""
    return f"{window.facts.name.replace('LONG', '5')}_{window.name}"


def fill_subarray(subarray: Any, window: Window) -> None:
    """Fill the position of the window: in exposures and references alike."""
    subarray.name, subarray.xstart, subarray.ystart = window.name, window.x_start, window.y_start
    subarray.ysize, subarray.xsize = window.shape
    subarray.fastaxis, subarray.slowaxis = window.facts.fast_axis, window.facts.slow_axis


def fill_instrument(meta: JwstDataModel, scene: ImagingComponents) -> None:
    """Fill the keywords of instrument, detector and filter: in exposures and references alike."""
    detector = scene.detector
    meta.instrument.name, meta.instrument.detector = "NIRCAM", detector.name
    meta.instrument.filter, meta.instrument.pupil = detector.filter, "CLEAR"
    meta.instrument.module = detector.name[3]
    meta.instrument.channel = "LONG" if detector.name.endswith("LONG") else "SHORT"


def _fill_exposure(meta: JwstDataModel, exposures: ImagingExposures, start: Start) -> None:
    window, detector = exposures.window, exposures.scene.detector
    n_ints, n_groups = exposures.n_ints, exposures.n_groups
    integration_s = window.n_frames_read(n_groups) * window.frame_time_s
    exposure_s = n_ints * (integration_s + window.frame_time_s)
    meta.type, meta.readpatt = "NRC_IMAGE", detector.pattern
    meta.nints, meta.ngroups = n_ints, n_groups
    meta.nframes, meta.groupgap = window.n_frames, window.n_skipped
    meta.frame_time, meta.group_time = window.frame_time_s, window.group_time_s
    meta.nsamples, meta.sample_time, meta.noutputs = 1, 10.0, window.time_line.n_outputs
    meta.nresets_at_start = meta.nresets_between_ints = 1
    meta.drop_frames1, meta.drop_frames3, meta.zero_frame = 0, 0, window.n_frames > 1
    meta.integration_time = integration_s
    meta.exposure_time = meta.effective_exposure_time = integration_s * n_ints
    meta.duration = exposure_s
    meta.start_time = start.mjd
    meta.mid_time = start.mjd + exposure_s / 2 / SECONDS_PER_DAY
    meta.end_time = start.mjd + exposure_s / SECONDS_PER_DAY
