"""The engine's kernels against their own Python, and against plain numpy where that says what they do."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms import _selection_nb as selection
from detectorist.algorithms import _sorting_nb as sorting
from detectorist.engine import _correct_nb as correct
from detectorist.engine import _ellipses_nb as ellipses
from detectorist.engine import _emicorr_nb as emicorr
from detectorist.engine import _jump_clipped_nb as clipped
from detectorist.engine import _jump_pixel_nb as pixel
from detectorist.engine import _jump_spread_nb as spread
from detectorist.engine import _jump_tiles_nb as tiles
from detectorist.engine import _ramp_segments_nb as segments
from detectorist.engine import _ramp_state_nb as state
from detectorist.engine import _ramp_tiles_nb as ramp_tiles
from detectorist.engine import _refpix_nb as refpix
from detectorist.engine import _regions_nb as regions
from detectorist.engine import _saturation_nb as saturation
from detectorist.engine._compiled import FIT_TILE, TILE, drop_stale_caches
from detectorist.engine.ramp_fit import _weight_tables
from detectorist.engine.threads import over_ranges


def both(kernel, *args):
    """Call a kernel compiled and as Python on copies of the arguments; return both sets of arguments and results."""
    outcomes = []
    with np.errstate(all="ignore"):
        for call in (kernel, kernel.py_func):
            own = [arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args]
            outcomes.append((own, call(*own)))
    return outcomes


def assert_same(kernel, *args):
    (compiled, result), (plain, expected) = both(kernel, *args)
    for one, other in zip([*compiled, result], [*plain, expected], strict=True):
        if isinstance(one, np.ndarray | float | int | np.generic):
            np.testing.assert_array_equal(one, other, err_msg=kernel.__name__)
    return compiled, result


@pytest.fixture
def ramps(rng):
    """Flattened ramps (n_ints, n_groups, n_pix) of a little more than a tile, with flags and jumps."""
    shape = (3, 5, TILE + 7)
    data = np.cumsum(rng.normal(50, 8, shape), axis=1).astype(np.float32)
    data[1, 3:, ::9] += 400
    data[0, 2, 5] = np.nan
    flags = rng.choice(np.array([0] * 30 + [1, 2, 4], np.uint8), shape)
    return data, flags, np.full(shape[-1], 2.0, np.float32), np.full(shape[-1], 6.0, np.float32)


RULE = pixel.JumpRule(4.0, 5.0, 6.0, 1.0, True, True, 10.0, 1000.0)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16, 31, 100])
def test_networks_sort(n, rng):
    values = rng.normal(size=(n, TILE)).astype(np.float32)
    (out, _), _ = assert_same(sorting.sort_tile, values, sorting.sorting_network(n))
    np.testing.assert_array_equal(out, np.sort(values, axis=0))


@pytest.mark.parametrize("n", [1, 2, 5, 32, 33, 100, 101])
def test_medians(n, rng):
    values = rng.integers(0, 20, n).astype(float)
    _, result = assert_same(sorting.median_of, values, n)
    assert result == np.median(values)
    _, result = assert_same(selection.kth_smallest, values, n, n // 3)
    assert result == np.sort(values)[n // 3]
    _, result = assert_same(selection.middle_two, values, n)
    assert result == (np.sort(values)[(n - 1) // 2], np.sort(values)[n // 2])


@pytest.mark.parametrize("iterate", [True, False])
def test_tiles_of_jumps(iterate, ramps):
    data, flags, gain, noise = ramps
    rule = RULE._replace(iterate=iterate)
    dropped = np.zeros(data.shape[:2], bool)
    assert_tests_agree(data, flags, dropped, gain, noise, rule)
    dropped[:, 0] = dropped[:, -1] = True
    flags[:, 0] |= 1
    flags[:, -1] |= 1
    data[0, 0, 3], data[0, -1, 5] = np.nan, 1e6
    assert_tests_agree(data, flags, dropped, gain, noise, rule)


def assert_tests_agree(data, flags, dropped, gain, noise, rule):
    """The vectorised test and the scalar routine for every pixel find the same jumps."""
    n = int(np.sum(~(dropped[:, 1:] | dropped[:, :-1])))
    found = [
        assert_same(tiles.flag_tiles, data, flags, dropped, n, gain, noise, rule, network, 0, data.shape[-1])[0][1]
        for network in (sorting.sorting_network(n), np.zeros((0, 2), np.int64))
    ]
    assert np.any(found[0] & 4 > flags & 4), "no jump found"
    np.testing.assert_array_equal(*found, err_msg="the vectorised test decides differently")


def test_tiles_of_clipped_jumps(rng):
    data = np.cumsum(rng.normal(50, 8, (30, 4, TILE + 3)), axis=1).astype(np.float32)
    data[7, 2:, ::5] += 500
    flags = np.zeros(data.shape, np.uint8)
    flags[3, 1, ::7] = 1
    gain, noise = np.full(data.shape[-1], 2.0, np.float32), np.full(data.shape[-1], 6.0, np.float32)
    args, _ = assert_same(clipped.flag_tiles_clipped, data, flags, gain, noise, RULE, 0, data.shape[-1])
    assert np.all(args[1][7, 2, ::5] & 4)


def test_clip_bounds_are_those_of_astropy(rng):
    from astropy.stats import sigma_clip

    for n in (5, 20, 101):
        values = rng.normal(size=n)
        values[::7] *= 20
        _, (low, high) = assert_same(pixel.clip_bounds, values, n, 3.0, np.empty(n))
        _, *wanted = sigma_clip(values, sigma=3.0, return_bounds=True)
        np.testing.assert_allclose((low, high), wanted, rtol=1e-14)


def test_spread_tidy_and_after(ramps):
    data, flags, gain, _ = ramps
    image = np.zeros((2, 3, 5, 6), np.uint8)
    image[0, 1, 2, 3] = 4 | 16
    image[0, 1, 2, 4] = 1
    args, _ = assert_same(spread.spread_to_neighbors, image, 0, 5)
    assert [args[0][0, 1, y, x] & 4 for y, x in ((1, 3), (3, 3), (2, 2), (2, 4), (1, 2))] == [4, 4, 4, 0, 0]
    assert_same(spread.tidy, args[0].reshape(2, 3, 30), 0, 30)
    assert_same(spread.count_jumps, flags, 0, data.shape[-1])
    assert_same(spread.flag_after_jumps, data, flags, gain, 100.0, 1, 500.0, 3, 0, data.shape[-1])


def test_segments():
    starts, stops = np.empty(9, np.int64), np.empty(9, np.int64)

    def found(*flags):
        _, n = assert_same(segments.find_segments, np.array(flags, np.uint8), starts, stops)
        n = segments.find_segments(np.array(flags, np.uint8), starts, stops)
        return list(zip(starts[:n], stops[:n], strict=True))

    assert found(0, 0, 0, 0) == [(0, 4)]
    assert found(0, 0, 4, 0, 0) == [(0, 2), (2, 5)], "a segment begins with its jump"
    assert found(0, 0, 5, 0, 0) == [(0, 2), (3, 5)], "but not if that group is unusable"
    assert found(0, 1, 0, 1, 0, 0) == [(4, 6)], "single groups give way to longer segments"
    assert found(0, 1, 0, 1, 0) == [(0, 1)], "of single groups only the first counts"
    assert found(0, 32, 0) == [(0, 3)], "persistence is forgiven"
    assert found(1, 2, 3) == []


def test_slope_of_a_straight_ramp_is_its_slope():
    weights, _ = _weight_tables(7)
    for row in range(6):
        got = segments.weighted_slope(3.5 * np.arange(7.0) + 100, 0, 7, row, 5.0, weights)
        np.testing.assert_allclose(got, 3.5, rtol=1e-12)


def test_tiles_of_slopes(ramps):
    n_copies = FIT_TILE // TILE  # a little more than a tile of the fit
    data, flags, gain, noise = (np.concatenate([one] * n_copies, axis=-1) for one in ramps)
    assert data.shape[-1] > FIT_TILE
    flags[:, :, : TILE // 2] = 0
    n_ints, n_groups, n_pix = data.shape
    weights, coefficients = _weight_tables(n_groups)
    pixeldq, dark = np.zeros(n_pix, np.uint32), np.zeros(n_pix, np.float32)
    rule = segments.FitRule(2.0, 1.5, False, True, 0)
    results = []
    for network in (sorting.sorting_network(n_groups - 1), np.zeros((0, 2), np.int64)):
        for call in (ramp_tiles.fit_tiles, ramp_tiles.fit_tiles.py_func):
            out = state.Products(
                np.zeros((4, n_pix), np.float32),
                np.zeros(n_pix, np.uint32),
                np.zeros((4, n_ints, n_pix), np.float32),
                np.zeros((n_ints, n_pix), np.uint32),
            )
            args = (data, flags, flags, pixeldq, gain, noise, dark, rule, weights, coefficients, network, out)
            with np.errstate(all="ignore"):
                call(*args, 0, n_pix)
            results.append(out)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
    clean = np.all(flags == 0, axis=(0, 1)) & np.all(np.isfinite(data), axis=(0, 1))
    assert clean.any()
    assert np.abs(results[0].rate[0][clean] - 25).max() < 80


def test_saturation_kernels(rng):
    ramp = np.cumsum(rng.uniform(0, 100, (4, 9, 11)), axis=0).astype(np.float32)
    ramp[1, 2, 2] = 0
    threshold = np.full((9, 11), 160, np.float32)
    flags, first, floor = np.zeros(ramp.shape, np.uint8), np.empty((9, 11), np.uint16), np.zeros((9, 11), np.uint8)
    args, _ = assert_same(saturation.first_saturated_group, ramp, threshold, flags, first, floor, 0, 9)
    wanted = np.where(np.any(ramp >= 160, axis=0), np.argmax(ramp >= 160, axis=0), 4)
    np.testing.assert_array_equal(args[3], wanted)
    assert args[2][1, 2, 2] == 65
    for radius in (0, 1, 3):
        grown, _ = assert_same(saturation.box_minimum, args[3], radius, first, 0, 9)
        np.testing.assert_array_equal(grown[2], ndimage.minimum_filter(args[3], 2 * radius + 1))
    assert_same(saturation.write_saturation, grown[2], flags, 0, 9)
    dilution = np.array([0.6, 0.8, 0.9, 0.9])
    unchecked = rng.random((9, 11)) < 0.1
    assert_same(saturation.flag_hidden_saturation, ramp, threshold, unchecked, wanted, dilution, 1, flags)
    bias = np.zeros((9, 11), np.float32)
    assert_same(saturation.flag_second_group, ramp, threshold, bias, wanted, 1.5, 6.0, 2.0, flags, 0, 9)


def test_correction_kernels(rng):
    data = rng.normal(1000, 300, (2, 3, 8, 9)).astype(np.float32)
    flags = rng.choice(np.array([0, 0, 2], np.uint8), data.shape)
    terms = rng.normal(size=(4, 8, 9)).astype(np.float32) * 10.0 ** (-4 * np.arange(4, dtype=np.float32))[:, None, None]
    terms[2, 1, 1] = np.nan
    unusable = np.zeros((8, 9), bool)
    zeros = np.zeros((8, 9), np.uint32)
    args, _ = assert_same(correct.find_unusable, terms, zeros, zeros, unusable, 0, 8)
    assert args[3].sum() == 1
    out, _ = assert_same(correct.linearize_rows, data, flags, terms, args[3], 0, 0, 8)
    part, _ = assert_same(correct.linearize_rows, data, flags, terms[:, 3:6].copy(), args[3][3:6].copy(), 3, 3, 6)
    np.testing.assert_array_equal(part[0][..., 3:6, :], out[0][..., 3:6, :])
    np.testing.assert_array_equal(part[0][..., :3, :], data[..., :3, :])
    np.testing.assert_array_equal(out[0][flags > 0], data[flags > 0])
    good = (flags == 0) & ~args[3]
    np.testing.assert_allclose(
        out[0][good], np.polynomial.polynomial.polyval(data, terms, tensor=False)[good], rtol=1e-4
    )
    kernel = np.array([[0, 0.01, 0], [0.02, 0.9, 0.03], [0, 0.04, 0]], np.float32)
    planes = data.reshape(6, 8, 9)
    out, _ = assert_same(correct.convolve_planes, planes, kernel, 0, 0, 0, 0, 0, 6)
    wanted = [ndimage.convolve(plane, kernel, mode="constant") for plane in planes]
    np.testing.assert_allclose(out[0], wanted, rtol=1e-5)


def test_running_median(rng):
    strip, dq = rng.normal(size=(30, 4)), np.zeros((30, 4), np.uint32)
    args, _ = assert_same(refpix.running_median, strip, dq, 5, False, np.empty(30))
    mirrored = np.pad(strip, ((2, 2), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(args[-1], [np.median(mirrored[y : y + 5]) for y in range(30)])


def test_levels_subtracted(rng):
    plane, of_column, of_row = rng.normal(5000, 20, (6, 9)).astype(np.float32), rng.normal(size=9), rng.normal(size=6)
    for single in (False, True):
        out, _ = assert_same(refpix.subtract_levels, plane, of_column, of_row, single)
        np.testing.assert_allclose(out[0], plane - of_column - of_row[:, np.newaxis], rtol=1e-6)


def test_regions(rng):
    for density in (0.05, 0.4, 0.7):
        plane = np.where(rng.random((40, 150)) < density, 4, 1).astype(np.uint8)
        found = regions.find_regions(plane, plane, np.uint8(4), False)
        plain = regions.find_regions.py_func(plane, plane, np.uint8(4), False)
        for one, other in zip(found, plain, strict=True):
            np.testing.assert_array_equal(one, other)
        labels, n = ndimage.label(plane == 4, np.ones((3, 3)))
        assert n == len(found.first)
        order = [labels[r, c] for r, c in found.runs[found.first][:, :2]]
        np.testing.assert_array_equal(found.stats[:, regions.AREA], np.bincount(labels.ravel())[order])
        means = np.array(ndimage.center_of_mass(plane == 4, labels, order))
        np.testing.assert_allclose(regions.approximate_ellipses(found.stats)[:, :2], means, rtol=1e-12)
        image = np.zeros(
            found.stats[0, [regions.R_HIGH, regions.C_HIGH]] - found.stats[0, [regions.R_LOW, regions.C_LOW]], bool
        )
        regions.region_image(found, 0, image)
        assert image.sum() == found.stats[0, regions.AREA]


def test_new_regions_leave_out_what_was_there():
    plane, before = np.zeros((2, 3, 8), np.uint8)
    plane[1, 1:6] = 2
    before[1, 3] = 2
    found = regions.find_regions(plane, before, np.uint8(2), True)
    assert found.stats[:, regions.AREA].tolist() == [2, 2]


def test_ellipse_kernels():
    image = np.zeros((21, 21), bool)
    args, _ = assert_same(ellipses.fill_ellipse, image, 10, 10, 0, 0, 20, 20, 8.0, 4.0, 0.0, 1.0)
    y, x = np.ogrid[-10:11, -10:11]
    np.testing.assert_array_equal(args[0], (y / 8) ** 2 + (x / 4) ** 2 < 1)
    # minor axis 4, major axis 12 along the columns in stcal's convention for an angle of 0
    shape = np.array([[10.0, 10.0, 4.0, 12.0, 0.0]])
    for center, answer in (((10.0, 15.0), 1), ((13.0, 10.0), 0), ((10.0, 16.0), 2), ((40.0, 40.0), 0)):
        _, result = assert_same(ellipses.holds_center, shape, np.array([center]))
        assert result[0] == answer, center


def test_pairwise_sum_is_that_of_numpy(rng):
    for n in (1, 7, 8, 100, 128, 129, 500, 1000, 5000):
        values = rng.normal(size=n) * 10 ** rng.uniform(-5, 5, n)
        _, result = assert_same(emicorr.pairwise_sum, values, emicorr.pairwise_plan(n))
        assert result == np.sum(values), n


def test_emicorr_kernels(rng):
    data = rng.normal(1000, 10, (2, 9, 3, 8)).astype(np.float32)
    flat = data.reshape(2, 9, 24)
    args, _ = assert_same(emicorr.scatter_over_groups, flat, np.empty((2, 24), np.float32), 0, 2)
    np.testing.assert_array_equal(args[1], np.std(flat, axis=1))
    usable = rng.random((2, 3, 8)) < 0.8
    bins = np.array([[0, 1], [2, -1], [1, 0]])
    sums, counts = np.empty((2, 3, 9)), np.zeros((2, 3))
    args, _ = assert_same(emicorr.sum_by_phase, data, usable, bins, sums, counts, 0, 2)
    np.testing.assert_array_equal(args[4][:, 2], usable[:, 1, :4].sum(axis=1))
    np.testing.assert_allclose(
        args[3][:, 2], (data * usable[:, None])[:, :, 1, :4].sum(axis=2, dtype=float), rtol=1e-12
    )
    assert_same(emicorr.nearest_trials, np.arange(20) / 20, 0.33, np.empty(20, np.int64))
    waves, y = rng.normal(size=(4, 9, 5)), rng.normal(size=(2, 9, 5))
    images = (rng.random((2, 5)), rng.random((4, 5)), rng.random((4, 4, 5)), rng.random((2, 5)), rng.random((2, 5)))
    plan = emicorr.pairwise_plan(5)
    args, _ = assert_same(emicorr.chi_squared_terms, waves, y, *images, plan, np.empty((2, 4, 3)), 0, 2)
    np.testing.assert_allclose(args[-3][:, :, 2], np.einsum("kgb,igb->ik", waves, y))
    table = np.column_stack([np.arange(5) / 4, rng.normal(size=(5, 4))])
    phase, steps, offsets = rng.random((3, 2)), rng.random(9), rng.random(2)
    doubtful = np.zeros((2, 9, 3), np.uint8)
    assert_same(emicorr.subtract_wave, data, phase, steps, offsets, np.ones(2), table, 0.0, 1e-12, doubtful, 0, 2)


def test_ranges_cover_everything_once():
    for threads in (1, 2, 5):
        pieces = over_ranges(lambda start, stop: list(range(start, stop)), 37, threads=threads)
        assert [k for piece in pieces for k in piece] == list(range(37))


def test_stale_caches_go_and_fresh_ones_stay(tmp_path):
    import os

    (tmp_path / "__pycache__").mkdir()
    source, old, new = (tmp_path / name for name in ("_a_nb.py", "__pycache__/a.nbi", "__pycache__/b.nbi"))
    for path, age in ((old, 100), (source, 50), (new, 0)):
        path.touch()
        os.utime(path, (1e9 - age, 1e9 - age))
    drop_stale_caches(tmp_path)
    assert [path.exists() for path in (old, new)] == [False, True]
