"""What a seed determines: times, places, light and noise of every integration."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene


def observed(scene, **changes):
    return scene.observe(**{"ints": 3, "groups": 4, "rolls": 2, "dithers": 5, "seed": 7} | changes)


def test_exposures_follow_each_other_and_integrations_do_not_overlap():
    exposures = observed(MiriCoronScene())
    starts = [exposures.clock(visit).start_mjd for visit in exposures.visits]
    assert_allclose(np.diff(starts) * 86_400, 1_800, atol=0.01)
    assert len(exposures.visits) == 2 + 5 + 2


def test_names_of_files_are_unique():
    exposures = observed(MiriCoronScene())
    stems = [exposures.stem(visit) for visit in exposures.visits]
    assert len(set(stems)) == len(stems)
    assert stems[0] == "jw09999001001_03102_00001_mirimage"


def test_dithers_are_steps_on_the_sky_in_pixels_of_the_instrument():
    for scene, scale in ((CoronScene(), 0.063), (MiriCoronScene(), 0.11)):
        exposures = observed(scene.without("jitter").with_("dither", step_arcsec=0.02))
        references = [visit for visit in exposures.visits if visit.kind == "REF"]
        offsets = np.array([exposures.offset_pix(visit, 1) for visit in references]) * scale
        assert_allclose(offsets / 0.02, [[0, 0], [-1, 1], [-1, -1], [1, 1], [1, -1]], atol=0.01)
        assert exposures.offset_pix(exposures.visits[0], 0) == (0.0, 0.0)


def test_jitter_is_new_in_every_integration_of_every_exposure():
    exposures = observed(CoronScene().without("dither"))
    places = {exposures.offset_pix(visit, k) for visit in exposures.visits for k in range(3)}
    assert len(places) == 3 * len(exposures.visits)
    assert exposures.offset_pix(exposures.visits[2], 1) == observed(CoronScene().without("dither")).offset_pix(
        exposures.visits[2], 1
    )


class TestLight:
    def test_parts_add_up_and_outliers_are_apart(self):
        exposures = observed(CoronScene().with_("outliers", fraction=0.001))
        light = exposures.light(exposures.visits[0], 1)
        assert_array_equal(light.steady, light.star + light.companion + light.background)
        assert light.companion.sum() == pytest.approx(150, rel=1e-3)
        assert 60 < (light.outliers > 0).sum() < 150
        other = exposures.light(exposures.visits[0], 2)
        assert ((light.outliers > 0) & (other.outliers > 0)).sum() < 5

    def test_an_empty_field_has_the_background_alone(self):
        exposures = observed(MiriCoronScene())
        for visit in exposures.visits[-2:]:
            light = exposures.light(visit, 0)
            assert visit.is_background
            assert not light.star.any()
            assert not light.companion.any()
            assert light.background.min() > 20

    def test_only_the_target_has_a_companion(self):
        exposures = observed(CoronScene())
        assert [visit.kind for visit in exposures.visits if exposures.companion_place(visit)] == ["SCI", "SCI"]
        without = observed(CoronScene().without("companion"))
        assert without.companion_place(without.visits[0]) is None

    def test_without_a_reference_star_its_field_is_empty(self):
        exposures = observed(CoronScene().without("reference"))
        target, reference = exposures.visits[0], exposures.visits[2]
        assert reference.kind == "REF"
        assert exposures.light(target, 0).star.any()
        assert not exposures.light(reference, 0).star.any()


class TestNoise:
    def test_it_is_that_of_read_noise_in_the_dark(self):
        exposures = observed(CoronScene().without("photon_noise"), groups=10)
        noise = exposures.expected_noise(np.zeros(exposures.mode.shape))
        variance = exposures.read_noise_dn**2 + 1 / 12
        assert_allclose(noise, np.sqrt(12 * variance / (10 * 99)) / exposures.group_time_s, rtol=1e-6)
        fewer = exposures.expected_noise(np.zeros(exposures.mode.shape), n_groups=5)
        assert_allclose(fewer, np.sqrt(12 * variance / (5 * 24)) / exposures.group_time_s, rtol=1e-6)

    def test_it_is_that_of_photons_where_nothing_is_read_badly(self):
        exposures = observed(MiriCoronScene().without("read_noise", "dark", "bad_pixels", "flat"), groups=10)
        assert exposures.read_noise_dn == 0
        noise = exposures.expected_noise(np.full(exposures.mode.shape, 2_000.0))
        time_s = 9 * exposures.group_time_s
        seen = noise[:, 8:]  # reference pixels are dark
        assert_allclose(seen, np.sqrt(2_000 / exposures.gain / time_s), rtol=2e-3)
        assert noise[:, :4].max() < 0.1 * seen.min()

    def test_averaged_frames_make_the_group_longer(self):
        exposures = observed(CoronScene().with_("detector", pattern="MEDIUM8"))
        assert exposures.frames_of_group == (8, 2)
        assert exposures.group_time_s == pytest.approx(10 * exposures.frame_time_s)
