"""The light behind a mask."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.simulate.coron import sky
from detectorist.simulate.coron.components import Companion, MaskedStar
from detectorist.simulate.coron.scene import CoronScene

SHAPE = (61, 81)
CENTRE = (40.0, 30.0)


class TestLight:
    def test_companion_keeps_its_flux_wherever_it_lies(self):
        image = sky.companion_image(Companion(rate_dn_s=500.0), SHAPE, (30.3, 24.7))
        yy, xx = np.indices(SHAPE)
        assert image.sum() == pytest.approx(500.0, rel=1e-9)
        assert (image * xx).sum() / 500 == pytest.approx(30.3, abs=1e-6)
        assert (image * yy).sum() / 500 == pytest.approx(24.7, abs=1e-6)

    def test_companion_turns_with_the_sky_and_speckles_stay(self):
        scene = CoronScene()
        observed = scene.observe(ints=1, rolls=2, dithers=0)
        first, second = (np.array(observed.companion_place(visit)) - scene.mode.centre for visit in observed.visits)
        assert np.hypot(*first) == pytest.approx(1.6 / 0.063)
        turned = np.degrees(np.arctan2(*first) - np.arctan2(*second))
        assert (turned + 180) % 360 - 180 == pytest.approx(-10.0)
        bare = scene.without("jitter", "outliers").observe(ints=1, rolls=2, dithers=0)
        assert_array_equal(*(bare.light(visit, 0).star for visit in bare.visits))

    def test_reference_star_has_mostly_the_same_speckles_and_no_companion(self):
        observed = CoronScene().without("jitter", "outliers", "dither").observe(ints=1, rolls=1, dithers=1)
        target, reference = (observed.light(visit, 0) for visit in observed.visits)
        assert not reference.companion.any()
        halo = target.star < 1_000
        correlation = np.corrcoef(target.star[halo], reference.star[halo])[0, 1]
        assert 0.99 < correlation < 0.99999
        assert reference.star.sum() / target.star.sum() == pytest.approx(2.0, rel=0.02)

    def test_moving_a_star_moves_its_centroid(self):
        star = MaskedStar(spike_dn_s=0.0, halo_dn_s=0.0)
        image = sky.star_image(star, SHAPE, CENTRE, np.zeros(SHAPE), quadrants=False)
        moved = sky.moved(image, 0.3, -0.2)
        yy, xx = np.indices(SHAPE)
        assert (moved * xx).sum() / moved.sum() == pytest.approx(40.3, abs=2e-3)
        assert (moved * yy).sum() / moved.sum() == pytest.approx(29.8, abs=2e-3)
        assert moved.sum() == pytest.approx(image.sum(), rel=1e-3)

    def test_quadrants_are_dark_along_their_boundaries(self):
        star = MaskedStar(spike_dn_s=0.0, core_dn_s=0.0)
        image = sky.star_image(star, SHAPE, CENTRE, np.zeros(SHAPE), quadrants=True)
        tilt = np.radians(sky.QUADRANT_TILT_DEG)

        def at(angle, radius=15):
            return image[round(30 + radius * np.sin(angle)), round(40 + radius * np.cos(angle))]

        assert at(tilt) < 0.15 * at(tilt + np.pi / 4)
        assert at(tilt + np.pi / 2) < 0.15 * at(tilt + np.pi / 4)

    def test_outliers_are_above_the_noise_by_what_they_should(self):
        observed = CoronScene().with_("outliers", fraction=0.01).observe(ints=2, seed=3)
        light = observed.light(observed.visits[0], 1)
        sigma = (light.outliers / observed.expected_noise(light.steady))[light.outliers > 0]
        assert sigma.size == pytest.approx(0.01 * 320 * 320, rel=0.2)
        assert sigma.min() >= 15
        assert sigma.max() <= 300
        assert np.median(np.log(sigma)) == pytest.approx(np.log(15 * 300) / 2, abs=0.15)
