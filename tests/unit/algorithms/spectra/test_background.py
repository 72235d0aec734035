import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.spectra.background import background_columns, measure_background, median_variance
from detectorist.errors import ParameterError, TooFewPixels

COLUMNS = {"bkg_col_left_start": 12, "bkg_col_left_end": 22, "bkg_col_right_start": 50, "bkg_col_right_end": 68}
SIDES = np.r_[12:22, 50:68]
N_SIDES = SIDES.size


@pytest.fixture
def scene(rng):
    """A gradient of rows under a trace, with noise of 3 per pixel: data, err, true background at the trace."""
    n_ints, ny, nx = 20, 120, 72
    truth = 40 + 10 * np.linspace(1, 0, ny) ** 2
    trace = 500 * np.exp(-0.5 * ((np.arange(nx) - 36) / 1.7) ** 2)
    data = truth[:, None] + trace + 3 * rng.normal(size=(n_ints, ny, nx))
    return data.astype(np.float32), np.full(data.shape, 3, np.float32), np.tile(truth, (n_ints, 1))


@pytest.mark.parametrize("method", ["row_wise", "constant", "col_wise"])
@pytest.mark.parametrize("smoothing_length", [None, 1, 4, 5])
@pytest.mark.parametrize("shape", [(2, 30, 72), (2, 3, 30, 72)])
def test_background_of_a_constant_is_the_constant(method, smoothing_length, shape):
    data = np.full(shape, 7.25, np.float32)
    got = measure_background(data, method=method, smoothing_length=smoothing_length)
    assert got.image.shape == shape
    assert got.image.dtype == data.dtype
    assert got.variance.shape == got.n_used.shape == shape[:-1]
    assert_allclose(got.image, 7.25, rtol=1e-6)


def test_row_median_is_the_plain_median(scene):
    data, err, _ = scene
    got = measure_background(data, err, **COLUMNS)
    assert_array_equal(got.image, np.broadcast_to(np.median(data[..., SIDES], axis=2)[..., None], data.shape))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"smoothing_length": 3},
        {"smoothing_length": 4},
        {"smoothing_length": 9},
        {"method": "col_wise"},
        {"method": "col_wise", "smoothing_length": 6},
    ],
)
@pytest.mark.parametrize("with_err", [True, False])
def test_pulls_at_the_trace(scene, options, with_err):
    data, err, truth = scene
    got = measure_background(data, err if with_err else None, **COLUMNS, **options)
    pull = (got.image[..., 36] - truth)[:, 10:-10] / np.sqrt(got.variance[:, 10:-10])
    assert abs(pull.mean()) < 0.35  # smoothing leaves neighbouring rows with common errors, so no 1/sqrt(n)
    assert_allclose(pull.std(), 1.0, atol=0.1)


def test_pull_of_the_constant(rng):
    data = 50 + 2 * rng.normal(size=(400, 8, 72))
    got = measure_background(data, np.full(data.shape, 2.0), method="constant", **COLUMNS)
    pull = (got.image[:, 0, 36] - 50) / np.sqrt(got.variance[:, 0])
    assert_allclose(pull.std(), 1.0, atol=4 / np.sqrt(2 * pull.size))


def test_unequal_errors_enter_as_laplace_says(rng):
    sigma = np.tile(np.where(np.arange(72) % 2, 1.0, 4.0), (2000, 2, 1))
    data = sigma * rng.normal(size=sigma.shape)
    got = measure_background(data, sigma, **COLUMNS)
    assert_allclose((got.image[..., 0] / np.sqrt(got.variance)).std(), 1.0, atol=0.08)


@pytest.mark.parametrize("n", [1, 2, 3, 9, 28, 101])
def test_variance_of_a_median(rng, n):
    measured = np.median(rng.normal(size=(40_000, n)), axis=1).var()
    # Even counts average their two middle values and do better than the formula: by 18 % at two, 3 % at 28.
    assert measured / median_variance(n) == pytest.approx(1.0, abs=0.03 if n % 2 else 0.03 + 0.32 / n)


@pytest.mark.parametrize("method", ["row_wise", "constant", "col_wise"])
@pytest.mark.parametrize("junk", [np.nan, np.inf, 1e6])
def test_one_bad_pixel_changes_nothing_else(scene, method, junk):
    """The peer blanks the row, or the whole integration, for one NaN."""
    data, err, _ = scene
    clean = measure_background(data, err, method=method, **COLUMNS)
    dirty = data.copy()
    dirty[1, 30, 15] = junk
    mask = np.zeros(data.shape, bool)
    mask[1, 30, 15] = True
    got = measure_background(dirty, err, mask, method=method, **COLUMNS)
    assert np.isfinite(got.image).all()
    assert np.isfinite(got.variance).all()
    assert abs(got.image - clean.image).max() < 3 * 3 / np.sqrt(N_SIDES)
    again = dirty.copy()
    again[1, 30, 15] = -5.0
    assert_array_equal(measure_background(again, err, mask, method=method, **COLUMNS).image, got.image)


@pytest.mark.parametrize("smoothing_length", [2, 4, 30, 31, 300])
def test_smoothing_keeps_every_row_and_a_gradient(smoothing_length):
    """The peer loses a row with even lengths."""
    ramp = np.arange(60.0)
    data = np.tile(ramp[:, None], (2, 1, 72))
    got = measure_background(data, smoothing_length=smoothing_length)
    assert got.image.shape == data.shape
    assert_allclose(got.image, data, atol=1e-9)


def test_smoothing_ignores_an_empty_row(scene):
    data, err, _ = scene
    data[:, 50] = np.nan
    got = measure_background(data, err, smoothing_length=5, **COLUMNS)
    assert np.isfinite(got.image).all()
    assert (got.n_used[:, 50] == 0).all()


def test_row_without_pixels_is_bridged(scene):
    data, err, _ = scene
    mask = np.zeros(data.shape, bool)
    mask[:, 40] = True
    data[:, 40] = 1e5
    got = measure_background(data, err, mask, **COLUMNS)
    assert_allclose(got.image[:, 40, 0], (got.image[:, 39, 0] + got.image[:, 41, 0]) / 2, rtol=1e-6)
    assert (got.n_used[:, 40] == 0).all()
    assert (got.n_used[:, 41] == N_SIDES).all()


def test_integration_without_pixels_is_nan_and_nothing_at_all_is_an_error(scene):
    data, err, _ = scene
    data[3] = np.nan
    got = measure_background(data, err, **COLUMNS)
    assert np.isnan(got.image[3]).all()
    assert np.isfinite(got.image[4]).all()
    with pytest.raises(TooFewPixels, match="no usable pixel"):
        measure_background(np.full((2, 8, 72), np.nan))


def test_col_wise_follows_a_slope_and_ignores_a_hot_pixel(rng):
    slope = np.linspace(-0.5, 0.5, 40)
    truth = 30 + slope[:, None] * (np.arange(72) - 36)
    data = np.tile(truth, (6, 1, 1)) + 0.5 * rng.normal(size=(6, 40, 72))
    data[:, 7, 15] += 1e4
    got = measure_background(data, np.full(data.shape, 0.5), method="col_wise", **COLUMNS)
    deviation = (got.image - truth)[..., 36] / np.sqrt(got.variance)
    assert abs(deviation).max() < 5


@pytest.mark.parametrize("bad_err", [0.0, np.nan, np.inf, -1.0])
def test_unknown_errors_are_replaced_by_the_scatter(scene, bad_err):
    data, err, _ = scene
    some = err.copy()
    some[:, 20:30] = bad_err
    got = measure_background(data, some, **COLUMNS)
    expected = 9 * median_variance(N_SIDES)
    assert_allclose(got.variance[:, 20:30], expected, rtol=0.25)
    assert_allclose(got.variance[:, 40:], expected, rtol=1e-5)


def test_float32_near_float64_and_input_untouched(scene):
    data, err, _ = scene
    before = data.copy(), err.copy()
    single = measure_background(data, err, method="col_wise", smoothing_length=3)
    double = measure_background(data.astype(float), err.astype(float), method="col_wise", smoothing_length=3)
    assert_allclose(single.image, double.image, rtol=1e-5)
    assert_array_equal(data, before[0])
    assert_array_equal(err, before[1])


def test_blocks_equal_the_whole(scene):
    data, err, _ = scene
    got = measure_background(data, err, **COLUMNS)
    alone = [measure_background(data[i : i + 1], err[i : i + 1], **COLUMNS).image for i in range(len(data))]
    assert_array_equal(got.image, np.concatenate(alone))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bkg_col_left_end": 12}, "empty"),
        ({"bkg_col_left_end": 3}, "swapped"),
        ({"bkg_col_right_end": 73}, "beyond the 72 columns"),
        ({"bkg_col_left_start": -1}, "beyond"),
        ({"method": "rowwise"}, "row_wise"),
        ({"smoothing_length": 0}, "at least 1"),
    ],
)
def test_senseless_parameters(change, message):
    with pytest.raises(ParameterError, match=message):
        measure_background(np.ones((1, 4, 72)), **{**COLUMNS, **change})


def test_overlapping_regions_count_once():
    columns = background_columns(
        72, bkg_col_left_start=8, bkg_col_left_end=20, bkg_col_right_start=15, bkg_col_right_end=25
    )
    assert_array_equal(columns, np.arange(8, 25))
