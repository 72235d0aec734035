"""Segments: order, completeness, one exposure."""

import pytest

from detectorist.errors import InputError
from detectorist.modes.lrs.segments import order_segments, require_pointing


@pytest.fixture
def write(tmp_path, make_lrs_rateints, make_lrs_ramp):
    def make(name, first, n_ints=2, *, ramps=False, **meta):
        """Save one segment of an exposure of six integrations, small, hence of no subarray with a name."""
        model = make_lrs_ramp(n_ints, 3, 4, 6) if ramps else make_lrs_rateints(n_ints, 4, 40)
        model.meta.subarray.name = None
        model.meta.exposure.nints, model.meta.exposure.segment_total = 6, 3
        model.meta.exposure.integration_start = first
        model.meta.exposure.integration_end = None if first is None else first + n_ints - 1
        for key, value in meta.items():
            setattr(
                model.meta.observation if "number" in key and "segment" not in key else model.meta.exposure, key, value
            )
        path = tmp_path / name
        model.save(str(path))
        return path

    return make


def test_order_is_that_of_time(write):
    late, early = write("b-seg001_rateints.fits", 3), write("a-seg002_rateints.fits", 1)
    assert [segment.source for segment in order_segments([late, early])] == [early, late]
    assert order_segments([late])[0].stem == "b-seg001"


def test_a_missing_segment_is_named(write):
    paths = [write("a_rateints.fits", 1), write("c_rateints.fits", 5)]
    with pytest.raises(InputError, match=r"integrations 3 to 4 are missing between .*a_rateints.fits and .*c_rate"):
        order_segments(paths)
    assert len(order_segments(paths, allow_gaps=True)) == 2


def test_a_segment_given_twice(write):
    path = write("a_rateints.fits", 1)
    with pytest.raises(InputError, match="given twice"):
        order_segments([path, path])


def test_segments_that_differ_in_how_many_integrations_there_are(write):
    one, other = write("a_ramp.fits", 1, ramps=True), write("b_ramp.fits", 3, ramps=True, nints=99)
    with pytest.raises(InputError, match=r"a_ramp.fits and .*b_ramp.fits are segments .* NINTS is 6 and 99"):
        order_segments([one, other])


def test_two_exposures(write):
    one = write("a_rateints.fits", 1, observation_number="001")
    other = write("b_rateints.fits", 3, observation_number="002")
    with pytest.raises(InputError, match=r"different time series: observation.observation_number is 001 and 002"):
        order_segments([one, other])


def test_ramps_and_rates(write):
    with pytest.raises(InputError, match="of one kind"):
        order_segments([write("a_rateints.fits", 1), write("b_ramp.fits", 3, ramps=True)])


def test_no_integration_numbers(write):
    lone = write("a_rateints.fits", None)
    assert len(order_segments([lone])) == 1
    with pytest.raises(InputError, match="INTSTART"):
        order_segments([lone, write("b_rateints.fits", 3)])


def test_nothing_given():
    with pytest.raises(InputError, match="no input"):
        order_segments([])


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing.fits: no such file"):
        order_segments([tmp_path / "nothing.fits"])


def test_not_a_product(tmp_path):
    path = tmp_path / "x_uncal.fits"
    path.write_bytes(b"not FITS at all")
    with pytest.raises(InputError, match=r"x_uncal.fits: not readable"):
        order_segments([path])


def test_other_instrument(tmp_path, nircam_rateints):
    path = tmp_path / "n_rateints.fits"
    nircam_rateints.save(str(path))
    with pytest.raises(InputError, match="NIRCAM, exposure type NRC_TSIMAGE; MIRI MIR_LRS-SLITLESS is needed"):
        order_segments([path])


def test_imaging_of_the_same_instrument(make_lrs_rateints):
    model = make_lrs_rateints(2, 4, 40)
    model.meta.exposure.type = "MIR_IMAGE"
    with pytest.raises(InputError, match="exposure type MIR_IMAGE"):
        order_segments([model])


def test_a_rate_is_not_a_rateints(tmp_path, make_lrs_rateints):
    from stdatamodels.jwst import datamodels

    cube = make_lrs_rateints(2, 4, 40)
    rate = datamodels.ImageModel(data=cube.data[0])
    rate.update(cube)
    rate.save(str(tmp_path / "a_rate.fits"))
    with pytest.raises(InputError, match=r"a_rate.fits: a ImageModel; an uncal"):
        order_segments([tmp_path / "a_rate.fits"])


def test_exposures_of_a_phase_curve_are_one_series_in_time(write):
    """Each exposure counts its integrations from 1; what comes between two is a gap in time and no missing segment."""
    late = write("c_rateints.fits", 1, exposure_number="2", start_time=60000.5)
    second = write("b_rateints.fits", 3, exposure_number="1", start_time=60000.1)
    first = write("a_rateints.fits", 1, exposure_number="1", start_time=60000.1)
    assert [segment.source for segment in order_segments([late, second, first])] == [first, second, late]


def test_segments_missing_at_either_end_are_said(write, caplog):
    middle = write("b_rateints.fits", 3, segment_number=2)
    order_segments([middle])
    assert "segment 1 of 3 missing: integrations 1-2 of the exposure of" in caplog.text
    assert "segment 3 of 3 missing: integrations 5-6" in caplog.text


@pytest.mark.parametrize("bare", [0, 1])
def test_the_file_whose_keywords_are_missing_is_named(write, bare):
    lacking = {"integration_start": None, "integration_end": None}
    files = [write(f"{k}_rateints.fits", 1 + 2 * k, **(lacking if k == bare else {})) for k in (0, 1)]
    with pytest.raises(InputError, match=rf"{bare}_rateints.fits: no number .* \(INTSTART\)"):
        order_segments(files)


@pytest.mark.parametrize("keyword", ["integration_start", "integration_end"])
def test_one_keyword_tells_the_other(write, keyword):
    files = [write(f"{k}_rateints.fits", 1 + 2 * k, **{keyword: None}) for k in (1, 0)]
    assert [(segment.first, segment.last) for segment in order_segments(files)] == [(1, 2), (3, 4)]


def test_a_file_that_does_not_say_where_the_telescope_pointed(make_lrs_rateints):
    model = make_lrs_rateints(2, 4, 40)
    (segment,) = order_segments([model])
    for name in ("ra_ref", "dec_ref", "roll_ref", "v2_ref", "v3_ref"):
        segment.meta[f"wcsinfo.{name}"] = 1.0
    require_pointing(segment)
    segment.meta["wcsinfo.roll_ref"] = segment.meta["wcsinfo.v2_ref"] = None
    with pytest.raises(InputError, match="ROLL_REF, V2_REF missing"):
        require_pointing(segment)
    segment.meta["cal_step.assign_wcs"] = "COMPLETE"
    require_pointing(segment)
