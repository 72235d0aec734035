"""The strength of one wisp of known shape, and what its parts do with outliers and noisy templates."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from detectorist.algorithms.wisps import wisp_strength, wisp_variation
from detectorist.errors import TooFewPixels

NY = NX = 320
YY, XX = np.mgrid[:NY, :NX]
WHITE = 0.02


def filament(x, y, width, length, angle):
    u = (XX - x) * np.cos(angle) + (YY - y) * np.sin(angle)
    v = -(XX - x) * np.sin(angle) + (YY - y) * np.cos(angle)
    return 0.1 * np.exp(-0.5 * (u / width) ** 2 - 0.5 * (v / length) ** 2)


WISP = (filament(120, 180, 14, 90, 0.9) + filament(200, 120, 12, 70, 0.5)).astype(np.float32)
ALL = np.ones((NY, NX), bool)


def image_of(rng, strength, *, level=0.3):
    return (level + strength * WISP + WHITE * rng.normal(size=WISP.shape)).astype(np.float32)


def measured(image, usable=ALL, templates=WISP[None]):
    return wisp_strength.measure_strength(image, usable, templates)


@pytest.mark.parametrize("strength", [0.0, 0.6, 2.5])
def test_the_strength_is_within_its_error(rng, strength):
    found = measured(image_of(rng, strength))
    error = np.sqrt(found.covariance[0, 0])
    assert abs(found.scale[0] - strength) < 4 * error
    # White noise alone allows sigma / |template|; planes and freedom of shape cost some.
    best = WHITE / np.sqrt((WISP.astype(float) ** 2).sum())
    assert best < found.least_error[0] < 3 * best
    assert found.least_error[0] <= error < 0.05 + 0.1 * strength


def test_a_strength_that_varies_is_known_less_well(rng):
    """Parts twice as bright as others: what the strength does within places is not resolved, and is in the error."""
    parts = [filament(120, 180, 14, 90, 0.9), filament(200, 120, 12, 70, 0.5)]
    noise = 0.3 + 0.5 * WHITE * rng.normal(size=WISP.shape)
    same, varies = (
        measured((noise + first * parts[0] + second * parts[1]).astype(np.float32))
        for first, second in ((3.0, 3.0), (2.0, 4.0))
    )
    errors = [float(np.sqrt(one.covariance[0, 0]) / one.scale[0]) for one in (same, varies)]
    assert errors[1] > 1.5 * errors[0]
    assert errors[1] < 0.15


def test_planes_as_wide_as_places_see_more_than_the_place(rng):
    """A place that is brighter lifts planes on places beside it: what planes leave there is known, not guessed."""
    bins = wisp_strength.bin_wisp(image_of(rng, 0.0), ALL, WISP[None])
    places, _ = wisp_variation.places_of(wisp_variation._light(bins, np.ones(1)))
    brighter = bins.mean(1) * (1 + 0.2 * places[0])
    image = replace(bins, totals=np.concatenate([(brighter * bins.count)[None], bins.totals[1:]]))
    start = wisp_strength.Start(np.ones(1), ~bins.ok, 1e-5)
    sharp, _ = wisp_strength._fit_robustly(image, start, *wisp_strength.PLANES[2])
    guessed = 0.2 * places[0] * sharp.rest[1]
    assert len(sharp.uneven) == len(places)
    assert_allclose(sharp.rest[0], sharp.rest[1] + 0.2 * sharp.uneven[0], atol=1e-6)
    assert np.abs(0.2 * sharp.uneven[0] - guessed).max() > 0.1 * np.abs(guessed).max()


def test_masked_pixels_may_hold_anything(rng):
    image, usable = image_of(rng, 0.8), rng.random(WISP.shape) > 0.1
    clean = measured(image, usable)
    dirty = measured(np.where(usable, image, np.nan).astype(np.float32), usable)
    assert_allclose(dirty.scale, clean.scale, rtol=1e-5)
    assert_allclose(dirty.covariance, clean.covariance, rtol=1e-4)


def test_level_and_unit_do_not_matter(rng):
    image = image_of(rng, 0.8)
    found, scaled = measured(image), measured(7 * image + 100, templates=7 * WISP[None])
    assert_allclose(scaled.scale, found.scale, rtol=1e-3)


def test_sources_hide_it_no_more_than_their_area(rng):
    image = image_of(rng, 0.8)
    for x, y, peak in zip(rng.uniform(0, NX, 40), rng.uniform(0, NY, 40), 10 ** rng.uniform(-1, 2, 40), strict=True):
        image += (peak * np.exp(-0.5 * ((XX - x) ** 2 + (YY - y) ** 2) / 4)).astype(np.float32)
    found = measured(image)
    assert abs(found.scale[0] - 0.8) < 4 * np.sqrt(found.covariance[0, 0])
    assert 0.02 < found.excluded.mean() < 0.5


class TestParts:
    def test_the_first_strength_is_that_of_the_majority(self, rng):
        light = WISP.reshape(40, 8, 40, 8).mean(axis=(1, 3))
        image = 0.7 * light + 1e-4 * rng.normal(size=light.shape)
        struck = rng.random(light.shape) < 0.1
        image[struck] += 50.0
        bins = wisp_strength.bin_wisp(image_of(rng, 0.7), ALL, WISP[None])
        totals = np.stack([image, light, 0 * light, 0 * light]) * 64
        outlying = type(bins)(totals, bins.count, bins.white, bins.lit, 1)
        assert wisp_strength._first_strength(outlying) == pytest.approx(0.7, abs=0.02)
        without = type(bins)(totals * np.array([1, 0, 0, 0])[:, None, None], bins.count, bins.white, bins.lit, 1)
        assert wisp_strength._first_strength(without) == 0.0

    @pytest.mark.parametrize("shape", [(60, 60), (12, 20)], ids=["far from the light", "too small for that"])
    def test_noise_of_a_template_is_told_from_where_it_is_dark(self, rng, shape):
        templates = np.array([0.01, 0.03])[:, None, None] * rng.normal(size=(2, *shape))
        dark = np.ones(shape, bool)
        dark[:3, :3] = False
        templates[:, ~dark] += 5.0
        beside = ndimage.binary_dilation(~dark, iterations=6)
        found = np.sqrt(wisp_strength._template_noise(templates, dark, beside))
        n = dark.sum()
        assert_allclose(found, [0.01, 0.03], rtol=max(5 * 1.2 / np.sqrt(2 * n), 0.06) * (1 if n > 1000 else 1.7))
        assert not wisp_strength._template_noise(templates, ~dark, beside).any()  # nine bins tell nothing

    def test_a_second_derivative_shares_the_noise_of_its_template(self, rng):
        noise, own, dark = rng.normal(size=(60, 60)), rng.normal(size=(60, 60)), np.ones((60, 60), bool)
        columns = np.stack([noise, own, own, 0.5 * own - 2 * noise])
        found = wisp_strength._shared_noise(columns, dark, ~dark)
        assert_allclose(np.diag(found), [1, 1, 1, 4.25], rtol=0.15)
        assert found[0, 3] == found[3, 0] == pytest.approx(-2, rel=0.15)
        assert not found[:3, :3][~np.eye(3, dtype=bool)].any()

    def test_noise_that_neighbours_share_is_told_in_full_between_many_sources(self, rng):
        """A quarter of the bins hidden by sources that lie everywhere: the template is as dark there as elsewhere."""
        noise = ndimage.gaussian_filter(rng.normal(size=(1, 100, 100)), (0, 1, 1))
        noise /= noise.std()
        light = np.zeros((100, 100), bool)
        light[40:60, 40:60] = True
        seen = ~ndimage.binary_dilation(rng.random((100, 100)) < 0.03, np.ones((3, 3)))
        beside = ndimage.binary_dilation(light, iterations=15)
        found = wisp_strength._template_noise(noise, seen & ~light, beside)
        assert found[0] == pytest.approx(1.0, rel=0.15)

    def test_a_noisy_template_is_not_diluted(self, rng):
        # Without the correction the strength is too small by noise / (noise + structure): a third.
        true, sigma = rng.normal(size=(100, 100)), np.sqrt(0.5)
        rest = np.stack([0.8 * true, true + sigma * rng.normal(size=true.shape), 0 * true, 0 * true])
        used, weight = np.ones(true.shape, bool), np.ones(true.shape)
        assert wisp_strength._solve_strengths(rest, weight, used, np.zeros(1))[0] == pytest.approx(0.53, abs=0.03)
        assert wisp_strength._solve_strengths(rest, weight, used, np.array([0.5]))[0] == pytest.approx(0.8, abs=0.05)

    def test_two_components_are_solved_for_together_and_none_is_negative(self, rng):
        first, second = rng.normal(size=(2, 60, 60))
        second = second + 0.5 * first
        used, weight = np.ones(first.shape, bool), rng.uniform(0.5, 2, first.shape)
        for true, expected in (((0.7, 0.2), (0.7, 0.2)), ((0.5, -0.1), None)):
            rest = np.stack([true[0] * first + true[1] * second, first, second, 0 * first, 0 * first])
            found = wisp_strength._solve_strengths(rest, weight, used, np.zeros(2))
            assert found.min() >= 0
            if expected:
                assert_allclose(found, expected, rtol=1e-9)

    def test_templates_that_tell_nothing_are_refused(self, rng):
        one = rng.normal(size=(30, 30))
        used, weight = np.ones(one.shape, bool), np.ones(one.shape)
        with pytest.raises(TooFewPixels, match="hardly more than noise"):
            wisp_strength._solve_strengths(np.stack([one, one, one, one]), weight, used, np.ones(1))
        with pytest.raises(TooFewPixels, match="cannot separate the components"):
            wisp_strength._solve_strengths(np.stack([one, one, 2 * one, one, one]), weight, used, np.zeros(2))


def test_values_of_bins_are_linear_between_their_middles():
    bins = np.array([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]], np.float32)
    found = wisp_strength._on_pixels(bins, (13, 20))
    middles = (np.arange(20) + 0.5) / 8 - 0.5
    assert_allclose(found, np.tile(np.interp(middles, np.arange(3), bins[0]), (13, 1)), atol=1e-6)
    assert_allclose(wisp_strength._on_pixels(bins.T, (20, 13)), found.T, atol=1e-6)


def test_broad_filaments_count_under_a_galaxy(rng):
    """A broad filament as bright as its template, narrow ones weaker: planes that follow the galaxy see these alone."""
    y, x = np.mgrid[:768, :768].astype(float)
    broad = 0.1 * np.exp(-0.5 * ((x - y + 48) / 60) ** 2 - 0.5 * ((x + y - 780) / 220) ** 2)
    narrow = 0.1 * np.exp(-0.5 * ((x - 0.8 * y - 20) / 14) ** 2 - 0.5 * ((y - 420) / 130) ** 2)
    template, wisp = broad + narrow, broad + 0.75 * narrow
    along, across = (y - 400) * np.cos(0.3) + (x - 330) * np.sin(0.3), (x - 330) * np.cos(0.3) - (y - 400) * np.sin(0.3)
    galaxy = 1.5 * np.exp(-np.hypot(along, across / 0.45) / 120)
    image = (0.3 + wisp + galaxy + 0.015 * rng.normal(size=wisp.shape)).astype(np.float32)
    found = measured(image, np.ones(wisp.shape, bool), template[None].astype(np.float32))
    light = (found.scale[0] * found.local * template**2).sum() / (wisp * template).sum()
    assert light == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize(("light", "kept"), [(0.0, [0, 1, 2]), (0.2, [2])])
def test_where_bright_light_is_on_the_wisp_narrow_planes_are_measured_without_it(rng, monkeypatch, light, kept):
    """A halo that planes cannot follow made strengths too large by 6 % of theirs, three of their errors."""
    bins = wisp_strength.bin_wisp(image_of(rng, 1.0), ALL, WISP[None])
    taken = light * bins.count * np.linspace(0, 1, bins.count.shape[1])
    clean = replace(bins, totals=bins.totals - taken * (np.arange(len(bins.totals)) == 0)[:, None, None])
    monkeypatch.setattr(wisp_strength, "without_bright_light", lambda *_: clean)
    nothing = ~bins.ok
    start = wisp_strength.Start(np.ones(1), nothing, 1e-5)
    found = wisp_strength._fit_without_bright_light(bins, [start] * 4, [0, 1, 2])
    assert found[: len(kept)] == kept
    assert len(found) == 4


def test_noise_of_modelled_light_counts_more_but_not_strengths_that_vary(rng):
    bins = wisp_strength.bin_wisp(image_of(rng, 1.0), ALL, WISP[None])
    start = wisp_strength.Start(np.ones(1), ~bins.ok, 1e-5)
    sharp, last = wisp_strength._fit_robustly(bins, start, *wisp_strength.PLANES[0])
    found = wisp_strength.fit_variation(bins, sharp, last.scale)
    counted = wisp_strength._with_noise_of_model(found)
    of_places = float((found.causes[:, bins.count.size :] ** 2).sum())
    assert 0 < of_places < found.covariance[0, 0]
    assert_allclose(counted.covariance - of_places, 4 * (found.covariance - of_places))
    assert_allclose(counted.causes[:, bins.count.size :], found.causes[:, bins.count.size :])
