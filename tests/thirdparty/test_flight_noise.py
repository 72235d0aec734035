"""1/f noise of two on-sky integrations of one exposure, reduced as rates of integrations."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel

from detectorist.stage_1 import StripesStep

FILES = [f"flight_nrca3_wasp39b_int{number}.fits.gz" for number in (372, 377)]


@pytest.fixture
def rateints(thirdparty):
    planes = []
    for name in FILES:
        if not (thirdparty / name).is_file():
            pytest.skip(f"{name} is not among the third-party files")
        planes.append(fits.getdata(thirdparty / name).astype(np.float32))
    header = fits.getheader(thirdparty / FILES[0])
    model = CubeModel(data=np.array(planes))
    model.dq = np.where(np.isfinite(model.data), 0, 1).astype(np.uint32)
    meta = model.meta
    meta.instrument.name, meta.instrument.detector = header["INSTRUME"], header["DETECTOR"]
    meta.instrument.filter, meta.instrument.pupil = header["FILTER"], header["PUPIL"]
    meta.exposure.type, meta.exposure.noutputs = header["EXP_TYPE"], header["NOUTPUTS"]
    meta.subarray.name = header["SUBARRAY"]
    meta.subarray.fastaxis, meta.subarray.slowaxis = header["FASTAXIS"], header["SLOWAXIS"]
    meta.subarray.xsize, meta.subarray.ysize = header["SUBSIZE1"], header["SUBSIZE2"]
    return model


def test_integrations_of_a_time_series_lose_their_own_noise(rateints):
    corrected = StripesStep(apply_flat=False).run(rateints)
    before, after = (np.diff(np.asarray(one.data, float), axis=0)[0] / np.sqrt(2) for one in (rateints, corrected))
    assert corrected.meta.cal_step.stripes == "COMPLETE"

    def rows(noise):
        away = np.where(np.abs(noise - np.nanmedian(noise)) < 0.25, noise, np.nan)[4:]
        # The star lies in the first output.
        means = [np.nanmean(away[:, first : first + 512], axis=1) for first in (512, 1024, 1536)]
        return np.std([one - np.median(one) for one in means])

    assert rows(before) > 0.015
    # All pixels are seen here: their white noise is in the estimate as well.
    assert rows(after) < 0.0035
