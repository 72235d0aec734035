"""Images and templates in bins: sums, what counts as seen and as lit, and what noise explains."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from detectorist.algorithms.images.local_planes import fit_planes, fit_wide_planes
from detectorist.algorithms.wisps import wisp_bins
from detectorist.algorithms.wisps.wisp_bins import BIN_PIX, Bins, Planes, Sharp, bin_wisp, left_of
from detectorist.errors import TooFewPixels

NY, NX, WHITE = 160, 200, 0.02
YY, XX = np.mgrid[:NY, :NX]
TEMPLATE = np.exp(-0.5 * ((XX - 100) / 15) ** 2 - 0.5 * ((YY - 80) / 40) ** 2).astype(np.float32)


def binned(rng, *, mask=None, templates=(TEMPLATE,), level=5.0, nonsense=np.nan):
    mask = np.zeros((NY, NX), bool) if mask is None else mask
    image = level + 0.1 * TEMPLATE + WHITE * rng.normal(size=(NY, NX))
    return bin_wisp(np.where(mask, nonsense, image).astype(np.float32), ~mask, np.array(templates, np.float32))


def test_means_are_those_of_usable_pixels(rng):
    mask = np.zeros((NY, NX), bool)
    mask[:8, :8] = True
    mask[8:16, :5] = True
    mask[16:24, :4] = True
    bins = binned(rng, mask=mask)
    assert bins.count.shape == (20, 25)
    assert_array_equal(bins.count[:4, 0], [0, 24, 32, 64])
    # Half a bin is enough.
    assert_array_equal(bins.ok[:4, 0], [False, False, True, True])
    whole = TEMPLATE.reshape(20, 8, 25, 8).mean(axis=(1, 3))
    assert_allclose(bins.mean(1)[3:], whole[3:], rtol=1e-5)
    assert_allclose(bins.mean(1)[2, 0], TEMPLATE[16:24, 4:8].mean(), rtol=1e-4, atol=1e-9)
    assert_allclose(bins.wisp(np.array([0.7]))[5:], 0.7 * whole[5:], rtol=1e-5)
    assert np.isfinite(bins.totals).all()


def test_noise_of_bins_is_that_of_their_means(rng):
    bins = binned(rng, level=300.0)
    left = bins.mean(0) - 0.1 * bins.mean(1)
    assert_allclose(bins.white, WHITE**2 / 64, rtol=0.08)  # the median of 8000 steps
    pulls = (left - left.mean()) / np.sqrt(bins.white)
    assert pulls.std() == pytest.approx(1, abs=4 / np.sqrt(2 * pulls.size))


def test_derivatives_shift_the_wisp(rng):
    bins = binned(rng)
    moved = np.exp(-0.5 * ((XX - 101) / 15) ** 2 - 0.5 * ((YY - 80) / 40) ** 2)
    change = (moved - TEMPLATE).reshape(20, 8, 25, 8).mean(axis=(1, 3))
    # The wisp one pixel toward higher columns is the wisp minus its derivative.
    assert np.abs(change + bins.mean(3)).max() < 0.1 * np.abs(change).max()  # smoothed by 2 pixels
    assert np.abs(bins.mean(2)).max() < np.abs(bins.mean(3)).max()


def derivatives(template, smoothing):
    """Derivatives along y and x, and the second ones' sum, of a template smoothed by one width and by another."""
    first, second = (ndimage.gaussian_filter(template, width, truncate=3) for width in smoothing)
    return np.stack([*np.gradient(first), ndimage.laplace(second, mode="nearest")])


def test_a_template_is_moved_and_made_blunter_to_first_order():
    moved = wisp_bins.add_derivatives(TEMPLATE, (-0.5, 0.25, 3.0), (2.0, 4.0))
    expected = TEMPLATE + np.tensordot([-0.5, 0.25, 3.0], derivatives(TEMPLATE, (2.0, 4.0)), 1)
    assert_allclose(moved, expected, atol=1e-5)  # single precision
    assert_array_equal(wisp_bins.add_derivatives(TEMPLATE, (0.0, 0.0, 0.0), (2.0, 2.0)), TEMPLATE)


@pytest.mark.parametrize(("noise", "smoothing"), [(0.0, (2.0, 2.0)), (0.08, (2.0, 4.0)), (0.2, (4.0, 7.0))])
def test_noisy_templates_are_smoothed_before_they_are_differentiated(rng, noise, smoothing):
    template = (TEMPLATE + noise * rng.normal(size=TEMPLATE.shape)).astype(np.float32)
    bins = binned(rng, templates=[template])
    assert bins.smoothing_pix == smoothing
    expected = derivatives(template, smoothing).reshape(3, 20, 8, 25, 8).mean(axis=(2, 4))
    assert_allclose(bins.mean(slice(2, None)), expected, atol=1e-6)
    clean = derivatives(TEMPLATE, smoothing).reshape(3, 20, 8, 25, 8).mean(axis=(2, 4))
    for one, truth in zip(expected, clean, strict=True):
        assert ((one - truth)[bins.lit] ** 2).mean() < 2 * wisp_bins.MOST_NOISE * (truth[bins.lit] ** 2).mean()


def test_what_is_lit_is_the_template_and_not_its_noise(rng):
    bins = binned(rng, templates=[TEMPLATE + 0.02 * rng.normal(size=TEMPLATE.shape)])
    whole = TEMPLATE.reshape(20, 8, 25, 8).mean(axis=(1, 3))
    assert bins.lit[whole > 0.1].all()
    assert not bins.lit[:, :3].any()
    assert not bins.lit[:, -3:].any()


def test_the_light_of_either_template_counts(rng):
    other = np.roll(TEMPLATE, 60, axis=1)
    both = binned(rng, templates=[TEMPLATE, other])
    assert both.n == 2
    assert both.totals.shape == (6, 20, 25)
    assert_array_equal(both.lit, binned(rng).lit | binned(rng, templates=[other]).lit)


def test_too_little_is_said_with_numbers(rng):
    with pytest.raises(TooFewPixels, match="no scatter"):
        bin_wisp(np.ones((NY, NX), np.float32), np.ones((NY, NX), bool), TEMPLATE[None])
    with pytest.raises(TooFewPixels, match="no scatter"):
        binned(rng, mask=np.ones((NY, NX), bool))
    noisy = TEMPLATE + 0.02 * rng.normal(size=TEMPLATE.shape)
    with pytest.raises(TooFewPixels, match=r"about \d+ usable pixels where the template has light; 1280 are needed"):
        binned(rng, mask=np.hypot(XX - 100, YY - 80) < 100, templates=[noisy])
    wisp_bins.require_bins(np.arange(30) < 20)
    with pytest.raises(TooFewPixels, match="about 1216 usable"):
        wisp_bins.require_bins(np.arange(30) < 19)


def sharp_of(rest, white, *, structure=0.0):
    shape = rest.shape[1:]
    used = np.ones(shape, bool)
    none = Planes(np.ones(shape), np.ones(shape), 1.0, 0)
    return Sharp(rest, np.zeros(1), np.full(shape, white), np.full(shape, structure), used, ~used, rest[:0], none)


@pytest.mark.parametrize("planes", [fit_planes, fit_wide_planes])
def test_what_follows_what_planes_leave_is_told_of_the_image_itself(rng, planes):
    """Sums of what planes leave, and of the image by factors that follow, agree, also beside a gap."""
    y, x = np.mgrid[:80, :80]
    count = np.full((80, 80), 64.0)
    count[30:34, 30:36] = 0
    factors = np.where(count > 0, np.exp(-0.5 * ((y - 40) ** 2 + (x - 42) ** 2) / 6**2), 0)
    _, weight = planes(count, count, 5.0)
    follows = wisp_bins.Planes(count, weight, 5.0, 2).follow(factors)
    for middle, width in ((42, 3), (46, 8), (35, 15)):
        image = 1 + np.exp(-0.5 * ((y - 38) ** 2 + (x - middle) ** 2) / width**2)
        left = image - planes(image * count, count, 5.0)[0]
        assert_allclose((follows * image).sum(), (factors * left).sum(), atol=0.03 * factors.sum())
    # A level is nothing that planes leave.
    assert abs(follows.sum()) < 0.01 * factors.sum()


def test_the_variance_of_a_bin_is_white_noise_structure_or_misfit(rng):
    bins = Bins(
        np.zeros((4, 40, 40)), np.full((40, 40), BIN_PIX**2), np.full((40, 40), 1.0), np.ones((40, 40), bool), 1
    )
    rest = np.zeros((4, 40, 40))
    nothing = sharp_of(rest, 1.3).independent(np.zeros((40, 40)), bins)
    assert_allclose(nothing, 1.3)  # no misfit is no negative one
    assert_allclose(sharp_of(rest, 1.3, structure=0.5).independent(np.zeros((40, 40)), bins), 1.3 + 8 * 0.5)
    left = np.zeros((40, 40))
    left[:, 20:] = 3.0
    found = sharp_of(rest, 1.3).independent(left, bins)
    assert_allclose(found[:, 30:], 1.3 + 8 * (9 - 1.3), rtol=1e-2)
    assert_allclose(found[:, :10], 1.3, rtol=1e-2)


def test_what_is_left_by_hand():
    rest = np.array([10.0, 2.0, 3.0, 99.0, 99.0])[:, None, None] * np.ones((1, 2, 2))
    assert_allclose(left_of(rest, np.array([2.0, 1.0])), 3.0)
