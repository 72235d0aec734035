"""Headers of the three simulators against those of flight exposures, keyword by keyword.

What is allowed to differ stands here with its reason and in docs/simulator.md; any other difference fails.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.simulate.core.exposure_times import integration_times
from detectorist.simulate.coron import header as coron_header
from detectorist.simulate.coron.scene import CoronScene
from detectorist.simulate.imaging import header as imaging_header
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.lrs import header as lrs_header
from detectorist.simulate.lrs.scene import LrsScene

DOCS = Path(__file__).parents[2] / "docs" / "simulator.md"
CORON, TIME_SERIES = "flight_header_nrc_coron.txt", "flight_nrca3_wasp39b_int372.fits.gz"
#: Patterns of keywords that no simulator writes, by the words of the documentation that give the reason.
LACKING = {
    "versions and files of the ground and on-board systems": r"SDP_VER|PRD_VER|OSS_VER|OSF_FILE|DATAMODE",
    "the proposal": r"TITLE|PI_NAME|CATEGORY|SUBCAT|SCICAT|CONT_ID",
    "guide star": r"GS_\w+|GSSTRTTM|GSENDTIM|GDSTARID|VISITEND",
    "wavefront exposures before and after": r"PWFSEET|NWFSEST",
    "heliocentric times": r"HELIDELT|H(STR|MID|END)TIME",
    "focus mechanism": r"FAM_LA\d|FA(STEP|UNIT|PHASE)\d|FA\dVALUE",
    "size of a dither pattern": r"PATTSIZE|SUBPXPTS",
    "segments": r"INTSTART|INTEND",
    "cut from a longer file": r"FLIP2DET|NINT|ON_NINT|SEGNINT|TOT_NINT",
    "written by later steps": r"FILETYPE|PRIMECRS|EXTNCRS|ASNPOOL|ASNTABLE|CAL_VE?R?C?S?|CRDS_\w+|[RS]_\w+|"
    r"PHOT\w+|PIXAR_\w+|(A|B|AP|BP)_(\d_\d|ORDER)|CD\d_\d|C(RPIX|RVAL|TYPE|UNIT|DELT)\d|PC\d_\d|WCSAXES|RADESYS|SPECSYS|CAL_STEP|"
    r"NOISEMTHD|\w*_APPLIED",
}
#: The same for one mode alone.
NOT_OF_MODE = {
    "coron": r"$^",
    "imaging": r"CORONMSK|IS_PSF|SELFREF",
    "lrs": r"CORONMSK|IS_PSF|SELFREF|CHANNEL|MODULE|PUPIL|PILIN",
}
#: What the file itself says, not the exposure.
OF_THE_FILE = (
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|XTENSION|[PG]COUNT|EXTNAME|EXTVER|BUNIT|COMMENT|HISTORY|BSCALE|BZERO|CONTINUE|"
)
#: Simulated only: stage 2 asks for the type of the source and the velocity, LRS comes in segments, and the size of a
#: pixel is told where the subtraction of stars needs it.
OURS = {"SRCTYAPT", "SRCTYPE", "VELOSYS", "INTSTART", "INTEND", "EXSEGNUM", "EXSEGTOT", "CDELT1", "CDELT2"}


def fill_coron(model):
    observed = CoronScene().with_("detector", pattern="DEEP8").observe(ints=2, groups=4, dithers=0, rolls=1)
    coron_header.fill_header(model, observed, observed.visits[0])


def fill_imaging(model):
    imaging_header.fill_header(model, ImagingScene().with_detector(size=64).observe(groups=4, seed=1), 0)


def fill_lrs(model):
    observed = LrsScene().observe(ints=4, groups=6, segments=1)
    times = integration_times(observed.clock, ra_deg=lrs_header.RA_DEG, dec_deg=lrs_header.DEC_DEG)
    lrs_header.fill_header(model, observed, 1, times)


FILL = {"coron": fill_coron, "imaging": fill_imaging, "lrs": fill_lrs}


@pytest.fixture(scope="module", params=FILL)
def simulated(request, tmp_path_factory):
    """Mode, and keywords of primary and SCI header of a simulated exposure."""
    path = tmp_path_factory.mktemp("header") / "x_uncal.fits"
    with Level1bModel(data=np.zeros((1, 1, 2, 2), np.uint16)) as model:
        FILL[request.param](model)
        model.save(path)
    with fits.open(path) as hdus:
        return request.param, {**hdus[0].header, **hdus["SCI"].header}


def flight_header(path):
    """Return keywords and values of a flight exposure, from a FITS file or the text of its cards."""
    if path.suffix != ".txt":
        return dict(fits.getheader(path))
    cards = [fits.Card.fromstring(line) for line in path.read_text().splitlines() if re.match(r"[\w-]+ *= ", line)]
    return {card.keyword: card.value for card in cards[::-1]}


def differing(keywords, *patterns):
    return sorted(word for word in keywords if not any(re.fullmatch(pattern, word) for pattern in patterns))


@pytest.mark.parametrize("name", [CORON, TIME_SERIES])
def test_nothing_else_is_lacking(simulated, thirdparty, name):
    mode, ours = simulated
    lacking = set(flight_header(thirdparty / name)) - set(ours)
    assert differing(lacking, *LACKING.values(), NOT_OF_MODE[mode], OF_THE_FILE) == []


def test_nothing_is_added(simulated, thirdparty):
    _, ours = simulated
    both = {word for name in (CORON, TIME_SERIES) for word in flight_header(thirdparty / name)}
    assert differing(set(ours) - both - OURS, OF_THE_FILE) == []


@pytest.mark.parametrize("name", [CORON, TIME_SERIES])
def test_values_are_of_the_same_kind(simulated, thirdparty, name):
    _, ours = simulated
    flight = flight_header(thirdparty / name)
    kinds = {word: (type(ours[word]).__name__, type(flight[word]).__name__) for word in set(ours) & set(flight)}
    other = {word: kind for word, kind in kinds.items() if kind[0] != kind[1] and set(kind) != {"int", "float"}}
    assert differing(other, OF_THE_FILE) == []


def test_readout_of_the_flight_exposure(thirdparty, simulated):
    mode, ours = simulated
    if mode != "coron":
        pytest.skip("the flight exposure is a coronagraphic one")
    flight = flight_header(thirdparty / CORON)
    same = ("READPATT", "NFRAMES", "GROUPGAP", "FRMDIVSR", "NRSTSTRT", "NRESETS", "SUBSTRT1", "SUBSTRT2", "SUBSIZE1",
            "SUBSIZE2", "FASTAXIS", "SLOWAXIS", "SUBARRAY", "DETECTOR", "CORONMSK", "PUPIL", "EXP_TYPE", "EXPOSURE",
            "NOUTPUTS", "ZEROFRAM", "DRPFRMS1", "TIMESYS", "SCA_NUM", "APERNAME", "TEMPLATE")  # fmt: skip
    assert {word: ours.get(word) for word in same} == {word: flight.get(word) for word in same}
    assert ours["TFRAME"] == pytest.approx(flight["TFRAME"], rel=1e-5)
    assert ours["TGROUP"] == pytest.approx(flight["TGROUP"], rel=1e-5)
    assert not {"INTSTART", "INTEND", "EXSEGNUM"} & set(ours)


def test_every_reason_is_documented():
    page = DOCS.read_text()
    assert [reason for reason in LACKING if reason not in page] == []
