"""Keywords of flight headers: what follows from times, pointing and readout, in all simulators."""

import numpy as np
import pytest
from astropy.time import Time
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.simulate.core.exposure_times import Clock, barycentric_mjd, fill_times, observatory_km
from detectorist.simulate.core.flight_header import complete_header

LIGHT_KM_DAY = 299_792.458 * 86_400


@pytest.fixture
def model():
    model = Level1bModel()
    meta = model.meta
    meta.instrument.name, meta.instrument.detector = "NIRCAM", "NRCALONG"
    meta.observation.visit_id, meta.observation.exposure_number = "09999001001", "00002"
    meta.observation.visit_group, meta.observation.activity_id = "03", "06"
    fill_times(meta.exposure, Clock(61_222.25, 1.069, 10, 20, 8, 12))
    meta.target.ra, meta.target.dec = 237.49, -3.92
    wcs = meta.wcsinfo
    wcs.ra_ref, wcs.dec_ref, wcs.roll_ref = 237.49, -3.92, 0.0
    wcs.v2_ref, wcs.v3_ref, wcs.v3yangle, wcs.vparity = 107.0, -405.0, 0.05, -1
    complete_header(model, label="roll 1")
    return model


def test_readout_and_names(model):
    exposure, observation = model.meta.exposure, model.meta.observation
    assert (exposure.nframes, exposure.groupgap, exposure.frame_divisor) == (8, 12, 8)
    assert exposure.sca_num == 485
    assert observation.exposure_number == "2"
    assert observation.obs_id == "V09999001001P0000000003106"


def test_times_agree(model):
    exposure, meta = model.meta.exposure, model.meta
    assert Time(meta.observation.date_beg, scale="utc").mjd == pytest.approx(exposure.start_time, abs=1e-8)
    assert Time(meta.observation.date_end, scale="utc").mjd == pytest.approx(exposure.end_time, abs=1e-8)
    assert exposure.mid_time_mjd == exposure.mid_time
    assert meta.time.barycentric_expstart == exposure.start_time_tdb
    late = meta.time.barycentric_correction / 86_400
    assert exposure.start_time + late == pytest.approx(meta.time.barycentric_expstart, abs=1e-9)


def test_place_of_the_observatory_gives_the_light_time(model):
    ephemeris, mid = model.meta.ephemeris, model.meta.exposure.mid_time
    here = np.array([getattr(ephemeris, f"spatial_{axis}_bary") for axis in "xyz"])
    ra, dec = np.radians(237.49), np.radians(-3.92)
    light = here @ [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)] / LIGHT_KM_DAY
    tdb = Time(mid, format="mjd", scale="utc").tdb.mjd
    assert tdb + light == pytest.approx(barycentric_mjd(np.array([mid]), 237.49, -3.92).item(), abs=1e-9)
    later = (observatory_km(mid + 0.1)[0] - observatory_km(mid - 0.1)[0]) / 0.2 / 86_400
    assert ephemeris.velocity_y_bary == pytest.approx(later[1], rel=1e-3)
    assert np.hypot(*later[:2]) == pytest.approx(30, rel=0.05)


def test_axis_of_the_telescope(model):
    # Without roll, V3 is north and V2 east of the telescope's axis.
    pointing = model.meta.pointing
    assert pointing.dec_v1 == pytest.approx(-3.92 + 405 / 3600, abs=1e-5)
    assert pointing.ra_v1 == pytest.approx(237.49 - 107 / 3600 / np.cos(np.radians(3.92)), abs=1e-4)
