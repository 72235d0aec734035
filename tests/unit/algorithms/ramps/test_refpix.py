"""The drift of the outputs from the reference columns: injected drift, recovered in units of its error."""

import inspect
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import cholesky_banded, solveh_banded

from detectorist.algorithms.ramps import refpix
from detectorist.algorithms.ramps._refpix_nb import running_median, solve_beside

NOISE = 6.0


@dataclass
class Scene:
    data: np.ndarray  # (n_ints, n_groups, ny, nx)
    drift: np.ndarray  # (n_ints, n_groups, ny, 4), relative to the first group


def make_scene(rng, n_ints=2, n_groups=6, ny=256, nx=16, slow=4.0, odd_even=4.0, noise=NOISE):
    """Return pedestals, drift of an output as base + odd/even + a slow wave, and read noise; no light."""
    rows = np.arange(ny)
    shape = (n_ints, n_groups, 1, 4)
    drift = 3 * rng.normal(size=shape).cumsum(axis=1) * np.ones((ny, 1))
    drift = drift + odd_even * np.where(rows % 2, *rng.normal(size=(2, n_ints, n_groups, 4, 1))).transpose(0, 1, 3, 2)
    phase = rng.uniform(0, 2 * np.pi, size=(n_ints, 1, 1, 4))
    drift = drift + slow * rng.normal(size=shape) * np.sin(2 * np.pi * 1.5 * rows[:, None] / ny + phase)
    data = 9000 + 50 * rng.normal(size=(ny, nx)) + drift[..., np.arange(nx) % 4]
    data = data + noise * rng.normal(size=data.shape)
    return Scene(data.astype(np.float32), drift - drift[:, :1])


def reads(scene):
    return scene.data[..., :4]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"smoothing_length": 21},
        {"smoothing_length": 20},
        {"smoothing": "gaussian", "smoothing_length": 31},
        {"smoothing": "gaussian"},
        {"smoothing": "auto"},
        {"odd_even_rows": False},
    ],
)
def test_constant_drift_is_recovered_within_its_error(rng, options):
    # The noise of the first group is common to an integration: many integrations, to have many errors.
    scene = make_scene(rng, n_ints=16, n_groups=3, slow=0.0, odd_even=0.0)
    got = refpix.measure_reference_drift(reads(scene), **options)
    left = (got.drift - scene.drift)[:, 1:]
    assert_allclose(left.std() / got.noise_dn, 1.0, atol=0.2)
    assert abs(left.mean()) < 5 * NOISE * np.sqrt(2 / (64 * 256))
    assert_allclose(got.read_noise_dn, NOISE * np.sqrt(2), rtol=0.03)
    assert_array_equal(got.drift[:, 0], 0)


def test_auto_beats_every_fixed_length(rng):
    scene = make_scene(rng, n_ints=3, n_groups=10, ny=416)

    def left(**options):
        return (refpix.measure_reference_drift(reads(scene), **options).drift - scene.drift)[:, 1:].std()

    auto = left(smoothing="auto")
    fixed = [left(smoothing="gaussian", smoothing_length=n) for n in (11, 21, 41, 61, 101)]
    fixed += [left(smoothing_length=n) for n in (11, 21, 41, 61, 101)]
    assert auto < 0.9 * min(fixed)
    # Two offsets and a wave of one and a half periods are about six numbers in 416 reads of sqrt(2) x 6 DN.
    assert auto < 1.25 * NOISE * np.sqrt(2) * np.sqrt(6 / 416) * 1.1


def test_auto_noise_is_what_it_adds(rng):
    scene = make_scene(rng, n_ints=4, n_groups=10)
    got = refpix.measure_reference_drift(reads(scene), smoothing="auto")
    quiet = make_scene(np.random.default_rng(20261120), n_ints=4, n_groups=10, noise=0.0)
    assert_array_equal(quiet.drift, scene.drift)
    left = (got.drift - scene.drift)[:, 1:]
    # The bias of smoothing comes on top of the noise, by design no more than the noise itself.
    assert 0.9 < left.std() / got.noise_dn < 1.45


def test_auto_takes_the_whole_column_when_nothing_varies_along_it(rng):
    scene = make_scene(rng, n_groups=10, slow=0.0)
    got = refpix.measure_reference_drift(reads(scene), smoothing="auto")
    assert got.noise_dn < NOISE * np.sqrt(2) * np.sqrt(5 / 256)


def test_auto_follows_fast_structure(rng):
    scene = make_scene(rng, n_groups=10, slow=0.0, odd_even=0.0)
    steps = np.repeat(30 * rng.normal(size=(2, 10, 16, 4)), 16, axis=2)
    scene.data[..., :4] += (steps - steps[:, :1]).astype(np.float32)
    got = refpix.measure_reference_drift(reads(scene), smoothing="auto")
    left = (got.drift - scene.drift - (steps - steps[:, :1]))[:, 1:]
    assert got.length_rows < 40
    assert left.std() < NOISE * np.sqrt(2)


@pytest.mark.parametrize("smoothing", ["median", "gaussian", "auto"])
def test_flagged_and_nan_reads_have_no_influence(rng, smoothing):
    scene = make_scene(rng)
    unusable = rng.random(reads(scene).shape) < 0.05
    unusable[:, :, 40:44, 1] = True
    kwargs = {"smoothing": smoothing, "smoothing_length": None if smoothing == "auto" else 21}
    clean = refpix.measure_reference_drift(reads(scene), unusable, **kwargs)
    spoiled = reads(scene).copy()
    spoiled[unusable] = 1e6
    spoiled[:, :, 41, 1] = np.nan
    got = refpix.measure_reference_drift(spoiled, unusable, **kwargs)
    assert_array_equal(got.drift, clean.drift)
    assert_allclose(got.drift, scene.drift, atol=8 * NOISE)


def test_median_of_column_follows_the_definition(rng):
    scene = make_scene(rng, n_ints=1, n_groups=3, ny=10)
    got = refpix.measure_reference_drift(reads(scene)).drift[0]
    wanted = reads(scene)[0].astype(float) - reads(scene)[0, 0]
    for parity in (0, 1):
        expected = np.median(wanted[:, parity::2], axis=1, keepdims=True)
        assert_allclose(got[:, parity::2], np.broadcast_to(expected, (3, 5, 4)), atol=1e-9)


@pytest.mark.parametrize("length", [11, 12])
@pytest.mark.parametrize("odd_even_rows", [True, False])
def test_length_means_rows_of_the_detector(rng, length, odd_even_rows):
    """A window is not doubled by treating odd and even rows apart, and an even one loses no row."""
    scene = make_scene(rng, n_ints=1, n_groups=2, ny=60)
    got = refpix.measure_reference_drift(reads(scene), smoothing_length=length, odd_even_rows=odd_even_rows)
    difference = (reads(scene)[0, 1].astype(float) - reads(scene)[0, 0])[:, 0]
    row, half = 30, length // 2
    window = difference[row - half : row + half + 1]
    assert len(window) >= length
    if odd_even_rows:
        window = window[half % 2 :: 2]
    assert_allclose(got.drift[0, 1, row, 0], np.median(window), atol=1e-9)


def test_jump_in_a_reference_pixel_is_left_out(rng):
    scene = make_scene(rng, ny=416)
    scene.data[0, 3:, 100, 2] += 4000
    got = refpix.measure_reference_drift(reads(scene), smoothing="auto")
    assert got.n_rejected >= 3
    assert np.abs((got.drift - scene.drift)[0, 3:, 90:110, 2]).max() < 5 * NOISE


def test_an_output_without_usable_reads_borrows_from_the_others(rng):
    scene = make_scene(rng, odd_even=0.0, slow=0.0)
    unusable = np.zeros(reads(scene).shape, bool)
    unusable[..., 3] = True
    got = refpix.measure_reference_drift(reads(scene), unusable)
    assert got.n_unmeasured == 2 * 6
    assert_allclose(got.drift[..., 3], got.drift[..., :3].mean(axis=-1))
    nothing = refpix.measure_reference_drift(reads(scene), np.ones_like(unusable), smoothing="auto")
    assert_array_equal(nothing.drift, 0)


def test_a_pixel_without_a_first_group_is_left_out_of_its_integration(rng):
    scene = make_scene(rng, n_ints=1)
    unusable = np.zeros(reads(scene).shape, bool)
    unusable[0, 0, :, 1] = True
    unusable[0, 0, 0, 1] = False
    got = refpix.measure_reference_drift(reads(scene), unusable, odd_even_rows=False)
    assert_allclose(got.drift[0, 1:, 5, 1], (scene.data[0, 1:, 0, 1] - scene.data[0, 0, 0, 1]), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 20, 4), (1, 3, 1, 4), (1, 3, 2, 4), (1, 3, 3, 4), (2, 2, 5, 4)])
@pytest.mark.parametrize("smoothing", ["median", "gaussian", "auto"])
def test_small_arrays(rng, shape, smoothing):
    got = refpix.measure_reference_drift(rng.normal(size=shape), smoothing=smoothing)
    assert got.drift.shape == shape
    assert np.isfinite(got.drift).all()


def test_correction_of_all_columns_and_input_untouched(rng):
    scene = make_scene(rng, nx=18)
    scene.data[0, 2, 3, 9] = np.nan
    before = scene.data.copy()
    got = refpix.measure_reference_drift(reads(scene))
    corrected = refpix.subtract_reference_drift(scene.data, got.drift)
    assert_array_equal(scene.data, before)
    assert corrected.dtype == np.float32
    assert np.isnan(corrected[0, 2, 3, 9])
    good = np.isfinite(corrected)
    assert_allclose(corrected[good], (before - got.drift[..., np.arange(18) % 4])[good], rtol=1e-6)
    shifted = refpix.subtract_reference_drift(scene.data[..., 1:], got.drift, first_column=1)
    assert_array_equal(shifted, corrected[..., 1:])


def test_float64_input_gives_the_same(rng):
    scene = make_scene(rng)
    single = refpix.measure_reference_drift(reads(scene), smoothing="auto")
    double = refpix.measure_reference_drift(reads(scene).astype(float), smoothing="auto")
    assert_allclose(single.drift, double.drift, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing": "boxcar"}, "boxcar"),
        ({"smoothing_length": 0}, "1 row or more"),
        ({"smoothing": "auto", "smoothing_length": 5}, "chooses the length itself"),
    ],
)
def test_wrong_parameters_are_refused(rng, options, message):
    with pytest.raises(ValueError, match=message):
        refpix.measure_reference_drift(reads(make_scene(rng)), **options)


def test_wrong_shape_is_refused(rng):
    with pytest.raises(ValueError, match="n_groups, ny, 4"):
        refpix.measure_reference_drift(np.zeros((2, 3, 8, 5)))


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("half", [0, 3, 7, 200])
def test_kernel_equals_its_python_and_the_textbook(rng, step, half):
    series = rng.normal(size=(3, 31)).round(1)  # rounded: equal values must not confuse the window
    usable = rng.random(series.shape) < 0.8
    got = running_median(series, usable, half, step)
    assert_array_equal(got, running_median.py_func(series, usable, half, step))
    for k, row in [(0, 0), (1, 15), (2, 30), (0, 7)]:
        rows = [r for r in range(31) if abs(r - row) <= half // step * step and (r - row) % step == 0]
        inside = [series[k, r] for r in rows if usable[k, r]]
        assert_allclose(got[k, row], np.median(inside) if inside else np.nan)


def test_against_exotic_miri_without_flags(peers, tmp_path, monkeypatch):
    """ExoTiC-MIRI's corrections, of integration 0 and every fifth group, where it has no fault."""
    scene = peers_scene(peers, tmp_path, monkeypatch)
    groups = slice(0, None, 5)
    for file, options in [
        ("exotic_refpix_odd_even_int0.npz", {}),
        ("exotic_refpix_no_odd_even_int0.npz", {"odd_even_rows": False}),
        # Its length counts rows of one parity: 11 of them on 21 rows of the detector.
        ("exotic_refpix_odd_even_smooth11_int0.npz", {"smoothing_length": 21}),
    ]:
        drift = refpix.measure_reference_drift(scene[..., :4], **options).drift
        got = refpix.subtract_reference_drift(scene, drift)[0, groups]
        # It adds and subtracts the first group in float32, counts up to 20,000: rounding of 1e-3 each time.
        assert_allclose(got, np.load(peers / file)["data"], atol=6e-3, rtol=0)


def peers_scene(peers, folder, monkeypatch):
    """The ramp that the peers were run on, made by the script beside their outputs."""
    script = peers.parent / "gen_inputs.py"
    if not script.is_file():
        pytest.skip(f"{script} is not there")
    monkeypatch.setattr("sys.argv", [str(script), str(folder), "20261120"])
    names = {"__name__": "scenes"}
    exec(script.read_text().split("\nfor f in (")[0], names)
    names["miri_lrs"]()
    names["miri_ramp"]()
    return np.load(folder / "miri_ramp.npz")["data"][:1]


def test_importing_compiles_nothing():
    source = inspect.getsource(refpix)
    assert "\nfrom detectorist.algorithms.ramps._refpix_nb" not in source


@pytest.mark.parametrize("options", [{}, {"smoothing_length": 21}, {"smoothing": "gaussian"}, {"smoothing": "auto"}])
def test_an_integration_does_not_depend_on_the_others(rng, options):
    scene = make_scene(rng, n_ints=5, n_groups=6)
    unusable = rng.random((*scene.data.shape[:3], 4)) < 0.02
    chosen = None
    if options.get("smoothing") == "auto":
        chosen = refpix.choose_smoothing(reads(scene), unusable)
    whole = refpix.measure_reference_drift(reads(scene), unusable, **options)
    parts = [
        refpix.measure_reference_drift(reads(scene)[part], unusable[part], chosen=chosen, **options).drift
        for part in (slice(0, 2), slice(2, 5))
    ]
    assert_array_equal(np.concatenate(parts), whole.drift)


@pytest.mark.parametrize("n_bands", [2, 3])
def test_sets_of_values_are_solved_for_side_by_side(rng, n_bands):
    bands = np.zeros((n_bands, 40))
    bands[-1], bands[:-1] = 5.0 + rng.random(40), rng.normal(size=(n_bands - 1, 40))
    right = rng.normal(size=(40, 7))
    solved = right.copy()
    solve_beside(cholesky_banded(bands), solved)
    np.testing.assert_allclose(solved, solveh_banded(bands, right), rtol=1e-12)
