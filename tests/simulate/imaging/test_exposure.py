"""Exposures of a field: what a seed determines, dithers, and readouts whose truth is exact."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.core.quality_flags import DEAD, HOT
from detectorist.simulate.imaging.scene import ImagingScene

NOISE = ("photon_noise", "read_noise", "flicker", "drift", "columns", "reset_noise")
EVENTS = ("cosmic_rays", "snowballs")
SIZE = 64


def bare(*names, **detector):
    """Return exposures with the given components and a detector without noise."""
    scene = ImagingScene().with_detector(size=SIZE, outputs=1, **{"pattern": "RAPID", **detector}).only(*names)
    return scene.observe(ints=2, groups=5, exposures=3, seed=4)


def test_a_seed_determines_the_field_and_another_number_the_dither():
    scene = ImagingScene().with_detector(size=SIZE)
    first, again, other = (scene.observe(exposures=3, seed=seed) for seed in (4, 4, 5))
    assert_array_equal(first.sources(2), again.sources(2))
    assert first.dither(0) == (0.0, 0.0)
    places = np.array([first.dither(1), first.dither(2), other.dither(1)])
    assert np.abs(places).max() <= 40
    assert np.unique(places.round(6), axis=0).shape == (3, 2)


def test_what_is_left_out_gives_no_light():
    exposures = bare("sky")
    assert exposures.sky().mean() > 0.2
    assert not exposures.sources(1).any()
    assert not exposures.wisp().any()
    assert exposures.wisp_templates is not None  # the file of templates is that of the detector
    assert not bare("stars").sky().any()


def test_bad_pixels_are_bad_in_the_ramp_as_in_the_mask():
    exposures = ImagingScene().with_detector(size=SIZE, outputs=1, pattern="RAPID").only("bad_pixels")
    exposures = exposures.with_("bad_pixels", hot_fraction=0.02, dead_fraction=0.03, hot_dn_s=(2e3, 5e3))
    exposures = exposures.observe(ints=1, groups=5, seed=4)
    light = np.full((SIZE, SIZE), 1e3)
    raw = exposures.read_out(0, 0, light).raw.astype(float)
    time_s = 4 * exposures.window.group_time_s
    rate = (raw[-1] - raw[0]) / time_s
    flags = exposures.patterns.dq
    assert 40 < ((flags & HOT) > 0).sum() < 130
    assert_allclose(rate[(flags & DEAD) > 0], 0)
    assert rate[(flags & HOT) > 0].min() > 2.9e3
    assert_allclose(rate[flags == 0], 1e3, atol=1.01 / time_s)  # rounded twice


def test_the_offset_of_a_reset_is_the_same_in_all_groups_and_new_in_every_integration():
    exposures = bare("reset_noise")
    dark = np.zeros((SIZE, SIZE))
    first, second = (exposures.read_out(0, k, dark) for k in (0, 1))
    assert np.ptp(first.raw, axis=0).max() == 0
    assert_array_equal(first.zero_frame, first.raw[0])
    change = first.raw[0].astype(float) - second.raw[0]
    expected = np.sqrt(2) * exposures.scene.reset_noise.rms_e / exposures.window.facts.gain
    assert change.std() == pytest.approx(expected, rel=0.05)  # 4096 pixels: 1.1 %


def test_a_hit_is_in_the_ramp_from_its_frame_on():
    scene = ImagingScene().with_detector(size=SIZE, outputs=1, pattern="RAPID").only("cosmic_rays")
    exposures = scene.with_("cosmic_rays", hits_per_s=4e4, spread_dex=0.0).observe(ints=1, groups=5, seed=4)
    found = exposures.read_out(0, 0, np.zeros((SIZE, SIZE)))
    hits, gain = found.hits, exposures.scene.detector.gain or exposures.window.facts.gain
    assert hits.group.size > 20
    expected = np.zeros(found.raw.shape)
    hits.add_to(expected)
    got = (found.raw - exposures.patterns.bias_dn) * gain
    assert np.abs(got - expected)[:, 1:-1, 1:-1].max() <= 0.51 * gain + 1e-3


def test_a_full_pixel_stays_full_and_the_converter_stops_at_its_limit():
    exposures = bare("sky")
    light = np.zeros((SIZE, SIZE))
    light[10, 20] = 1e7
    raw = exposures.read_out(0, 0, light).raw
    well = exposures.window.facts.full_well_e / exposures.window.facts.gain
    expected = min(exposures.patterns.bias_dn[10, 20] + well, 65_535)
    assert_allclose(raw[:, 10, 20], expected, atol=1)
    assert raw[:, 10, 21].max() < 9_000
