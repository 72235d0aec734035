import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

from detectorist.algorithms.spectra import _alignment_nb as kernels
from detectorist.algorithms.spectra.alignment import build_template, measure_shifts
from detectorist.algorithms.spectra.resampling import shift_spectra
from detectorist.errors import ParameterError, TooFewPixels

NY, NX = 160, 40
READ_NOISE, GAIN_TIME = 3.0, 40.0


def spectrum(rows):
    """A star with lines and the two edges of a band."""
    edges = 1 / (1 + np.exp(-(rows - 15) / 2.5)) / (1 + np.exp((rows - 145) / 2.5))
    lines = sum(0.15 * np.exp(-0.5 * ((rows - c) / 3) ** 2) for c in (40, 70, 101, 120))
    return 3000 * edges * (1 - lines) * (0.6 + rows / 400)


def scene(x, y, *, seed=0, column=20.0, noise=True, factor=1.0):
    """Images of a trace moved by x, y: data, err. `factor` multiplies the spectrum, per integration and row."""
    x, y = np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float)
    rows, cols = np.arange(NY), np.arange(NX)
    sigma = (1.6 + 0.4 * (NY - rows) / NY)[:, None] * np.sqrt(2)
    center = (column + x)[:, None, None]
    light = 0.5 * (erf((cols + 0.5 - center) / sigma) - erf((cols - 0.5 - center) / sigma))
    data = light * (spectrum(rows - y[:, None]) * factor)[..., None]
    err = np.sqrt(READ_NOISE**2 + (data + 60) / GAIN_TIME)
    if noise:
        data = data + err * np.random.default_rng(seed).normal(size=data.shape)
    return data, err


@pytest.fixture(scope="module")
def motion():
    rng = np.random.default_rng(5)
    return 0.03 * rng.normal(size=120), 0.05 * rng.normal(size=120)


def test_reaches_the_bound_and_says_so(motion):
    x, y = motion
    got = measure_shifts(*scene(x, y, seed=1))
    for measured, error, truth, bound in (
        (got.x_pix, got.x_error_pix, x, 0.0021),
        (got.y_pix, got.y_error_pix, y, 0.0115),
    ):
        difference = measured - truth - np.mean(measured - truth)
        assert_allclose((difference / error).std(), 1.0, atol=4 / np.sqrt(2 * x.size))
        slope = np.polyfit(truth, measured, 1)[0]
        assert abs(slope - 1) < 4 * error.mean() / np.sqrt(x.size) / truth.std() + 0.005
        assert error.mean() < bound
    assert_allclose(got.chi2_per_pixel, 1.0, atol=0.15)


def test_noise_common_to_a_row_is_weighed_and_counted(motion):
    """A subtracted background puts the same error into all pixels of a row."""
    x, y = motion
    data, err = scene(x, y, seed=16)
    variance = np.full(data.shape[:2], 1.5)
    data = data + np.sqrt(variance)[..., None] * np.random.default_rng(17).normal(size=variance.shape)[..., None]
    plain = measure_shifts(data, err)
    got = measure_shifts(data, err, background_variance=variance)
    assert (got.y_pix - y).std() < (plain.y_pix - y).std()
    assert_allclose(((got.y_pix - y) / got.y_error_pix).std(), 1.0, atol=4 / np.sqrt(2 * y.size))
    assert got.y_error_pix.mean() > 1.05 * plain.y_error_pix.mean()


def test_kernel_inverts_the_covariance():
    rng = np.random.default_rng(2)
    image, weight, common = rng.normal(size=(4, 5)), rng.uniform(1, 2, (4, 5)), rng.uniform(0, 1, 4)
    terms, poly = rng.normal(size=(3, 4, 5)), rng.normal(size=(2, 4))
    design = np.stack([terms[1], terms[2], *(terms[0] * p[:, None] for p in poly)])
    inverse = [np.linalg.inv(np.diag(1 / w) + c) for w, c in zip(weight, common, strict=True)]
    curvature, gradient = np.empty((4, 4)), np.empty(4)
    kernels.normal_equations.py_func(
        image,
        np.zeros((0, 0), bool),
        weight,
        common,
        terms,
        poly,
        np.zeros(4),
        np.full((4, 5), 9.0),
        curvature,
        gradient,
    )
    assert_allclose(curvature, sum(design[:, r] @ inverse[r] @ design[:, r].T for r in range(4)))
    assert_allclose(gradient, sum(design[:, r] @ inverse[r] @ image[r] for r in range(4)))


@pytest.mark.parametrize(("dx", "dy"), [(0.3, 0.0), (-0.7, 0.0), (0.0, 0.4), (0.5, -0.6), (1.2, 0.9)])
def test_sign_and_large_shifts(dx, dy):
    """Positive toward higher index, and linear far beyond the linear range."""
    template = build_template(*scene(np.zeros(30), np.zeros(30), seed=2))
    got = measure_shifts(*scene(dx, dy, seed=3), template=template)
    assert abs(got.x_pix[0] - dx) < 5 * got.x_error_pix[0] + 0.002
    assert abs(got.y_pix[0] - dy) < 5 * got.y_error_pix[0] + 0.01


def test_roll_by_one_pixel():
    data, err = scene(0.0, 0.0, seed=4)
    template = build_template(data, err)
    rolled = measure_shifts(np.roll(data, 1, axis=2), np.roll(err, 1, axis=2), template=template)
    assert_allclose(rolled.x_pix, 1.0, atol=0.01)
    assert_allclose(rolled.y_pix, 0.0, atol=0.05)


def test_one_integration_alone_does_not_move():
    got = measure_shifts(*scene(0.2, 0.1, seed=6))
    assert_allclose([got.x_pix[0], got.y_pix[0]], 0.0, atol=1e-9)


def test_one_template_leaves_no_seam():
    """Two segments with different mean positions: with a common template the step between them is the true one."""
    first, second = (np.full(20, 0.0), np.full(20, 0.0)), (np.full(20, 0.06), np.full(20, -0.09))
    template = build_template(*scene(*first, seed=7))
    a = measure_shifts(*scene(*first, seed=7), template=template)
    b = measure_shifts(*scene(*second, seed=8), template=template)
    for got_a, got_b, step in ((a.x_pix, b.x_pix, 0.06), (a.y_pix, b.y_pix, -0.09)):
        scatter = np.hypot(got_a.std(), got_b.std()) / np.sqrt(20)
        assert abs((got_b.mean() - got_a.mean()) - step) < 5 * scatter + 0.002
    own = measure_shifts(*scene(*second, seed=8))
    assert abs(own.y_pix.mean()) < 0.01  # what happens without: the second segment starts from zero again


def test_a_transit_with_colour_does_not_move_the_trace():
    t = np.linspace(-1, 1, 60)
    depth = np.where(abs(t) < 0.5, 1.0, 0.0)[:, None] * (0.02 + 0.004 * np.linspace(-1, 1, NY) ** 2)
    got = measure_shifts(*scene(np.zeros(60), np.zeros(60), seed=9, factor=1 - depth))
    inside = abs(t) < 0.5
    step = got.y_pix[inside].mean() - got.y_pix[~inside].mean()
    assert abs(step) < 4 * got.y_error_pix.mean() * np.sqrt(1 / inside.sum() + 1 / (~inside).sum())
    assert_allclose(got.scale[inside].mean() / got.scale[~inside].mean(), 1 - 0.0213, atol=1e-3)


def test_outliers_nan_and_flagged_pixels(motion):
    x, y = motion
    data, err = scene(x, y, seed=10)
    clean = measure_shifts(data, err)
    rng = np.random.default_rng(11)
    dirty = data.copy()
    hit = rng.random(data.shape) < 0.004
    dirty[hit] += rng.uniform(10, 300, hit.sum()) * err[hit]
    dirty[:, 60, 21] = np.nan
    mask = np.zeros(data.shape, bool)
    mask[:, 80, 19] = True
    dirty[mask] = 1e7
    got = measure_shifts(dirty, err, mask)
    assert (got.x_pix - clean.x_pix).std() < 0.5 * clean.x_error_pix.mean()
    assert (got.y_pix - clean.y_pix).std() < 0.5 * clean.y_error_pix.mean()
    dirty[mask] = -5.0
    assert_array_equal(measure_shifts(dirty, err, mask).x_pix, got.x_pix)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_unknown_errors(motion, bad):
    x, y = motion[0][:40], motion[1][:40]
    data, err = scene(x, y, seed=12)
    some = err.copy()
    some[:, 50:60, 15:25] = bad
    got, none = measure_shifts(data, some), measure_shifts(data, np.full(err.shape, bad))
    for result in (got, none, measure_shifts(data)):
        assert (result.x_pix - x).std() < 1.5 * got.x_error_pix.mean()
        assert (result.y_pix - y).std() < 1.5 * got.y_error_pix.mean()


def test_an_empty_integration_is_nan_and_no_other(motion):
    data, err = scene(*(m[:12] for m in motion), seed=13)
    whole = measure_shifts(data, err)
    data[4] = np.nan
    got = measure_shifts(data, err)
    assert np.isnan([got.x_pix[4], got.y_pix[4], got.x_error_pix[4]]).all()
    others = np.arange(12) != 4
    assert np.isfinite(got.x_pix[others]).all()
    assert (got.x_pix - whole.x_pix)[others].std() < whole.x_error_pix.mean()


@pytest.mark.parametrize("column", [9.0, 28.4])
def test_other_trace_columns(motion, column):
    x, y = motion
    got = measure_shifts(*scene(x, y, seed=14, column=column))
    assert_allclose(((got.x_pix - x) / got.x_error_pix).std(), 1.0, atol=0.3)


def test_scale_and_precision(motion):
    data, err = scene(*(m[:20] for m in motion), seed=15)
    before = data.copy(), err.copy()
    got = measure_shifts(data, err)
    scaled = measure_shifts(7.5 * data, 7.5 * err)
    single = measure_shifts(data.astype(np.float32), err.astype(np.float32))
    for other, tolerance in ((scaled, 1e-8), (single, 2e-5)):
        assert_allclose(other.x_pix, got.x_pix, atol=tolerance)
        assert_allclose(other.y_pix, got.y_pix, atol=10 * tolerance)
    assert_array_equal(data, before[0])
    assert_array_equal(err, before[1])


def test_misfit_template_and_nothing_usable():
    template = build_template(*scene(0.0, 0.0))
    with pytest.raises(ParameterError, match="does not fit"):
        measure_shifts(np.ones((1, 50, NX)), template=template)
    with pytest.raises(TooFewPixels):
        build_template(np.full((2, NY, NX), np.nan))
    with pytest.raises(TooFewPixels, match="at least 6"):
        build_template(np.ones((2, 3, NX)))


def test_shifted_spectra_of_a_cubic_are_exact():
    rows = np.arange(30.0)

    def cubic(r):
        return 2 + 0.5 * r - 0.03 * r**2 + 0.002 * r**3

    y = np.array([0.0, 0.3, -0.45, 2.0])
    spec = cubic(rows - y[:, None])
    moved, unc = shift_spectra(spec, np.ones_like(spec), y)
    inner = slice(4, -4)
    assert_allclose(moved[:, inner], np.tile(cubic(rows), (4, 1))[:, inner], rtol=1e-12)
    assert_allclose(unc[0], 1.0)
    assert_array_equal(moved[0], spec[0])
    assert np.isnan(moved[3, -1])


def test_shifted_errors_are_those_of_shifted_noise():
    noise = np.random.default_rng(3).normal(size=(4000, 12))
    moved, unc = shift_spectra(noise, np.ones_like(noise), np.full(4000, 0.37))
    assert_allclose(moved[:, 5].std() / unc[0, 5], 1.0, atol=0.05)


def test_shifting_undoes_the_motion(motion):
    x, y = motion
    data, _ = scene(x, 4 * y, noise=False)
    spec = data.sum(axis=2)
    moved, none = shift_spectra(spec, None, 4 * y)
    assert none is None
    inner = slice(5, -5)
    # What remains is the error of cubic interpolation: 1/40 of a shift of a quarter pixel on these lines.
    assert (moved - spectrum(np.arange(NY)))[:, inner].std() < 0.05 * (spec - spectrum(np.arange(NY)))[:, inner].std()


def test_a_missing_value_stays_near_and_unknown_shifts_leave_spectra_alone():
    spec = np.ones((2, 20))
    spec[0, 10] = np.nan
    moved, _ = shift_spectra(spec, None, np.array([0.2, np.nan]))
    assert_array_equal(np.nonzero(np.isnan(moved[0]))[0], [8, 9, 10, 11])
    assert_array_equal(moved[1], spec[1])


def test_kernels_equal_their_python():
    rng = np.random.default_rng(1)
    cube = rng.normal(size=(3, 6, 5))
    cube[0, 1, 1] = np.nan
    for mask in (np.zeros((0, 0, 0), bool), rng.random(cube.shape) < 0.2):
        out = []
        for call in (kernels.clipped_mean, kernels.clipped_mean.py_func):
            mean, count = np.empty((6, 5)), np.empty((6, 5), np.int64)
            call(cube, mask, np.zeros((6, 5)), np.full((6, 5), 1.5), mean, count)
            out.append((mean, count))
        assert_allclose(out[0][0], out[1][0], rtol=1e-12)
        assert_array_equal(out[0][1], out[1][1])
        weight = rng.random((6, 5))
        weight[2, 2] = 0
        common = rng.random(6)
        terms, poly, guess = rng.normal(size=(3, 6, 5)), rng.normal(size=(2, 6)), rng.normal(size=(3, 4))
        results = []
        for call in (kernels.all_normal_equations, kernels.all_normal_equations.py_func):
            arrays = np.empty((3, 4, 4)), np.empty((3, 4)), np.empty(3, np.int64), np.empty(3)
            call(cube, mask, weight, common, terms, poly, guess, np.full((6, 5), 3.0), *arrays)
            results.append(arrays)
        one = np.empty((4, 4)), np.empty(4)
        plain = kernels.normal_equations.py_func(
            cube[1], mask[1] if mask.size else np.zeros((0, 0), bool), weight, common, terms, poly, guess[1],
            np.full((6, 5), 3.0), *one,
        )  # fmt: skip
        for a, b in zip(*results, strict=True):
            assert_allclose(a, b, rtol=1e-12)
        assert_allclose(one[0], results[0][0][1], rtol=1e-12)
        assert plain[0] == results[0][2][1]
