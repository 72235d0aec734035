"""The source mask: what it finds, what it leaves."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from detectorist.algorithms.images import sources
from detectorist.errors import ParameterError, TooFewPixels

SHAPE = (384, 512)
WHITE = 0.02


def add_gaussian(image, y, x, flux, sigma):
    yy, xx = np.mgrid[: image.shape[0], : image.shape[1]]
    image += flux / (2 * np.pi * sigma**2) * np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / sigma**2)


@pytest.fixture
def sky(rng):
    """Light of compact and extended sources, (ny, nx)."""
    light = np.zeros(SHAPE)
    for _ in range(40):
        add_gaussian(light, rng.uniform(5, 379), rng.uniform(5, 507), rng.uniform(1, 30), 1.6)
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    light += 1.5 * np.exp(-1.68 * np.hypot(xx - 350, yy - 200) / 20)
    return light


def test_light_is_masked_far_below_the_noise_of_a_pixel(sky, rng):
    image = 0.3 + sky + WHITE * rng.normal(size=SHAPE)
    got = sources.mask_sources(image, np.zeros(SHAPE, bool), n_outputs=4)
    assert got.mask[sky > WHITE].mean() > 0.98
    assert sky[~got.mask].mean() < 0.05 * WHITE
    assert got.mask[sky < 1e-5].mean() < 0.06
    assert_array_equal(got.mask, got.tier > 0)
    assert got.n_sources[0] >= 30


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.05, 5.0, 300.0])
def test_any_level_of_the_sky_gives_the_same_mask(sky, rng, level):
    image = sky + WHITE * rng.normal(size=SHAPE)
    bad = np.zeros(SHAPE, bool)
    low = sources.mask_sources(image, bad).mask
    high = sources.mask_sources(image + level, bad).mask
    assert (low != high).mean() < 1e-3


def test_stripes_and_gradients_are_no_sources(rng):
    stripes = np.repeat(0.02 * rng.normal(size=(SHAPE[0], 4)), SHAPE[1] // 4, axis=1)
    tilt = 0.02 * np.linspace(-1, 1, SHAPE[1]) + 0.02 * np.linspace(-1, 1, SHAPE[0])[:, None] ** 2
    image = stripes + tilt + WHITE * rng.normal(size=SHAPE)
    got = sources.mask_sources(image, np.zeros(SHAPE, bool), n_outputs=4)
    assert got.mask.mean() < 0.08


def test_diffuse_light_that_was_subtracted_is_no_source(sky, rng):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wisp = 0.08 * np.exp(-0.5 * ((xx - 150) / 20) ** 2 - 0.5 * ((yy - 200) / 100) ** 2)
    image = sky + wisp + WHITE * rng.normal(size=SHAPE)
    bad = np.zeros(SHAPE, bool)
    diffuse = (wisp > 0.02) & (sky < 1e-4)
    assert sources.mask_sources(image, bad).mask[diffuse].mean() > 0.3
    assert sources.mask_sources(image - wisp, bad).mask[diffuse].mean() < 0.1


def test_a_source_that_fills_rows_is_found_where_rows_are_not_levelled(rng):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    galaxy = 0.3 * np.exp(-0.5 * (((yy - 190) / 30) ** 2 + ((xx - 256) / 300) ** 2))
    image = galaxy + WHITE * rng.normal(size=SHAPE)
    got = sources.mask_sources(image, np.zeros(SHAPE, bool), level_rows=False)
    assert got.mask[galaxy > 0.1].mean() > 0.99


def test_a_source_that_fills_rows_of_an_output_is_found_although_rows_are_levelled(rng):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    galaxy = 0.8 * np.exp(-0.5 * (((yy - 190) / 30) ** 2 + ((xx - 192) / 60) ** 2))
    rows = np.repeat(0.01 * rng.normal(size=(SHAPE[0], 4)), SHAPE[1] // 4, axis=1)
    image = galaxy + rows + WHITE * rng.normal(size=SHAPE)
    got = sources.mask_sources(image, np.zeros(SHAPE, bool), n_outputs=4)
    assert got.mask[galaxy > 0.1].mean() > 0.99
    assert got.mask[galaxy < 1e-4].mean() < 0.1


@pytest.mark.parametrize(("radius", "missed"), [(40, 0.03), (60, 0.15)])
def test_wings_of_a_galaxy_as_large_as_a_small_frame_are_found(radius, missed, rng):
    yy, xx = np.mgrid[:320, :320]
    galaxy = 2.0 * np.exp(-1.68 * np.hypot((xx - 190) / 1.3, yy - 130) / radius)
    left = []
    for _ in range(6):
        image = galaxy + 0.3 * rng.normal(size=galaxy.shape)
        got = sources.mask_sources(image, np.zeros(galaxy.shape, bool), level_rows=False)
        left.append(galaxy[~got.mask].mean() / 0.3)
    assert np.mean(left) < missed


def test_bad_pixels_have_no_influence_and_the_input_stays(sky, rng):
    image = 0.3 + sky + WHITE * rng.normal(size=SHAPE)
    bad = rng.random(SHAPE) < 0.05
    clean = sources.mask_sources(image, bad).mask
    hurt = image.copy()
    hurt[bad] = rng.choice([np.nan, 1e9, -1e9], size=bad.sum())
    before = hurt.copy()
    assert_array_equal(sources.mask_sources(hurt, bad).mask, clean)
    assert_array_equal(hurt, before)


def test_grow_is_a_disk():
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    yy, xx = np.mgrid[:21, :21] - 10
    assert_array_equal(sources.grow(mask, 4.5), np.hypot(yy, xx) <= 4.5)
    assert not sources.grow(np.zeros((5, 5), bool), 3).any()


@pytest.mark.parametrize("ny", [1, 3, 4, 9])
def test_levels_of_rows_are_those_of_each_row_alone(rng, ny):
    from detectorist.algorithms.images import _sources_nb

    image = (rng.normal(size=(ny, 60)) + rng.normal(size=(ny, 1))).astype(np.float32)
    usable = rng.random(image.shape) < 0.8
    usable[-1, 20:] = False  # too few in its second half
    edges = np.array([0, 30, 60])
    together = _sources_nb.row_levels(image, usable, edges, 1.5)
    alone = [_sources_nb.row_levels(image[y : y + 1], usable[y : y + 1], edges, 1.5)[0] for y in range(ny)]
    np.testing.assert_array_equal(together, alone)
    assert np.isnan(together[-1, 1])


def test_kernels_agree_with_their_python(rng):
    from detectorist.algorithms.images import _sources_nb

    image = rng.normal(size=(9, 40)).astype(np.float32)
    usable = rng.random(image.shape) > 0.1
    usable[3, :20] = False
    edges = np.array([0, 20, 40])
    levels = _sources_nb.row_levels(image, usable, edges, 1.5)
    np.testing.assert_allclose(levels, _sources_nb.row_levels.py_func(image, usable, edges, 1.5), rtol=1e-5)
    assert np.isnan(levels[3, 0])
    for got, expected in zip(
        _sources_nb.bin_sums(image, usable, levels, edges, 4),
        _sources_nb.bin_sums.py_func(image, usable, levels, edges, 4),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    better = _sources_nb.improve_levels(image, usable, edges, 1.5, levels)
    np.testing.assert_allclose(better, _sources_nb.improve_levels.py_func(image, usable, edges, 1.5, levels), rtol=1e-5)


def test_levels_are_improved_by_one_more_step(rng):
    from detectorist.algorithms.images import _sources_nb

    image = rng.normal(size=(6, 60)).astype(np.float32)
    image[:, ::7] += 50
    usable = rng.random(image.shape) > 0.1
    usable[2, :45] = False
    before = np.array([[0.1], [np.nan], [0.0], [-0.2], [0.0], [40.0]], np.float32)
    found = _sources_nb.improve_levels(image, usable, np.array([0, 60]), 3.0, before)
    for row in (0, 3, 4):
        near = usable[row] & (np.abs(image[row] - before[row]) <= 3)
        assert found[row, 0] == pytest.approx(image[row][near].mean(), abs=1e-5)
    assert np.isnan(found[[1, 2, 5]]).all()  # unknown before; too few pixels; none near


@pytest.mark.parametrize("radius", [1.0, 1.5, 2.25, 4.5, 7.9])
def test_growing_by_rows_is_growing_by_distances(rng, radius):
    mask = rng.random((40, 53)) > 0.99
    expected = ndimage.distance_transform_edt(~mask) <= radius
    assert_array_equal(sources.grow(mask, radius), expected)
    # Views and the interpreter give the same.
    assert_array_equal(sources.grow(mask.T, radius), expected.T)
    from detectorist.algorithms.images import _sources_nb

    reach = np.sqrt(radius**2 - np.arange(int(radius) + 1) ** 2).astype(np.int64)
    assert_array_equal(_sources_nb.grow_by_rows.py_func(mask, reach), expected)


def test_bad_input_is_named(rng):
    image = rng.normal(size=SHAPE)
    with pytest.raises(TooFewPixels, match="usable pixels"):
        sources.mask_sources(image, np.ones(SHAPE, bool))
    with pytest.raises(TooFewPixels, match="scatter"):
        sources.mask_sources(np.ones(SHAPE), np.zeros(SHAPE, bool))
    with pytest.raises(ParameterError, match="shared"):
        sources.mask_sources(image, np.zeros(SHAPE, bool), n_outputs=3)
