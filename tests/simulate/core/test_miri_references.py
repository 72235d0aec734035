"""The references of MIRI's detector say what the simulated detector does."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.core import detector, miri_detector
from detectorist.simulate.core.miri_references import detector_references
from detectorist.simulate.lrs.scene import LrsScene

SHAPE = (416, 72)


def made(scene, n_groups=4):
    patterns = miri_detector.fixed_patterns(scene)
    return patterns, dict(detector_references(scene, patterns, n_groups))


@pytest.fixture(scope="module")
def usual():
    return made(LrsScene(), n_groups=6)


def test_every_reference_of_a_subarray_says_where_it_lies(usual):
    _, references = usual
    for kind, model in references.items():
        assert model.meta.instrument.name == "MIRI", kind
        assert model.meta.instrument.detector == "MIRIMAGE", kind
        if kind in ("ipc", "rscd", "emicorr"):
            continue
        place = model.meta.subarray
        assert (place.name, place.xsize, place.ysize) == ("SLITLESSPRISM", 72, 416), kind
        assert (place.fastaxis, place.slowaxis) == (1, 2), kind


def test_linearity_undoes_the_response(usual):
    patterns, references = usual
    scene = LrsScene()
    charge = np.linspace(0, 0.9 * scene.detector.full_well_e / scene.detector.gain, 5)
    raw = miri_detector.response_curve(scene).measured(charge)[:, None, None] + patterns.pedestal_dn
    coefficients = references["linearity"].coeffs.astype(float)
    linear = np.polynomial.polynomial.polyval(raw[:, 50, 36], coefficients[:, 50, 36])
    assert_allclose(np.diff(linear), np.diff(charge), rtol=2e-3)
    # Reference pixels stay as they are read.
    assert_array_equal(coefficients[:, :, :4], np.eye(len(coefficients))[1][:, None, None] * np.ones((SHAPE[0], 4)))


def test_dark_grows_by_the_current_of_each_pixel(usual):
    patterns, references = usual
    dark = references["dark"].data[0]
    assert dark.shape == (6, *SHAPE)
    scene = LrsScene()
    assert_allclose(dark[0], patterns.dark_e_s / scene.detector.gain * scene.subarray.frame_time_s, rtol=1e-6)
    assert_allclose(dark[5], 6 * dark[0], rtol=1e-5)


@pytest.mark.parametrize("time_constant", [2.0, 15.0])
def test_reset_lasts_until_its_decay_is_over(time_constant):
    scene = LrsScene().with_("reset_decay", time_constant_groups=time_constant, scatter=0.0)
    _, references = made(scene)
    data = references["reset"].data
    assert references["reset"].meta.exposure.ngroups == data.shape[1]
    assert_allclose(data[:, 0, 0, 36], [150, 250], rtol=1e-6)  # the first integration, then later ones
    assert data[1, -1, 0, 36] * np.exp(-1 / time_constant) <= 0.1
    assert not data[:, :, :, :4].any()


@pytest.mark.parametrize(("fraction", "constant"), [(0.005, 0.5), (0.1, 3.0), (4e-4, 3.0), (0.0, 3.0)])
def test_groups_are_dropped_until_the_missing_signal_does_not_matter(fraction, constant):
    scene = LrsScene().with_("rscd", fraction=fraction, first_fraction=fraction / 2, time_constant_groups=constant)
    table = made(scene)[1]["rscd"].rscd_group_skip_table
    for name, missing in (("group_skip", fraction), ("group_skip1", fraction / 2)):
        skip = int(table[name][0])
        left = missing * detector.decay(skip + 1, constant).ravel()
        assert left[skip] <= 5e-4 * (1 + 1e-9)
        assert skip == 0 or left[skip - 1] > 5e-4


def test_interference_has_one_wave_per_cycle():
    scene = LrsScene().with_("emi", amplitudes_dn=((1, 3.0), (2, 1.0)))
    model = made(scene)[1]["emicorr"]
    wave = np.array(model.frequencies.Hz390.phase_amplitudes)
    power = np.abs(np.fft.rfft(wave)) * 2 / wave.size
    assert_allclose(power[1:4], [3, 1, 0], atol=1e-6)
    case = model.subarray_cases.instance["SLITLESSPRISM"]
    assert case["frameclocks"] == scene.subarray.frame_clocks
    assert case["rowclocks"] == scene.subarray.row_clocks


def test_without_noise_the_read_noise_is_small_and_not_zero():
    data = made(LrsScene().without("read_noise"))[1]["readnoise"].data
    assert_allclose(data, 0.1 * np.sqrt(2), rtol=1e-6)
