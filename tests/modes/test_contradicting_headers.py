"""A pipeline that is called by itself refuses a header that contradicts its array, as a campaign does."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import RampModel

from detectorist.errors import InputError
from detectorist.modes.coron.reduction import require_ramp
from detectorist.pipelines import Coron1Pipeline, ImagingPipeline, LrsPipeline

pytestmark = pytest.mark.filterwarnings("default")

MODES = {
    ImagingPipeline: ("NIRCAM", "NRCB4", "F200W", "NRC_IMAGE"),
    Coron1Pipeline: ("NIRCAM", "NRCALONG", "F335M", "NRC_CORON"),
    LrsPipeline: ("MIRI", "MIRIMAGE", "P750L", "MIR_LRS-SLITLESS"),
}


@pytest.fixture(params=MODES, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def ramps(kind, make_lrs_ramp):
    """Ramps of the pipeline's mode that say of themselves what they are not: a group more than there is."""
    model = make_lrs_ramp(n_ints=1, n_groups=3)
    meta = model.meta
    meta.instrument.name, meta.instrument.detector, meta.instrument.filter, meta.exposure.type = MODES[kind]
    meta.exposure.ngroups = 4
    return model


@pytest.mark.parametrize("opened", [True, False], ids=["model", "file"])
def test_header_and_array_are_compared_first(kind, ramps, opened, tmp_path):
    source = ramps
    if not opened:
        source = str(tmp_path / "jw09999001001_04103_00001_det_uncal.fits")
        ramps.save(source)
    before = np.array(ramps.data)
    with pytest.raises(InputError, match=r"the header says 4 groups \(NGROUPS\), the array holds 3"):
        kind().run(source)
    np.testing.assert_array_equal(ramps.data, before)
    assert isinstance(ramps, RampModel)


@pytest.mark.parametrize("instrument", ["NIRSPEC", None])
def test_a_file_of_another_instrument_is_refused_before_references_are_looked_for(raw_of, tmp_path, instrument):
    source = sorted(raw_of("coron").glob("*_uncal.fits"))[0]
    with fits.open(source) as hdus:
        hdus[0].header["INSTRUME"] = instrument
        fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"]).writeto(tmp_path / source.name)
    with pytest.raises(InputError, match=f"instrument is {instrument or 'unknown'}; NIRCAM or MIRI is needed"):
        require_ramp(tmp_path / source.name)


def test_an_exposure_of_another_mode_is_refused_before_references_are_looked_for(raw_of, tmp_path):
    source = sorted(raw_of("coron").glob("*_uncal.fits"))[0]
    with fits.open(source) as hdus:
        hdus[0].header["EXP_TYPE"] = "NRC_TSGRISM"
        fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"]).writeto(tmp_path / source.name)
    with pytest.raises(InputError, match="EXP_TYPE is NRC_TSGRISM; a coronagraphic exposure"):
        require_ramp(tmp_path / source.name)
