"""Outliers across integrations: all injected ones, nothing else, whatever 1/f noise lies under them."""

import numpy as np
import pytest

from detectorist.algorithms._sorting_nb import sorting_network
from detectorist.algorithms.spectra import _outliers_nb
from detectorist.algorithms.spectra.outliers import flag_outliers, groups_of_outliers

N_INTS, NY, NX = 12, 40, 160


@pytest.fixture
def scene(rng):
    """A halo with photon noise, rows of each integration lifted by 1/f noise; 40 outliers of 15 sigma and more."""
    yy, xx = np.mgrid[:NY, :NX]
    halo = 60 / (1 + (np.hypot(yy - 20, xx - 80) / 9) ** 2)
    err = np.broadcast_to(np.sqrt(0.25 + 0.02 * halo), (N_INTS, NY, NX)).copy()
    rows = 0.8 * rng.normal(size=(N_INTS, NY, 1))
    cube = halo + rows + err * rng.normal(size=err.shape)
    truth = np.zeros(cube.shape, bool)
    truth.flat[rng.choice(cube.size, 40, replace=False)] = True
    cube[truth] += err[truth] * rng.uniform(18, 300, 40) * rng.choice((-1, 1), 40)
    return cube, err, truth


@pytest.mark.parametrize("with_err", [True, False])
def test_outliers_are_found_and_nothing_else(scene, with_err):
    cube, err, truth = scene
    got = flag_outliers(cube, err if with_err else None)
    assert got.flagged[truth].mean() > 0.97
    assert not (got.flagged & ~truth).any()
    assert got.judged.all()


def test_gaussian_noise_has_no_outliers(rng):
    cube = rng.normal(size=(10, 200, 500)).astype(np.float32)
    assert not flag_outliers(cube).flagged.any()


def test_strong_flicker_along_the_rows_hides_few(rng):
    """Noise three times the white noise, correlated over a dozen columns: 97 % of 15 sigma and more, as without."""
    frequency = np.fft.rfftfreq(NY * NX)
    amplitude = np.r_[0.0, frequency[1:] ** -0.5]
    phases = rng.normal(size=(2, N_INTS, frequency.size))
    stripes = np.fft.irfft(amplitude * (phases[0] + 1j * phases[1]), NY * NX, axis=1).reshape(N_INTS, NY, NX)
    cube = 1.5 * stripes / stripes.std() + 0.5 * rng.normal(size=stripes.shape)
    truth = rng.random(cube.shape) < 0.01
    cube[truth] += 0.5 * np.exp(rng.uniform(np.log(15), np.log(300), truth.sum()))
    got = flag_outliers(cube, np.full(cube.shape, 0.5)).flagged
    assert got[truth].mean() > 0.95
    assert (got & ~truth).sum() <= 1


def test_level_of_a_row_is_no_outlier_and_hides_none(scene):
    cube, err, truth = scene
    lifted = cube + 30 * np.sin(np.arange(N_INTS * NY)).reshape(N_INTS, NY, 1)
    got = flag_outliers(lifted, err)
    assert (got.flagged == flag_outliers(cube, err).flagged).mean() > 0.9999
    assert got.flagged[truth].mean() > 0.97


def test_masked_values_have_no_influence(scene, rng):
    cube, err, _ = scene
    mask = rng.random(cube.shape) < 0.1
    results = [flag_outliers(np.where(mask, value, cube), err, mask).flagged for value in (np.nan, 0, 1e9)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    assert not results[0][mask].any()


def test_nan_integration_is_left_out(scene):
    cube, err, truth = scene
    cube[3] = np.nan
    got = flag_outliers(cube, err)
    keep = truth & np.isfinite(cube)
    assert got.flagged[keep].mean() > 0.97
    assert not (got.flagged & ~truth).any()
    assert got.judged.all()


def test_first_integration_apart_is_judged_by_its_own_scatter(scene, rng):
    """The first integration of MIRI differs as a whole: it is not flagged, nor does it spoil the rest."""
    cube, err, truth = scene
    cube[0] = cube[0] * 1.05 + 40 + 3 * rng.normal(size=cube[0].shape)
    cube[0, 5, 7] += 400
    apart = np.arange(N_INTS) > 0
    got = flag_outliers(cube, err, standard=apart)
    assert got.flagged[0, 5, 7]
    assert got.flagged[0].sum() <= truth[0].sum() + 1
    np.testing.assert_array_equal(got.flagged[1:].any(), truth[1:].any())
    assert got.flagged[1:][truth[1:]].mean() > 0.97
    assert not (got.flagged[1:] & ~truth[1:]).any()


def test_too_few_integrations_are_not_judged(scene):
    cube, err, _ = scene
    got = flag_outliers(cube[:9], err[:9])
    assert not got.judged.any()
    assert not got.flagged.any()
    assert flag_outliers(cube[:9], err[:9], nint_min=5).judged.all()
    one = flag_outliers(cube[:1], nint_min=1)
    assert not one.flagged.any()


def test_pixel_noisier_than_its_neighbours_is_judged_by_itself(scene, rng):
    cube, err, _ = scene
    cube[:, 10, 10] = 30 * rng.normal(size=N_INTS)
    assert not flag_outliers(cube, err).flagged[:, 10, 10].any()


def test_sort_network_sorts(rng):
    for n in (1, 2, 3, 7, 10, 20, 33):
        values = rng.normal(size=n)
        for a, b in sorting_network(n):
            if values[a] > values[b]:
                values[[a, b]] = values[[b, a]]
        assert (np.diff(values) >= 0).all()


def test_kernel_equals_its_python(scene):
    cube, err, _ = scene
    part = (slice(None), slice(0, 2), slice(0, 30))
    data = cube[part].astype(np.float32)
    data[2, 0, 4] = np.nan
    standard = np.arange(N_INTS) > 0
    pairs = sorting_network(N_INTS - 1)
    values, scale = np.empty((2, N_INTS, 30), np.float32)
    compiled = np.empty((N_INTS - 1, 30), np.float32)
    stats, stats_python = np.zeros((2, 3, 30), np.float32)
    _outliers_nb._read_row(data, err[part], np.empty((0, 0, 0), np.bool_), 0, values, scale)
    plain = values.copy()
    _outliers_nb._row_statistics(values, standard, pairs, compiled, stats)
    _outliers_nb._row_statistics.py_func(values, standard, pairs, compiled.copy(), stats_python)
    np.testing.assert_allclose(stats, stats_python, rtol=1e-5)
    _outliers_nb._remove_levels(values, stats, 80)
    _outliers_nb._remove_levels.py_func(plain, stats, 80)
    np.testing.assert_allclose(values, plain, rtol=1e-5)


def test_input_is_untouched_and_float32_is_near_float64(scene):
    cube, err, _ = scene
    cube.flags.writeable = err.flags.writeable = False
    wide = flag_outliers(cube, err).flagged
    narrow = flag_outliers(cube.astype(np.float32), err.astype(np.float32)).flagged
    np.testing.assert_array_equal(wide, narrow)


def test_arguments_are_checked(scene):
    cube, err, _ = scene
    with pytest.raises(ValueError, match="do not agree"):
        flag_outliers(cube, err[:3])
    with pytest.raises(ValueError, match="sigma_cut"):
        flag_outliers(cube, sigma_cut=0)
    with pytest.raises(ValueError, match="standard"):
        flag_outliers(cube, standard=np.ones(3, bool))


def test_group_of_an_outlier_is_found_where_one_step_makes_it(rng):
    ramp = 10.0 * np.arange(6)[:, None, None] + rng.normal(size=(12, 6, 4, 4))
    flags = np.zeros(ramp.shape, np.uint8)
    ramp[3, 4:, 1, 1] += 200.0  # one step
    ramp[5, :, 2, 2] *= 5.0  # a slope of its own
    ramp[7, 2:, 3, 3] += 200.0  # one step, beside a flag
    flags[7, 4, 3, 3] = 4
    ramp[9, 4:, 0, 0] += 200.0  # a step into a flagged group
    flags[9, 4, 0, 0] = 1
    where = tuple(np.array(axis) for axis in ([3, 5, 7, 9], [1, 2, 3, 0], [1, 2, 3, 0]))
    np.testing.assert_array_equal(groups_of_outliers(ramp, flags, where), [4, 0, 2, 0])
    assert groups_of_outliers(ramp[:, :2], flags[:, :2], where).sum() == 0
