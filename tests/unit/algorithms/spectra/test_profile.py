"""The profile model finds what does not belong, and puts there what does, in units of its errors."""

import inspect
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import ndtr

from detectorist.algorithms.spectra import _profile_fit_nb, _profile_frame, _profile_nb, _profile_sides_nb
from detectorist.algorithms.spectra.profile import WINDOW_HEIGHTS, clean_outliers, window_edges
from detectorist.errors import InputError, ParameterError

LINES = ((330, 3.0, 0.03), (300, 2.0, 0.02), (210, 3.0, 0.02), (90, 2.0, 0.02))
DEEP_LINES = ((380, 1.0, 0.7), (330, 1.5, 0.8), (300, 1.2, 0.6), (210, 1.0, 0.5), (90, 2.0, 0.7))


class Scene:
    """Frames of a trace on a background, with outliers and bad pixels, and the truth: (n_ints, n_rows, n_cols)."""

    def __init__(self, rng, *, n_ints=10, n_rows=416, n_cols=72, centre=36.0, flux=3000.0, background=40.0,
                 electrons=55.0, rate=0.003, bad=0.005, lines=LINES):  # fmt: skip
        rows = np.arange(n_rows)
        down = (n_rows - 26 - rows) / (n_rows - 26)
        self.spectrum = flux * np.clip(1 + 1.6 * down, 0.2, None) ** -3.2 / (1 + np.exp((rows - n_rows + 24) / 2.0))
        self.spectrum /= 1 + np.exp((25 - rows) / 8.0)
        for row, width, depth in lines:
            self.spectrum *= 1 - depth * np.exp(-0.5 * ((rows - row) / width) ** 2)
        jitter = 0.02 * rng.normal(size=(n_ints, 1, 1))
        edges = (np.arange(n_cols + 1) - 0.5 - centre - jitter) / (1.6 + 0.9 * np.clip(down, 0, None))[:, None]
        self.profile = np.diff(ndtr(edges), axis=2)
        self.level = background * (1 + 1.5 * np.clip(down, 0, None) ** 2)
        self.truth = self.spectrum[:, None] * self.profile + self.level[:, None]
        self.noise = np.sqrt(np.clip(self.truth, 0, None) / electrons + 9.0)
        self.clean = self.truth + self.noise * rng.normal(size=self.truth.shape)
        self.outlier = rng.random(self.truth.shape) < rate
        self.bad = np.broadcast_to(rng.random((n_rows, n_cols)) < bad, self.truth.shape)
        self.sigma = np.exp(rng.uniform(np.log(8), np.log(300), self.truth.shape)) * rng.choice(
            [1, 1, 1, 1, 1, -1], self.truth.shape
        )
        self.data = self.clean + np.where(self.outlier, self.sigma * self.noise, 0)
        self.data[self.bad] += 400 * rng.normal(size=self.bad.sum())
        self.data, self.err = self.data.astype(np.float32), self.noise.astype(np.float32)
        self.dq = np.where(self.bad, 1 | 1024, 0).astype(np.uint32)

    def clean_with(self, **kwargs):
        return clean_outliers(
            self.data, self.err, self.dq, **{"dq_bits_to_mask": [0], "outlier_threshold": 5.0, **kwargs}
        )


def check_rejection(scene, found, heights=WINDOW_HEIGHTS, start=20, stop=392):
    """In every window >= 98 % of the outliers on the trace are caught (one may be missed), and almost nothing else."""
    wanted = scene.outlier & ~scene.bad
    wanted[:, :start] = wanted[:, stop:] = False
    wanted[:, :, :32] = wanted[:, :, 41:] = False
    edges = window_edges(scene.data.shape[1], heights, poly_order=4)
    for a, b in pairwise(edges):
        missed, n = (wanted & ~found.replaced)[:, a:b].sum(), wanted[:, a:b].sum()
        assert missed <= max(1, 0.02 * n), f"rows {a}-{b}: {missed} of {n} missed"
    assert (wanted & ~found.replaced).sum() <= 0.01 * wanted.sum() + 1
    good = ~scene.outlier & ~scene.bad
    assert found.replaced[good].sum() <= 1e-4 * good.sum()


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"centre": 33.0},
        {"centre": 38.5},
        {"electrons": 10.0},
        {"electrons": 300.0},
        {"rate": 0.01},
        {"rate": 0.001, "n_ints": 20},
        {"flux": 30000.0},
        {"flux": 300.0},
        {"background": 0.0},
        {"lines": DEEP_LINES},
        {"lines": DEEP_LINES, "rate": 0.01, "flux": 30000.0},
    ],
    ids=str,
)
def test_outliers_are_caught_in_every_window_height(rng, variant):
    scene = Scene(rng, **variant)
    check_rejection(scene, scene.clean_with())


@pytest.mark.parametrize("heights", [[150], [100], [50], [40], [30], [24], [416]], ids=str)
def test_every_height_works_alone(rng, heights):
    scene = Scene(rng, n_ints=6)
    check_rejection(scene, scene.clean_with(window_heights=heights), heights)


@pytest.mark.parametrize("factor", [2.0, 0.5, 10.0, np.nan, 0.0, np.inf])
def test_errors_of_another_scale_or_none_at_all_change_nothing(rng, factor):
    scene = Scene(rng, rate=0.005)
    scene.err = (scene.noise * factor).astype(np.float32)
    found = scene.clean_with()
    check_rejection(scene, found)
    assert found.errors_used.all() == (factor in (2.0, 0.5, 10.0))
    expected = 1 / factor if found.errors_used.all() else 1.0
    # Measured, floor and slope of the variance are a few per cent low, and the scale puts that right.
    np.testing.assert_allclose(
        np.median(found.noise_scale) / expected, 1.0, atol=0.05 if found.errors_used.all() else 0.12
    )
    if not found.errors_used.all():
        pull = (found.values - scene.truth[found.replaced]) / found.errors
        assert 0.85 < 1.4826 * np.median(np.abs(pull)) < 1.15


def test_faulty_errors_of_single_pixels_do_no_harm(rng):
    scene = Scene(rng, n_ints=4)
    where = rng.random(scene.err.shape)
    for k, wrong in enumerate((np.nan, 0.0, -3.0, 1e-20, np.inf)):
        scene.err[(where > 0.002 * k) & (where < 0.002 * (k + 1))] = wrong
    found = scene.clean_with()
    check_rejection(scene, found)
    assert np.isfinite(found.errors).all()


def test_new_values_agree_with_the_truth_in_units_of_their_errors(rng):
    scene = Scene(rng, rate=0.01)
    found = scene.clean_with()
    pull = (found.values - scene.truth[found.replaced]) / found.errors
    rows, cols = np.nonzero(found.replaced)[1:]
    for name, part in (
        ("trace", (cols >= 32) & (cols < 41) & (rows > 30) & (rows < 390)),
        ("beside", (cols < 26) | (cols >= 47)),
    ):
        assert abs(pull[part].mean()) < 4 / np.sqrt(part.sum()), name
        assert 0.9 < pull[part].std() < 1.15, name


def test_fluxes_and_profiles_agree_with_the_truth(rng):
    scene = Scene(rng, n_ints=6)
    found = scene.clean_with()
    rows = slice(60, 380)
    # Least error of a row's flux: weighted by its profile.
    error = 1 / np.sqrt((scene.profile**2 / scene.noise**2).sum(axis=2))
    pull = ((found.flux - scene.spectrum) / error)[:, rows]
    assert 0.95 < 1.4826 * np.median(np.abs(pull)) < 1.15
    difference = (found.profile - scene.profile)[:, rows, 26:47] * scene.spectrum[rows, None]
    assert np.abs(difference.mean()) < 0.01
    assert (difference / scene.noise[:, rows, 26:47]).std() < 0.35
    pull = (found.level - scene.level)[:, rows] / (scene.noise[:, rows, 0] / np.sqrt(51))
    assert 0.9 < 1.4826 * np.median(np.abs(pull)) < 1.15


@pytest.mark.parametrize(("rows", "columns"), [((362, 378), (37, 39)), ((262, 278), (34, 37))])
def test_profiles_of_rows_that_lost_light_in_all_integrations_are_true(rng, rows, columns):
    """A stretch of a column without a measurement: most rows of a window may lack a third of their light, or half."""
    scene = Scene(rng, n_ints=40, rate=0.0, bad=0.0)
    scene.dq[:, slice(*rows), slice(*columns)] |= 3
    scene.data[:, slice(*rows), slice(*columns)] = np.nan
    found = scene.clean_with()
    there = slice(rows[0] + 1, rows[1] - 1)
    lost, true = (p[:, there, slice(*columns)].sum(axis=2).mean(axis=1) for p in (found.profile, scene.profile))
    assert 0.2 < true.mean() < 0.6
    assert abs((lost - true).mean()) < 0.001 + 3 * (lost - true).std() / np.sqrt(true.size)
    flux = np.nanmean(found.flux[:, there] / scene.spectrum[there], axis=1)
    assert abs(flux.mean() - 1) < 0.001 + 3 * flux.std() / np.sqrt(flux.size)


@pytest.mark.parametrize("rate", [0.003, 0.01])
def test_box_spectra_are_as_good_as_those_of_an_oracle(rng, rate):
    """Recipe of the original: background measured on a cleaned copy, subtracted from the raw frames, cleaned again."""
    scene = Scene(rng, n_ints=16, rate=rate)
    sides, box, rows = np.r_[12:22, 50:68], slice(32, 41), slice(60, 380)
    first = scene.clean_with().apply(scene.data, scene.err, scene.dq)[0]
    level = np.median(first[:, :, sides], axis=2, keepdims=True)
    found = clean_outliers(scene.data - level, scene.err, scene.dq, dq_bits_to_mask=[0], outlier_threshold=5.0)
    data, err, _ = found.apply(scene.data - level, scene.err, scene.dq)
    known = scene.outlier | scene.bad
    oracle = np.where(known, scene.truth, scene.data)
    oracle = oracle - np.median(oracle[:, :, sides], axis=2, keepdims=True)
    star = (scene.truth - scene.level[:, None])[:, rows, box].sum(axis=2)
    ours = data[:, rows, box].sum(axis=2, dtype=float) - star
    best = oracle[:, rows, box].sum(axis=2) - star
    assert ours.std() / best.std() < 1.04
    level_var = 81 * np.pi / 2 * np.median(scene.err[:, rows, 50:68] ** 2, axis=2) / sides.size
    pull = ours / np.sqrt((err[:, rows, box].astype(float) ** 2).sum(axis=2) + level_var)
    assert 0.95 < pull.std() < 1.05
    assert abs(pull.mean()) < 4 / np.sqrt(pull.size)


def test_cleaning_is_the_same_with_the_background_in_and_subtracted(rng):
    scene = Scene(rng, n_ints=3)
    with_it = scene.clean_with()
    scene.data = scene.data - scene.level[:, None]
    without = scene.clean_with()
    assert (with_it.replaced ^ without.replaced).sum() <= 2
    both = with_it.replaced & without.replaced
    added = np.broadcast_to(scene.level[:, None], scene.truth.shape)
    one, two = (f.apply(scene.data, scene.err, scene.dq)[0] for f in (with_it, without))
    np.testing.assert_allclose(one[both] - added[both], two[both], atol=0.01 * scene.noise.max())
    np.testing.assert_allclose(with_it.profile, without.profile, atol=1e-4)


def test_two_outliers_beside_a_bad_pixel_in_the_core(rng):
    """They hold most of the row's weight: a weighted median would believe them."""
    scene = Scene(rng, n_ints=2, rate=0, bad=0)
    for row in range(60, 380, 15):
        scene.data[:, row, 35] += 50 * scene.noise[:, row, 35]
        scene.data[:, row, 37] += 18 * scene.noise[:, row, 37]
        scene.dq[:, row, 36] = 1
        scene.outlier[:, row, [35, 37]] = True
        scene.bad = scene.dq == 1
    found = scene.clean_with()
    assert (scene.outlier & ~found.replaced).sum() == 0
    assert (found.replaced & ~scene.outlier & ~scene.bad).sum() <= 1


def test_an_outlier_beside_a_masked_pixel_does_not_become_the_trace(rng):
    scene = Scene(rng, n_ints=4, flux=300.0, rate=0, bad=0)
    scene.dq[:, 51, 32] = 1
    scene.data[:, 50, 32] += 130 * scene.noise[:, 50, 32]
    found = scene.clean_with()
    assert found.replaced[:, 50, 32].all()
    assert np.abs(found.profile[:, 48:53, 32] - scene.profile[:, 48:53, 32]).max() < 0.25


def test_input_is_untouched_and_frames_are_independent(rng):
    scene = Scene(rng, n_ints=3)
    before = [a.copy() for a in (scene.data, scene.err, scene.dq)]
    found = scene.clean_with()
    found.apply(scene.data, scene.err, scene.dq)
    for a, b in zip((scene.data, scene.err, scene.dq), before, strict=True):
        np.testing.assert_array_equal(a, b)
    last = clean_outliers(scene.data[2:], scene.err[2:], scene.dq[2:], dq_bits_to_mask=[0], outlier_threshold=5.0)
    np.testing.assert_array_equal(last.replaced[0], found.replaced[2])
    np.testing.assert_array_equal(last.profile[0], found.profile[2])


def test_values_of_masked_pixels_have_no_influence(rng):
    scene = Scene(rng, n_ints=2)
    found = scene.clean_with()
    scene.data[scene.bad], scene.err[scene.bad] = 1e30, np.nan
    again = scene.clean_with()
    np.testing.assert_array_equal(again.replaced, found.replaced)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-5)
    np.testing.assert_allclose(again.profile, found.profile, atol=1e-6)


def test_float32_is_close_to_float64(rng):
    scene = Scene(rng, n_ints=2)
    single = scene.clean_with()
    scene.data, scene.err = scene.data.astype(float), scene.err.astype(float)
    double = scene.clean_with()
    np.testing.assert_array_equal(single.replaced, double.replaced)
    np.testing.assert_allclose(single.values, double.values, rtol=1e-5)


def test_outlier_is_set_with_or(rng):
    """Added instead, the flag of a pixel that has it becomes PERSISTENCE."""
    scene = Scene(rng, n_ints=1)
    scene.dq[scene.outlier] |= 16 | 4
    found = scene.clean_with()
    _, _, dq = found.apply(scene.data, scene.err, scene.dq)
    np.testing.assert_array_equal(dq, np.where(found.replaced, scene.dq | 16, scene.dq))
    assert not (dq & 32).any()


def test_cleaning_again_finds_little_left(rng):
    scene = Scene(rng, n_ints=3)
    scene.data, scene.err, scene.dq = scene.clean_with().apply(scene.data, scene.err, scene.dq)
    again = scene.clean_with()
    assert again.n_outliers.sum() <= 2


def test_counts_are_cumulative_around_column_36(rng):
    scene = Scene(rng, n_ints=2)
    found = scene.clean_with()
    assert found.counts.shape == (2, 416, 5)
    for k in range(5):
        np.testing.assert_array_equal(found.counts[..., k], found.replaced[:, :, 36 - k : 37 + k].sum(axis=2))
    assert found.n_outliers.sum() + found.n_flagged.sum() + found.n_nan.sum() == found.replaced.sum()


def test_no_clean_replaces_nan_only_and_gives_the_same_profile(rng):
    scene = Scene(rng, n_ints=2)
    nan = rng.random(scene.data.shape) < 0.002
    scene.data[nan] = np.nan
    plain, only_nan = scene.clean_with(outlier_threshold=4.0), scene.clean_with(outlier_threshold=4.0, no_clean=True)
    np.testing.assert_array_equal(only_nan.replaced, nan)
    np.testing.assert_allclose(only_nan.profile.sum(axis=2), 1.0, atol=1e-5)
    np.testing.assert_allclose(only_nan.profile, plain.profile, atol=0.02)
    assert np.abs(only_nan.profile - scene.profile)[:, 60:380, 26:47].max() < 0.05


def test_reference_pixels_are_left_alone_unless_asked_for(rng):
    scene = Scene(rng, n_ints=1, rate=0, bad=0)
    scene.data[:, :, :4] = 5 * rng.normal(size=(1, 416, 4)) - 300
    scene.dq[:, :, :4] |= np.uint32(2**31)
    assert not scene.clean_with().replaced[:, :, :4].any()
    assert scene.clean_with(dq_bits_to_mask=[31]).replaced[:, :, :4].all()


@pytest.mark.parametrize(
    "kind", ["nan rows", "negative rows", "empty", "faint", "streak", "saturated block", "noiseless"]
)
def test_awkward_frames_give_finite_values_and_normalised_profiles(rng, kind):
    scene = Scene(rng, n_ints=2)
    if kind == "nan rows":
        scene.data[:, [0, 200, 201, 415]] = np.nan
    elif kind == "negative rows":
        scene.data[:, 250:260] = -np.abs(scene.data[:, 250:260]) - 50
    elif kind == "empty":
        scene.data = (3 * rng.normal(size=scene.data.shape)).astype(np.float32)
    elif kind == "faint":
        scene.data = (0.001 * scene.truth + 3 * rng.normal(size=scene.data.shape)).astype(np.float32)
    elif kind == "streak":
        scene.data[:, 222] += 1e6
    elif kind == "saturated block":
        scene.dq[:, 330:345, 33:40] |= 1
    else:
        scene.data, scene.err[:] = scene.truth.astype(np.float32), np.nan
    found = scene.clean_with()
    data, err, _ = found.apply(scene.data, scene.err, scene.dq)
    assert np.isfinite(data).all()
    assert np.isfinite(err[found.replaced]).all()
    assert (found.profile >= 0).all()
    np.testing.assert_allclose(found.profile.sum(axis=2), 1.0, atol=1e-5)
    if kind == "nan rows":
        # The flux of a row without a pixel lies between those of its neighbours.
        pull = (data - scene.truth)[:, 200:202, 32:41] / err[:, 200:202, 32:41]
        assert np.abs(pull).max() < 4
    if kind in ("nan rows", "negative rows", "streak"):
        others = np.r_[60:190, 280:380]
        good = ~scene.outlier & ~scene.bad
        assert found.replaced[:, others][good[:, others]].mean() < 1e-4


def test_an_integration_without_pixels_is_left_and_marked(rng):
    scene = Scene(rng, n_ints=3, n_rows=120)
    scene.data[1] = np.nan
    found = scene.clean_with()
    data, _, dq = found.apply(scene.data, scene.err, scene.dq)
    np.testing.assert_array_equal(found.unusable, [False, True, False])
    assert np.isnan(data[1]).all()
    assert (dq[1] & 1).all()
    assert np.isfinite(data[[0, 2]]).all()
    np.testing.assert_allclose(found.profile[1].sum(axis=1), 1.0, atol=1e-5)
    scene.data[:] = np.nan
    with pytest.raises(InputError, match="3 integrations"):
        scene.clean_with()


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"window_heights": [150, 5]}, "at least 6 rows"),
        ({"window_heights": []}, "at least 6 rows"),
        ({"poly_order": -1}, "poly_order is -1"),
        ({"outlier_threshold": 0.0}, "outlier_threshold is 0"),
        ({"outlier_threshold": float("nan")}, "outlier_threshold is nan"),
        ({"spatial_profile_left_idx": 47, "spatial_profile_right_idx": 26}, "left_idx is 47.*right_idx 26"),
        ({"spatial_profile_right_idx": 73}, "between 0 and 72"),
        ({"spatial_profile_left_idx": -1}, "left_idx is -1"),
        ({"dq_bits_to_mask": [32]}, "bit index 32"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(rng, changed, match):
    scene = Scene(rng, n_ints=1, n_rows=60)
    with pytest.raises(ParameterError, match=match):
        scene.clean_with(**changed)


def test_windows_are_cycled_and_a_short_rest_joins_its_neighbour():
    np.testing.assert_array_equal(window_edges(416, poly_order=4), [0, 150, 250, 300, 340, 370, 394, 416])
    np.testing.assert_array_equal(window_edges(100, [40], poly_order=4), [0, 40, 80, 100])
    np.testing.assert_array_equal(window_edges(84, [40], poly_order=4), [0, 40, 84])
    np.testing.assert_array_equal(window_edges(30, [150], poly_order=4), [0, 30])


def test_profile_of_all_columns_holds_the_background(rng):
    scene = Scene(rng, n_ints=1, rate=0, bad=0)
    found = scene.clean_with(spatial_profile_left_idx=0, spatial_profile_right_idx=72)
    assert found.replaced[:, 60:380].sum() <= 2
    assert (found.level == 0).all()
    expected = scene.truth / scene.truth.sum(axis=2, keepdims=True)
    assert np.abs(found.profile - expected)[:, 60:380].max() < 0.02


def test_kernels_equal_their_python(rng, monkeypatch):
    scene = Scene(rng, n_ints=1, n_rows=44, n_cols=20, centre=10.0, rate=0.02, lines=())
    scene.data[0, 5, 3], scene.err[0, 7, 9] = np.nan, 0
    arguments = {"columns": (5, 15), "edges": np.array([0, 20, 44]), "order": 2, "limit_sigma": 5.0, "asked": 1}
    frame = (scene.data[0].astype(float), scene.err[0].astype(float), scene.dq[0])
    without_err = (frame[0], np.full_like(frame[1], np.nan), frame[2])
    compiled = [_profile_frame.clean_frame(*f, **arguments) for f in (frame, without_err)]
    n_kernels = 0
    for module in (_profile_fit_nb, _profile_sides_nb, _profile_nb):
        for name, value in vars(module).items():
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
                n_kernels += 1
    assert n_kernels > 20
    with np.errstate(all="ignore"):
        plain = [_profile_frame.clean_frame(*f, **arguments) for f in (frame, without_err)]
    for one, two in zip(compiled, plain, strict=True):
        for name in one._fields:
            np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-6, atol=1e-9, err_msg=name)


def test_importing_the_algorithm_compiles_nothing():
    source = inspect.getsource(inspect.getmodule(clean_outliers))
    assert "_nb" not in source.split("def clean_outliers")[0]


def test_a_cluster_of_outliers_in_faint_rows_does_not_become_the_trace(rng):
    scene = Scene(rng, n_ints=2, rate=0, bad=0)
    for row in (24, 44, 45, 46):
        scene.data[:, row, 39] += 270 * scene.noise[:, row, 39]
    found = scene.clean_with()
    assert found.replaced[:, [24, 44, 45, 46], 39].all()
    assert found.replaced.sum() <= 10


def test_rows_that_the_model_cannot_follow_are_no_outliers(rng):
    """A trace that jumps sideways in a row deviates by many sigma in its whole core; a lone outlier there is found."""
    scene = Scene(rng, n_ints=2, rate=0, bad=0)
    for row in (300, 310, 320):
        star = (scene.truth - scene.level[:, None])[:, row]
        scene.data[:, row] += 0.2 * (np.roll(star, 1, axis=1) - star)
    scene.data[:, 310, 36] += 100 * scene.noise[:, 310, 36]
    found = scene.clean_with()
    assert found.replaced[:, 310, 36].all()
    assert found.replaced[:, [300, 310, 320]].sum() <= 10
