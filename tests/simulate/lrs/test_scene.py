"""Scenes are chains that do not change, and components do not touch one another."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.errors import ParameterError
from detectorist.simulate.core import miri_detector, quality_flags
from detectorist.simulate.lrs.scene import LrsScene

ELECTRONIC = ("emi", "drift", "reset_decay", "last_frame", "reset_noise", "read_noise")


def test_a_chain_leaves_its_beginning_alone():
    first = LrsScene()
    second = first.with_star(mag=8.0).without("emi")
    assert (first.star.mag, first.has("emi")) == (9.0, True)
    assert (second.star.mag, second.has("emi")) == (8.0, False)


def test_changing_a_component_puts_it_back_in():
    assert LrsScene().without("drift").with_("drift", walk_dn=3.0).has("drift")


def test_only():
    scene = LrsScene().only("star", "background")
    assert [name for name in LrsScene.components() if scene.has(name)] == ["star", "background"]


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda s: s.without("cosmic_ray"), "cosmic_rays"),
        (lambda s: s.only("stars"), "star"),
        (lambda s: s.with_star(magnitude=3), "mag"),
        (lambda s: s.with_("readnoise", rms_dn=3), "read_noise"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(call, hint):
    with pytest.raises(ParameterError, match=f'did you mean "{hint}"'):
        call(LrsScene())


@pytest.mark.parametrize(
    "numbers", [{"ints": 0}, {"ints": 10**8}, {"groups": 1}, {"segments": 0}, {"seed": -1}, {"ints": 2, "segments": 3}]
)
def test_impossible_exposures_are_refused(numbers):
    with pytest.raises(ParameterError):
        LrsScene().observe(**numbers)


def test_depth_spectrum_as_pairs_or_as_two_arrays():
    um, depth = np.linspace(4, 14, 30), np.linspace(0.01, 0.02, 30)
    by_arrays = LrsScene().with_transit(depth_spectrum=(um, depth))
    by_pairs = LrsScene().with_transit(depth_spectrum=list(zip(um, depth, strict=True)))
    assert by_arrays == by_pairs
    with pytest.raises(ParameterError, match="rising"):
        LrsScene().with_transit(depth_spectrum=(um[::-1], depth))


@pytest.mark.parametrize("name", ["emi", "drift", "cosmic_rays", "reset_noise", "last_frame", "reset_decay"])
def test_leaving_one_out_changes_no_other(name):
    """What a component adds is the same whether another one is there or not, up to rounding."""
    plain = LrsScene().without("nonlinearity", "rscd").with_("cosmic_rays", hits_per_s=50.0)
    other = "read_noise"

    def ramp(scene):
        return scene.observe(ints=2, groups=4, segments=1, seed=11).read_out(1).raw.astype(float)

    with_other = ramp(plain) - ramp(plain.without(name))
    without_other = ramp(plain.without(other)) - ramp(plain.without(other, name))
    assert np.abs(with_other).max() > 3
    assert_allclose(with_other, without_other, atol=2)


def test_segments_do_not_change_integrations():
    one = LrsScene().observe(ints=4, groups=3, segments=1, seed=3).read_out(3)
    two = LrsScene().observe(ints=4, groups=3, segments=2, seed=3).read_out(3)
    assert_array_equal(one.raw, two.raw)


def test_seeds_differ():
    ramps = [LrsScene().observe(ints=2, groups=3, segments=1, seed=s).read_out(0).raw for s in (1, 2)]
    assert np.mean(ramps[0] != ramps[1]) > 0.5


def test_detector_is_the_same_for_all_seeds():
    """One set of references serves all exposures of a scene."""
    pedestals = [LrsScene().observe(seed=s).patterns.pedestal_dn for s in (1, 2)]
    assert_array_equal(*pedestals)
    other = LrsScene().with_detector(serial=2).observe(seed=1).patterns.pedestal_dn
    assert np.std(other - pedestals[0]) > 50


def test_bare_ramp_is_pedestal_plus_light():
    """With nothing but light, every read can be computed by hand."""
    scene = LrsScene().only("star", "background").with_detector(gain=2.0)
    exposure = scene.observe(ints=2, groups=5, segments=1)
    raw = exposure.read_out(1).raw.astype(float)
    light = exposure.light(1)
    light[:, :4] = 0
    expected = exposure.patterns.pedestal_dn + light * 0.15904 * np.arange(1, 6)[:, None, None]
    assert np.abs(raw - expected).max() <= 0.5 + 1e-6


def test_reference_pixels_see_the_electronics_only():
    exposure = LrsScene().observe(ints=2, groups=4, segments=1, seed=5)
    dark = LrsScene().without("star", "background", "dark", "cosmic_rays").observe(ints=2, groups=4, segments=1, seed=5)
    lit = LrsScene().without("cosmic_rays").observe(ints=2, groups=4, segments=1, seed=5)
    assert_array_equal(lit.read_out(1).raw[:, :, :4], dark.read_out(1).raw[:, :, :4])
    flags = exposure.patterns.dq[:, :4]
    assert np.all(flags == quality_flags.REFERENCE_PIXEL)


def test_first_integration_starts_differently():
    scene = LrsScene().only("star", "rscd", "reset_decay")
    exposure = scene.observe(ints=3, groups=8, segments=1)
    first, second, third = (exposure.read_out(i).raw.astype(float) for i in range(3))
    assert_allclose(second, third, atol=1)
    background = (second - first)[:, :, 60:]
    assert_allclose(background[0].mean(), 100, rtol=0.02)
    assert np.abs(background[7]).max() < 5


def test_last_group_is_pulled_down_by_parity():
    scene = LrsScene().only("background", "last_frame")
    ramp = scene.observe(ints=1, groups=6, segments=1).read_out(0).raw[:, :, 10:].astype(float)
    missing = 2 * ramp[-2] - ramp[-3] - ramp[-1]
    assert_allclose(missing[0::2].mean(), 60, atol=1)
    assert_allclose(missing[1::2].mean(), 25, atol=1)


def test_sixteen_bits_clip_nothing_but_saturated_pixels():
    exposure = LrsScene().without("cosmic_rays", "bad_pixels").observe(ints=2, groups=20, segments=1, seed=2)
    raw = exposure.read_out(1).raw
    assert raw.min() > 5_000
    assert raw.max() < 60_000
    assert exposure.saturation_group is None


def test_saturation_is_announced_where_it_happens():
    exposure = LrsScene().only("star", "nonlinearity").with_star(mag=7.0).observe(ints=1, groups=40, segments=1)
    raw = exposure.read_out(0).raw
    brightest = raw[:, *np.unravel_index(raw[5].argmax(), raw[5].shape)]
    first = int(np.argmax(brightest >= 60_000))
    assert abs(exposure.saturation_group - first) <= 1


def test_long_ramps_reach_the_curve_without_saturating():
    scene = LrsScene.for_long_ramps().without("cosmic_rays", "bad_pixels")
    exposure = scene.observe(ints=2, groups=100, segments=1)
    assert exposure.saturation_group is None
    rate = exposure.light(0).max()
    measured = miri_detector.response_curve(scene).measured(np.array(rate * 15.904))
    assert 0.05 < 1 - measured / (rate * 15.904) < 0.1
    assert exposure.read_out(0).raw.max() < 60_000


def test_dead_and_hot_pixels_are_flagged_where_they_are():
    patterns = LrsScene().observe().patterns
    dead = (patterns.dq & quality_flags.DEAD) != 0
    hot = (patterns.dq & quality_flags.HOT) != 0
    assert dead.sum() > 5
    assert hot.sum() > 20
    assert np.all(patterns.response[dead] == 0)
    assert np.all((patterns.hot_dn_s > 0) == (hot & (np.arange(72) >= 4)))
    assert np.all(patterns.dq[dead] & quality_flags.DO_NOT_USE)


@pytest.mark.parametrize("name", ELECTRONIC)
def test_every_electronic_component_can_be_the_only_one(name):
    raw = LrsScene().only(name).observe(ints=2, groups=4, segments=1).read_out(1).raw.astype(float)
    pedestal = LrsScene().observe().patterns.pedestal_dn
    assert np.std(raw - pedestal) > 1 / np.sqrt(12) + 0.1
