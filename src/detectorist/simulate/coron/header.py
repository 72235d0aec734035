"""Headers of simulated coronagraphic exposures of targets, reference stars and backgrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detectorist.simulate.core.exposure_times import fill_times
from detectorist.simulate.core.flight_header import complete_header
from detectorist.simulate.coron.coronagraphs import CoronMode
from detectorist.simulate.coron.exposure import CoronExposures
from detectorist.simulate.coron.programme import REFERENCE, TARGET, Visit

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel


def fill_instrument(meta: Any, mode: CoronMode) -> None:
    """Fill the keywords of instrument, detector, filter and mask."""
    instrument = meta.instrument
    instrument.name, instrument.detector, instrument.filter = mode.instrument, mode.detector, mode.filter
    instrument.coronagraph = mode.coronagraph
    if mode.pupil is not None:
        instrument.pupil, instrument.module, instrument.channel = mode.pupil, mode.module, mode.channel


def fill_subarray(subarray: Any, mode: CoronMode) -> None:
    """Fill the position of the subarray: in exposures and references alike."""
    subarray.name, subarray.xstart, subarray.ystart = mode.subarray.name, mode.subarray.x_start, mode.subarray.y_start
    subarray.xsize, subarray.ysize = mode.subarray.n_cols, mode.subarray.n_rows
    subarray.fastaxis, subarray.slowaxis = mode.fast_axis, 2


def fill_header(model: JwstDataModel, exposures: CoronExposures, visit: Visit) -> None:
    """Fill the metadata of an exposure."""
    meta, mode = model.meta, exposures.mode
    name, ra_deg, dec_deg = REFERENCE if visit.is_reference else TARGET
    name = f"{name} BACKGROUND" if visit.is_background else name
    meta.telescope, meta.origin = "JWST", "SIMULATED"
    fill_instrument(meta, mode)
    fill_subarray(meta.subarray, mode)
    _fill_observation(meta.observation, exposures, visit)
    fill_times(meta.exposure, exposures.clock(visit))
    meta.exposure.type = mode.exposure_type
    meta.exposure.readpatt = exposures.scene.detector.pattern if exposures.is_nircam else mode.read_pattern
    meta.exposure.noutputs = mode.n_outputs
    meta.exposure.psf_reference = visit.is_reference
    meta.exposure.self_reference_survey = False
    meta.visit.tsovisit = False
    meta.target.catalog_name = meta.target.proposer_name = name
    meta.target.ra, meta.target.dec = ra_deg, dec_deg
    meta.target.source_type_apt = "EXTENDED" if visit.is_background else "POINT"
    meta.aperture.name = meta.aperture.pps_name = mode.aperture
    dither = meta.dither
    n_dithers = sum(other.observation == visit.observation for other in exposures.visits)
    dither.primary_type = "NONE" if n_dithers == 1 else "5-POINT-SMALL-GRID"
    dither.position_number, dither.total_points = visit.dither + 1, n_dithers
    dither.x_offset, dither.y_offset = exposures.offset_arcsec(visit)
    wcs = meta.wcsinfo
    wcs.ra_ref, wcs.dec_ref, wcs.roll_ref = ra_deg, dec_deg, visit.roll_deg
    wcs.v2_ref, wcs.v3_ref = mode.v2_v3_arcsec
    wcs.v3yangle, wcs.vparity, wcs.velosys = mode.v3_to_y_deg, -1, 0.0
    wcs.crpix1, wcs.crpix2 = mode.centre[0] + 1, mode.centre[1] + 1
    wcs.cdelt1 = wcs.cdelt2 = mode.pixel_scale_arcsec / 3600
    wcs.crval1, wcs.crval2 = ra_deg, dec_deg
    meta.velocity_aberration.scale_factor = 1.0
    meta.bunit_data = "DN"
    complete_header(model, label=f"{name} at {visit.roll_deg:g} deg")


def _fill_observation(meta: Any, exposures: CoronExposures, visit: Visit) -> None:
    from astropy.time import Time

    start = Time(exposures.clock(visit).start_mjd, format="mjd", scale="utc").isot
    meta.date, meta.time = start.split("T")
    meta.program_number, meta.observation_number = "09999", f"{visit.observation:03d}"
    meta.visit_number, meta.visit_id = "001", f"09999{visit.observation:03d}001"
    meta.visit_group, meta.activity_id = "03", "02"
    meta.exposure_number = f"{visit.exposure:05d}"
    meta.observation_id = exposures.stem(visit).rsplit("_", 1)[0]
    meta.template = exposures.mode.template
    meta.bkgdtarg = visit.is_background
