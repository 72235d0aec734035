"""Facts of the coronagraphs agree with those of their detectors."""

import pytest

from detectorist.detectors import MIRI, NIRCAM, PIXEL_TIME_S
from detectorist.simulate.coron.coronagraphs import MIRI_1140, MIRI_LYOT, NIRCAM_335R

ALL = pytest.mark.parametrize("mode", [NIRCAM_335R, MIRI_1140, MIRI_LYOT], ids=lambda mode: mode.coronagraph)


@ALL
def test_the_subarray_lies_on_its_detector_and_the_mask_in_the_subarray(mode):
    whole = NIRCAM[mode.detector] if mode.instrument == "NIRCAM" else MIRI
    place = mode.subarray
    assert mode.shape == (place.n_rows, place.n_cols)
    assert 1 <= place.x_start <= place.x_start + place.n_cols - 1 <= whole.n_cols
    assert 1 <= place.y_start <= place.y_start + place.n_rows - 1 <= whole.n_rows
    x, y = mode.centre
    assert 0.3 * place.n_cols < x < 0.7 * place.n_cols
    assert 0.3 * place.n_rows < y < 0.7 * place.n_rows
    assert mode.fast_axis == whole.fast_axis


@ALL
def test_names_belong_to_the_instrument(mode):
    is_nircam = mode.instrument == "NIRCAM"
    assert [value is not None for value in (mode.pupil, mode.module, mode.channel)] == [is_nircam] * 3
    assert mode.aperture.startswith("NRC" if is_nircam else "MIRIM")
    assert mode.template.startswith("NIRCam" if is_nircam else "MIRI")
    assert mode.quadrants == mode.coronagraph.startswith("4QPM") == (mode.exposure_type == "MIR_4QPM")


def test_frames_take_the_time_of_the_flight_headers():
    # TFRAME of SUB320A335R and MASK1140 in fast mode (JDox).
    facts = NIRCAM["NRCALONG"]
    clocks = (320 + facts.row_overhead_clocks) * (320 + 2)
    assert clocks * PIXEL_TIME_S == pytest.approx(1.06904)
    assert MIRI_1140.subarray.frame_time_s == pytest.approx(0.23968)
    assert MIRI_LYOT.subarray.frame_time_s == pytest.approx(0.324, abs=1e-3)
