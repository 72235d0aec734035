"""Headers of simulated LRS exposures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectorist.detectors import LRS_SLITLESS, MIRI
from detectorist.simulate.core.exposure_times import fill_times
from detectorist.simulate.core.flight_header import complete_header
from detectorist.simulate.lrs.exposure import LrsExposure
from detectorist.simulate.lrs.sky import SUBARRAY

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

#: `START_MJD` as the header tells it.
START_DATE, START_TIME = "2026-07-01", "00:00:00.000"
#: The target, degrees: high ecliptic latitude keeps the barycentric correction small and changing little.
RA_DEG, DEC_DEG = 80.0, -69.5
#: Place of the subarray's zero point in the telescope's focal plane, arcsec (public exposures).
V2_REF_ARCSEC, V3_REF_ARCSEC = -378.8, -344.9
ROOT_NAME = "jw09999001001_04103_00001"


def fill_header(model: JwstDataModel, exposure: LrsExposure, segment: int, times: np.ndarray) -> None:
    """Fill the metadata of a segment (from 1); `times` are its rows of INT_TIMES."""
    meta = model.meta
    meta.telescope, meta.origin = "JWST", "SIMULATED"
    meta.instrument.name, meta.instrument.detector = "MIRI", MIRI.name
    meta.instrument.filter = LRS_SLITLESS.filter
    meta.observation.date, meta.observation.time = START_DATE, START_TIME
    meta.observation.program_number, meta.observation.observation_number = "09999", "001"
    meta.observation.visit_number = "001"
    meta.observation.visit_id, meta.observation.observation_id = "09999001001", ROOT_NAME
    meta.visit.tsovisit = True
    subarray = meta.subarray
    subarray.name, subarray.xstart, subarray.ystart = SUBARRAY.name, SUBARRAY.x_start, SUBARRAY.y_start
    subarray.xsize, subarray.ysize = SUBARRAY.n_cols, SUBARRAY.n_rows
    subarray.fastaxis, subarray.slowaxis = MIRI.fast_axis, MIRI.slow_axis
    _fill_exposure(meta.exposure, exposure, segment, times)
    meta.target.catalog_name = meta.target.proposer_name = "SIMULATED STAR"
    meta.target.ra, meta.target.dec = RA_DEG, DEC_DEG
    meta.target.source_type = meta.target.source_type_apt = "POINT"
    meta.aperture.name = meta.aperture.pps_name = f"MIRIM_{SUBARRAY.name}"
    meta.observation.template, meta.observation.bkgdtarg = "MIRI Low Resolution Spectroscopy", False
    meta.dither.primary_type, meta.dither.position_number, meta.dither.total_points = "NONE", 1, 1
    meta.dither.x_offset = meta.dither.y_offset = 0.0
    wcs = meta.wcsinfo
    wcs.ra_ref, wcs.dec_ref, wcs.roll_ref = RA_DEG, DEC_DEG, 30.0
    wcs.v2_ref, wcs.v3_ref, wcs.v3yangle, wcs.vparity = V2_REF_ARCSEC, V3_REF_ARCSEC, 0.0, -1
    wcs.velosys = 0.0
    meta.velocity_aberration.scale_factor = 1.0
    meta.bunit_data = "DN"
    meta.observation.visit_group, meta.observation.activity_id = "04", "03"
    meta.observation.exposure_number = "1"
    complete_header(model, label="simulated transit")


def _fill_exposure(meta: JwstDataModel, exposure: LrsExposure, segment: int, times: np.ndarray) -> None:
    fill_times(meta, exposure.clock)
    meta.type, meta.readpatt = LRS_SLITLESS.exposure_type, LRS_SLITLESS.read_pattern
    meta.noutputs = MIRI.n_outputs
    meta.segment_number, meta.segment_total = segment, exposure.n_segments
    meta.integration_start = int(times["integration_number"][0])
    meta.integration_end = int(times["integration_number"][-1])
