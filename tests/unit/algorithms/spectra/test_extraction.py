import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import erf

from detectorist.algorithms.spectra import extraction
from detectorist.algorithms.spectra.background import measure_background
from detectorist.algorithms.spectra.extraction import (
    aperture_weights,
    extract_box,
    extract_optimal,
    model_variance,
    rate_read_noise,
)
from detectorist.errors import ParameterError, TooFewPixels

GAIN, TIME, READ_NOISE = 5.5, 10.0, 3.0
N_INTS, NY, NX = 40, 60, 72


def make_profile(column=36.0):
    sigma = np.linspace(2.4, 1.6, NY)[:, None] * np.sqrt(2)
    cols = np.arange(NX)
    return 0.5 * (erf((cols + 0.5 - column) / sigma) - erf((cols - 0.5 - column) / sigma))


@pytest.fixture
def scene(rng):
    """A star on a sky: data with the measured background subtracted, err, truth, profile, background."""
    profile = make_profile()
    truth = np.linspace(200, 3000, NY)
    sky = np.linspace(90, 40, NY)
    ideal = truth[:, None] * profile + sky[:, None]
    err = np.broadcast_to(np.sqrt(ideal / (GAIN * TIME) + READ_NOISE**2), (N_INTS, NY, NX))
    data = ideal + err * rng.normal(size=err.shape)
    background = measure_background(data, err, bkg_col_left_start=12, bkg_col_left_end=22, bkg_col_right_end=68)
    return data - background.image, np.array(err), truth, profile, background


def pull_of(spectra, truth):
    return (spectra.flux - truth) / spectra.error


def near_one(pull):
    assert_allclose(pull.std(), 1.0, atol=4 / np.sqrt(2 * pull.size))
    assert abs(pull.mean()) < 5 / np.sqrt(pull.size)


@pytest.mark.parametrize(("units", "factor"), [("DN/s", 1.0), ("electron/s", GAIN)])
@pytest.mark.parametrize("widths", [(4, 4), (3, 3), (8, 8), (2, 5)])
def test_box_pulls(scene, units, factor, widths):
    data, err, truth, profile, background = scene
    left, right = widths
    got = extract_box(
        data,
        err,
        aperture_left_width=left,
        aperture_right_width=right,
        background_variance=background.variance,
        units=units,
        gain=GAIN,
    )
    near_one(pull_of(got, factor * truth * profile[:, 36 - left : 37 + right].sum(1)))


def test_box_without_the_background_is_too_sure(scene):
    """The peer's errors: a fifth too small, because the error of the background is not in them."""
    data, err, truth, profile, background = scene
    inside = truth * profile[:, 32:41].sum(1)
    assert pull_of(extract_box(data, err), inside).std() > 1.1
    near_one(pull_of(extract_box(data, err, background_variance=background.variance), inside))


@pytest.mark.parametrize(("units", "factor"), [("DN/s", 1.0), ("electron/s", GAIN)])
@pytest.mark.parametrize("noise", ["errors", "model", "model with measured sky"])
def test_optimal_pulls(scene, units, factor, noise):
    """The peer takes read noise as a variance and has no gain: its errors are twice too large."""
    data, err, truth, profile, background = scene
    inside = truth * profile[:, 28:45].sum(1)
    variance = None
    if noise != "errors":
        level = {"background": background.image[..., 0]}
        sky = {"sky_variance": err[..., 15] ** 2}
        how = level if noise == "model" else sky
        variance = model_variance(data, profile, readnoise=READ_NOISE, gain=GAIN, integration_time_s=TIME, **how)
        assert_allclose(np.median(variance / err**2), 1.0, atol=0.02)
    got = extract_optimal(
        data, profile, err, variance=variance, background_variance=background.variance, units=units, gain=GAIN
    )
    near_one(pull_of(got, factor * inside))


def test_optimal_is_better_than_any_box_and_unbiased_by_its_weights(scene):
    data, err, truth, profile, background = scene
    optimal = extract_optimal(data, profile, err)
    for width in (1, 2, 3, 4, 8):
        share = profile[:, 36 - width : 37 + width].sum(1)
        box = extract_box(data, err, aperture_left_width=width, aperture_right_width=width)
        assert (optimal.error / truth <= box.error / (truth * share) * 1.001).all()
    # Errors that follow each pixel's own noise, as those of a ramp fit do, must not pull the flux down.
    own = np.sqrt(np.maximum(data + background.image, 1) / (GAIN * TIME) + READ_NOISE**2)
    following = extract_optimal(data, profile, own, background_variance=background.variance)
    bias = (following.flux - truth * profile[:, 28:45].sum(1)).mean() / (
        following.error.mean() / np.sqrt(data[..., 0].size)
    )
    assert abs(bias) < 4


def test_profile_is_normalised_within_the_aperture(scene):
    data, err, _, profile, _ = scene
    one = extract_optimal(data, profile, err)
    for other in (17.0 * profile, np.broadcast_to(profile, data.shape), np.where(profile > 1e-4, profile, np.nan)):
        assert_allclose(extract_optimal(data, other, err).flux, one.flux, rtol=2e-3)
    assert_array_equal(extract_optimal(data, np.where(profile > 1e-9, profile, -1), err).flux.shape, (N_INTS, NY))


def test_median_profile_is_that_of_all_integrations(scene, rng):
    data, err, _, profile, _ = scene
    noisy = profile * (1 + 0.1 * rng.normal(size=data.shape))
    got = extract_optimal(data, noisy, err, median_spatial_profile=True)
    assert_allclose(got.flux, extract_optimal(data, np.median(noisy, axis=0), err).flux, rtol=1e-10)


@pytest.mark.parametrize("median", [False, True])
def test_spectra_do_not_depend_on_how_many_are_made_at_a_time(scene, rng, monkeypatch, median):
    data, err, _, profile, background = scene
    noisy = profile * (1 + 0.1 * rng.normal(size=data.shape))
    data = np.where(rng.random(data.shape) < 0.01, np.nan, data)
    given = {"median_spatial_profile": median, "background_variance": background.variance, "aperture_center": 36.2}
    found = []
    for part_ints in (1, 7, N_INTS + 1):
        monkeypatch.setattr(extraction, "PART_INTS", part_ints)
        found.append(extract_optimal(data, noisy, err, **given))
    for name in ("flux", "error", "n_missing"):
        for other in found[1:]:
            assert_array_equal(getattr(other, name), getattr(found[0], name))


def test_pixels_left_out_count_as_not_finite(scene, rng):
    data, err, _, profile, _ = scene
    left = rng.random(data.shape) < 0.02
    found = extract_optimal(data, profile, err, leave_out=left)
    expected = extract_optimal(np.where(left, np.nan, data), profile, err)
    for name in ("flux", "error", "n_missing"):
        assert_array_equal(getattr(found, name), getattr(expected, name))


def test_exact_on_the_model(scene):
    _, err, truth, profile, _ = scene
    data = np.broadcast_to(truth[:, None] * profile, err.shape)
    inside = truth * profile[:, 28:45].sum(1)
    assert_allclose(extract_optimal(data, profile, err).flux[0], inside, rtol=1e-12)
    missing = data.copy()
    missing[:, :, 36] = np.nan
    assert_allclose(extract_optimal(missing, profile, err).flux[0], inside, rtol=1e-12)


def test_gain_per_pixel(scene):
    data, err, truth, profile, background = scene
    gain = GAIN * (1 + 0.2 * np.sin(np.arange(NX)))[None, :] * np.ones((NY, 1))
    options = {"background_variance": background.variance, "units": "electron/s", "gain": gain}
    near_one(pull_of(extract_box(data, err, **options), (truth[:, None] * profile * gain)[:, 32:41].sum(1)))
    near_one(
        pull_of(extract_optimal(data, profile, err, **options), (truth[:, None] * profile * gain)[:, 28:45].sum(1))
    )


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -2.0])
def test_unknown_errors_get_no_weight_of_their_own(scene, bad):
    data, err, _, profile, background = scene
    some = err.copy()
    some[:, 30, 36] = bad
    for call in (extract_box, lambda d, e, **k: extract_optimal(d, profile, e, **k)):
        known = call(data, err, background_variance=background.variance)
        got = call(data, some, background_variance=background.variance)
        assert_allclose(got.error, known.error, rtol=0.02)
        assert_allclose(got.flux, known.flux, rtol=0.02)
        nothing = call(data, np.full(err.shape, bad), background_variance=background.variance)
        assert_allclose(np.median(nothing.error / known.error), 1.0, atol=0.06)


def test_missing_pixels(scene):
    data, err, _, profile, _ = scene
    whole = extract_box(data, err)
    data = data.copy()
    data[3, 20, 36] = np.nan
    data[4, 20, 10] = np.nan  # outside
    data[5, 21, 30:43] = np.nan
    got = extract_box(data, err)
    assert np.isnan(got.flux[3, 20])
    assert np.isnan(got.error[3, 20])
    assert got.n_missing[3, 20] == 1
    others = np.isfinite(got.flux)
    assert others.sum() == others.size - 2
    assert_array_equal(got.flux[others], whole.flux[others])
    optimal = extract_optimal(data, profile, err)
    assert np.isfinite(optimal.flux[3, 20])
    assert optimal.error[3, 20] > optimal.error[2, 20]
    assert np.isnan(optimal.flux[5, 21])
    for call in (lambda d: extract_box(d, err), lambda d: extract_optimal(d, profile, err)):
        with pytest.raises(TooFewPixels):
            call(np.full_like(data, np.nan))


def test_apertures_are_inclusive_and_follow_fractions():
    weights = aperture_weights(72, aperture_center=36, aperture_left_width=4, aperture_right_width=4)
    assert_array_equal(np.nonzero(weights[0])[0], np.arange(32, 41))
    assert set(weights[0]) == {0.0, 1.0}
    part = aperture_weights(72, aperture_center=np.array([36.25, 36.0]), aperture_left_width=2, aperture_right_width=1)
    assert_array_equal(np.nonzero(part[1])[0], np.arange(34, 38))
    assert_allclose(part.sum(axis=1), 4)
    assert_allclose(part[0, 33:40], [0, 0.75, 1, 1, 1, 0.25, 0], atol=0.06)
    # Exact for light that varies as a square: the integral over the pixels of x^2 from 33.75 to 37.75.
    edges = np.arange(73) - 0.5
    assert_allclose(part[0] @ (np.diff(edges**3) / 3), (37.75**3 - 33.75**3) / 3)
    at_edge = aperture_weights(10, aperture_center=1.3, aperture_left_width=1, aperture_right_width=7)
    assert_allclose(at_edge[0, [0, 1, 8, 9]], [0.7, 1, 1, 0.3])


def test_box_that_follows_the_trace_keeps_its_light(rng):
    centers = 36 + rng.uniform(-0.5, 0.5, 30)
    data = 1000 * np.stack([make_profile(c) for c in centers])
    fixed = extract_box(data).flux
    following = extract_box(data, aperture_center=centers).flux
    assert following.std(axis=0).max() < 0.35 * fixed.std(axis=0).max()
    nan_outside = data.copy()
    inside = centers < 36.0
    nan_outside[inside, :, 42] = np.nan  # outside of these integrations' apertures, inside of others'
    assert_array_equal(extract_box(nan_outside, aperture_center=centers).flux[inside], following[inside])


@pytest.mark.parametrize("call", [extract_box, lambda d, e, **k: extract_optimal(d, make_profile(), e, **k)])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aperture_left_width": -9}, "empty"),
        ({"aperture_center": 70}, "beyond the 72 columns"),
        ({"aperture_center": 2}, "beyond"),
        ({"aperture_center": np.nan}, "not known"),
        ({"units": "Jy"}, "electron/s"),
        ({"units": "electron/s"}, "needs a gain"),
        ({"units": "electron/s", "gain": 0.0}, "gain in the aperture is 0"),
        ({"units": "electron/s", "gain": np.nan}, "positive"),
    ],
)
def test_senseless_parameters(call, change, message):
    data = np.ones((2, NY, NX))
    with pytest.raises(ParameterError, match=message):
        call(data, data, **change)


def test_profiles_of_the_wrong_shape():
    data = np.ones((2, NY, NX))
    for shape in ((NY, 5), (3, NY, NX), (NX,)):
        with pytest.raises(ParameterError, match="profile has shape"):
            extract_optimal(data, np.ones(shape), data)


@pytest.mark.parametrize(
    "change", [{"gain": 0.0}, {"integration_time_s": 0.0}, {"readnoise": -1.0}, {"readnoise": np.nan}]
)
def test_senseless_noise(change):
    with pytest.raises(ParameterError):
        model_variance(
            np.ones((1, NY, NX)), make_profile(), **{"readnoise": 3.0, "gain": 5.0, "integration_time_s": 9.0, **change}
        )


def test_read_noise_of_a_slope(rng):
    n_groups, t = 12, 0.159
    reads = 6.0 * rng.normal(size=(20_000, n_groups))
    slopes = np.polynomial.polynomial.polyfit(t * np.arange(n_groups), reads.T, 1)[1]
    cds = 6.0 * np.sqrt(2)
    assert_allclose(rate_read_noise(cds, n_groups=n_groups, group_time_s=t) / slopes.std(), 1.0, atol=0.02)
    assert_allclose(rate_read_noise(cds, n_groups=1, group_time_s=t), 6.0 / t)


def test_float32_near_float64_and_input_untouched(scene):
    data, err, _, profile, _ = scene
    before = data.copy(), err.copy(), profile.copy()
    single = [a.astype(np.float32) for a in (data, err, profile)]
    for got, other in (
        (extract_box(data, err), extract_box(*single[:2])),
        (extract_optimal(data, profile, err), extract_optimal(single[0], single[2], single[1])),
    ):
        assert_allclose(other.flux, got.flux, rtol=1e-5, atol=1e-3)
        assert_allclose(other.error, got.error, rtol=1e-5)
    for array, old in zip((data, err, profile), before, strict=True):
        assert_array_equal(array, old)
