"""A star is subtracted by others: shifts are found, noise is what it should be, a companion's loss is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tests.unit.algorithms.stars.coronagraph_scene import CENTRE, SHAPE, halo, noisy, point

from detectorist.algorithms.stars.star_alignment import align_reference, fill_unknown
from detectorist.algorithms.stars.star_subtraction import subtract_star, without_spikes

DITHERS = ((0.0, 0.0), (0.22, -0.18), (-0.2, -0.21))


def references(rng, brightness=1.8):
    return tuple(zip(*(noisy(brightness * halo(CENTRE[0] + x, CENTRE[1] + y), rng) for x, y in DITHERS), strict=True))


@pytest.mark.parametrize("shift", [(0.25, -0.15), (1.4, 0.8), (0.0, 0.0)])
def test_scale_and_shift_are_found(rng, shift):
    image, _ = noisy(halo() + point(80.0, 75.0, 300.0), rng)
    reference, _ = noisy(halo(CENTRE[0] + shift[0], CENTRE[1] + shift[1]) / 0.4, rng)
    found = align_reference(image, reference)
    assert found.scale == pytest.approx(0.4, rel=0.01)
    assert found.shift_pix == pytest.approx((-shift[0], -shift[1]), abs=0.02)


def test_nothing_to_compare_is_no_alignment(rng):
    found = align_reference(np.full(SHAPE, np.nan), halo())
    assert np.isnan(found.scatter)
    with pytest.raises(ValueError, match="shape"):
        align_reference(halo(), halo()[1:])


def test_unknown_pixels_are_filled_from_their_neighbours():
    image = halo()
    spoilt = image.copy()
    spoilt[40, 50] = np.nan
    beside = np.delete(image[39:42, 49:52].ravel(), 4)
    assert beside.min() < fill_unknown(spoilt)[40, 50] < beside.max()
    assert np.isfinite(fill_unknown(np.full(SHAPE, np.nan))).all()


def test_what_is_left_is_noise_of_the_stated_size(rng):
    image, variance = noisy(halo(), rng)
    others, variances = references(rng)
    found = subtract_star(image, others, centre=CENTRE, variance=variance, reference_variances=variances)
    yy, xx = np.indices(SHAPE)
    radius = np.hypot(yy - CENTRE[1], xx - CENTRE[0])
    pull = found.image / np.sqrt(found.variance)
    # Interpolation smooths the noise of references, which is a part of the whole.
    for inner, outer in ((12, 30), (30, 55)):
        ring = (radius > inner) & (radius < outer)
        assert np.nanstd(pull[ring]) == pytest.approx(1.0, abs=0.06)
    assert np.nanstd(found.image) < 0.05 * halo().std()


def test_the_subtraction_is_linear_in_the_light_of_a_companion(rng):
    """What `passed` says of a companion is what injection into the image does, alignment included."""
    image, variance = noisy(halo(), rng)
    others, variances = references(rng)
    light = point(85.3, 70.2, 40.0)
    options = {"centre": CENTRE, "variance": variance, "reference_variances": variances}
    without, with_it = (subtract_star(one, others, **options) for one in (image, image + light))
    change = with_it.image - without.image
    near = light > 0.02 * light.max()
    assert_allclose(change[near], without.passed(light)[near], atol=0.01 * light.max())


def test_modes_are_those_of_least_squares(rng):
    """With all modes, a ring is the plain least-squares fit of the references on it."""
    image, _ = noisy(halo(), rng)
    others, _ = references(rng)
    found = subtract_star(image, others, centre=CENTRE)
    ring = found.rings[2]
    design = np.stack([*(one.image.ravel()[ring.pixels] for one in found.references), np.ones(ring.pixels.size)], 1)
    values = image.ravel()[ring.pixels]
    best = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    assert_allclose(found.image.ravel()[ring.pixels], best, atol=1e-8)


def test_unknown_pixels_stay_unknown_and_inputs_untouched(rng):
    image, _ = noisy(halo(), rng)
    others = list(references(rng)[0])
    image[50:60, 60:80] = np.nan
    before = image.copy(), others[0].copy()
    found = subtract_star(image, others, centre=CENTRE)
    assert np.isnan(found.image[50:60, 60:80]).all()
    assert_allclose(image, before[0])
    assert_allclose(others[0], before[1])


def test_single_bad_pixels_are_left_out_and_a_bright_companion_is_not(rng):
    image, variance = noisy(halo() + point(85.0, 70.0, 3000.0), rng)
    image[20, 30] += 15.0
    cleaned = without_spikes(image, variance)
    assert np.isnan(cleaned[20, 30])
    assert np.isfinite(cleaned[65:76, 80:91]).all()
    assert np.isnan(cleaned).mean() < 2e-3


def test_what_cannot_be_done_is_refused(rng):
    image, _ = noisy(halo(), rng)
    with pytest.raises(ValueError, match="no image of a reference star"):
        subtract_star(image, [], centre=CENTRE)
    with pytest.raises(ValueError, match="too few"):
        subtract_star(np.full(SHAPE, np.nan), [image], centre=CENTRE)
    with pytest.raises(ValueError, match="most_modes"):
        subtract_star(image, [image], centre=CENTRE, most_modes=0)


def test_light_that_stays_with_the_mask_is_not_moved(rng):
    """A bright core moves with the star, the speckles about it do not: what leaves less is taken."""
    image, variance = noisy(halo() + point(*CENTRE, 4000.0, fwhm=6.0), rng)
    cores = (point(CENTRE[0] + x, CENTRE[1] + y, 4000.0, fwhm=6.0) for x, y in ((0.5, 0.4), (0.4, -0.5)))
    others, variances = zip(*(noisy(1.5 * (halo() + core), rng) for core in cores), strict=True)
    found = subtract_star(image, others, centre=CENTRE, variance=variance, reference_variances=variances)
    assert all(one.shift_pix == (0.0, 0.0) for one in found.references)
    moved = align_reference(image, others[0])
    assert np.hypot(*moved.shift_pix) > 0.05
    yy, xx = np.indices(SHAPE)
    far = np.hypot(yy - CENTRE[1], xx - CENTRE[0]) > 14
    assert np.nanstd((found.image / np.sqrt(found.variance))[far]) == pytest.approx(1.0, abs=0.06)


def test_references_that_were_cleaned_before_are_not_cleaned_again(rng):
    image, variance = noisy(halo(), rng)
    others, variances = references(rng)
    others[0][30, 40] += 1e4 * np.sqrt(variances[0][30, 40])  # a single hot pixel
    how = {"centre": CENTRE, "variance": variance, "reference_variances": variances}
    cleaned = [without_spikes(*pair) for pair in zip(others, variances, strict=True)]
    assert np.isnan(cleaned[0][30, 40])
    here, before = subtract_star(image, others, **how), subtract_star(image, cleaned, cleaned=True, **how)
    np.testing.assert_array_equal(before.image, here.image)
    assert not np.array_equal(subtract_star(image, others, cleaned=True, **how).image, here.image, equal_nan=True)


def test_what_is_left_of_light_within_a_cut_is_a_part_of_what_is_left_of_all(rng):
    image, variance = noisy(halo(), rng)
    others, variances = references(rng)
    star = subtract_star(image, others, centre=CENTRE, variance=variance, reference_variances=variances)
    light, cut = np.zeros(SHAPE), (slice(20, 35), slice(60, 75))
    light[cut] = rng.random((15, 15))
    np.testing.assert_array_equal(star.passed_within(light[cut], cut), star.passed(light)[cut])
    assert np.ptp(star.passed(light)[cut]) > 0
