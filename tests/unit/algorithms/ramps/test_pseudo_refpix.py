"""Pseudo reference pixels: drifts of level, columns and rows go; without a drift nothing gets noisier."""

import numpy as np
import pytest

from detectorist.algorithms.ramps.pseudo_refpix import level_error, measure_reference_drift
from detectorist.errors import ParameterError

N_INTS, N_GROUPS, NY, NX = 4, 6, 48, 64
TIMES = 4.28 * np.arange(1, N_GROUPS + 1)


@pytest.fixture
def quiet(rng):
    """A halo on a sky, kTC and read noise."""
    yy, xx = np.mgrid[:NY, :NX]
    rate = 0.6 + 80 / (1 + (np.hypot(yy - 24, xx - 32) / 4) ** 2.5)
    ktc = 35 * rng.normal(size=(N_INTS, 1, NY, NX))
    return rate * TIMES[:, None, None] + ktc + 9 * rng.normal(size=(N_INTS, N_GROUPS, NY, NX))


def none():
    return np.zeros((NY, NX), bool)


def scatter(ramp, truth):
    """rms of what a correction leaves against the quiet ramp, offsets of whole ramps apart."""
    left = ramp - truth
    return (left - left.mean(axis=1, keepdims=True)).std()


def test_level_goes(quiet, rng):
    drift = 20 * rng.normal(size=(N_INTS, N_GROUPS, 1, 1))
    got = measure_reference_drift(quiet + drift, none(), TIMES)
    assert scatter(got.subtract(quiet + drift), quiet) < 2.0
    assert got.responses["level"].weight > 0.95


def test_what_is_common_to_all_integrations_stays_within_its_error(rng):
    weights = (TIMES - TIMES.mean()) / ((TIMES - TIMES.mean()) ** 2).sum()
    pulls = []
    for _ in range(40):
        levels = 10 * rng.normal(size=(8, N_GROUPS, 1, 1)).cumsum(axis=1)
        ramp = levels + 9 * rng.normal(size=(8, N_GROUPS, 24, 32))
        got = measure_reference_drift(ramp, np.zeros((24, 32), bool), TIMES)
        left = (np.einsum("igyx,g->iyx", got.subtract(ramp), weights)).mean()
        pulls.append(left / level_error(got, TIMES))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)
    assert 0.75 < np.std(pulls) < 1.35
    assert np.isnan(level_error(measure_reference_drift(ramp[:1], np.zeros((24, 32), bool), TIMES), TIMES))


def test_columns_go_odd_and_even(quiet, rng):
    parity = np.where(np.arange(NX) % 2, 1, -1)
    drift = 8 * rng.normal(size=(N_INTS, N_GROUPS, 1, 1)) * parity
    got = measure_reference_drift(quiet + drift, none(), TIMES)
    assert scatter(got.subtract(quiet + drift), quiet) < 2.0
    off = measure_reference_drift(quiet + drift, none(), TIMES, odd_even_columns=False)
    assert "odd_even" not in off.responses
    assert scatter(off.subtract(quiet + drift), quiet) > 6.0


@pytest.mark.parametrize("n_outputs", [2, 4])
def test_outputs_have_their_own_levels(quiet, rng, n_outputs):
    drift = np.repeat(15 * rng.normal(size=(N_INTS, N_GROUPS, 1, n_outputs)), NX // n_outputs, axis=-1)
    got = measure_reference_drift(quiet + drift, none(), TIMES, n_outputs=n_outputs)
    # What is left is the slope that all integrations have in common: it could be light.
    assert scatter(got.subtract(quiet + drift), quiet) < 0.35 * scatter(quiet + drift, quiet)
    one = measure_reference_drift(quiet + drift, none(), TIMES)
    assert scatter(one.subtract(quiet + drift), quiet) > 6.0


def test_rows_go_with_the_sides(quiet, rng):
    drift = 12 * np.repeat(rng.normal(size=(N_INTS, N_GROUPS, NY // 12, 1)), 12, axis=2)
    got = measure_reference_drift(quiet + drift, none(), TIMES, nleft=4, nright=4, side_smoothing_length=7)
    before = scatter(quiet + drift, quiet)
    assert scatter(got.subtract(quiet + drift), quiet) < 0.6 * before
    without = measure_reference_drift(quiet + drift, none(), TIMES)
    assert "rows" not in without.responses


def test_no_drift_nothing_done(quiet):
    got = measure_reference_drift(quiet, none(), TIMES, nleft=4, nright=4)
    assert scatter(got.subtract(quiet), quiet) < 0.3


def test_stripes_of_the_edges_are_no_drift(quiet, rng):
    """1/f noise of the reference rows is that of their place in the frame: subtracting it would add noise."""
    stripes = 10 * rng.normal(size=(N_INTS, N_GROUPS, NY, 1))
    got = measure_reference_drift(quiet + stripes, none(), TIMES)
    assert scatter(got.subtract(quiet + stripes), quiet) <= scatter(quiet + stripes, quiet) * 1.01
    assert got.responses["level"].reason == "the image does not follow the drift"


def test_light_is_kept(quiet, rng):
    """What rises alike in all integrations is light, in the reference pixels too."""
    bright = quiet + 3.0 * TIMES[:, None, None]
    drift = 20 * rng.normal(size=(N_INTS, N_GROUPS, 1, 1))
    got = measure_reference_drift(bright + drift, none(), TIMES).subtract(bright + drift)
    weight = (TIMES - TIMES.mean()) / ((TIMES - TIMES.mean()) ** 2).sum()
    slope = np.einsum("igyx,g->yx", got - bright, weight) / N_INTS
    drift_slope = float(np.einsum("igyx,g->yx", drift, weight)[0, 0]) / N_INTS
    # The part of the drift that is a slope common to all integrations cannot be told from light.
    assert abs(slope.mean() - drift_slope) < abs(drift_slope) + 0.2


@pytest.mark.parametrize("name", ["nlower", "nupper", "nleft", "nright", "nrow_off", "ncol_off"])
def test_every_number_has_an_effect(quiet, rng, name):
    drift = 20 * rng.normal(size=(N_INTS, N_GROUPS, 1, 1)) + 10 * rng.normal(size=(N_INTS, N_GROUPS, NY, 1))
    settings = {"nlower": 4, "nupper": 4, "nleft": 4, "nright": 4, "nrow_off": 0, "ncol_off": 0}
    first = measure_reference_drift(quiet + drift, none(), TIMES, **settings)
    settings[name] = 2 if settings[name] else 3
    second = measure_reference_drift(quiet + drift, none(), TIMES, **settings)
    changed = np.abs(first.levels - second.levels).max() + np.abs(first.rows - second.rows).max()
    assert changed > 0.01


def test_flagged_pixels_and_cosmic_rays_have_no_influence(quiet, rng):
    drift = 20 * rng.normal(size=(N_INTS, N_GROUPS, 1, 1))
    ramp = quiet + drift
    mask = np.zeros(ramp.shape, bool)
    mask[:, :, :2, ::3] = True
    results = [measure_reference_drift(np.where(mask, bad, ramp), mask, TIMES).levels for bad in (np.nan, 0, 6e4)]
    np.testing.assert_allclose(results[0], results[1])
    np.testing.assert_allclose(results[0], results[2])
    clean = measure_reference_drift(ramp, none(), TIMES).levels
    ramp[1, 3:, 1, 10:20] += 30000.0
    hit = measure_reference_drift(ramp, none(), TIMES).levels
    assert np.abs(hit - clean).max() < 2.0


def test_all_masked_or_single_group_is_left_alone(quiet):
    for ramp, mask in ((quiet, ~none()), (quiet[:, :1], none())):
        got = measure_reference_drift(ramp, mask, TIMES[: ramp.shape[1]])
        np.testing.assert_array_equal(got.subtract(ramp), ramp)


def test_input_is_untouched_and_dtype_kept(quiet):
    ramp = quiet.astype(np.float32)
    ramp.flags.writeable = False
    got = measure_reference_drift(ramp, none(), TIMES)
    assert got.subtract(ramp).dtype == np.float32


def test_what_does_not_fit_is_refused(quiet):
    with pytest.raises(ParameterError, match="do not fit into 48 rows"):
        measure_reference_drift(quiet, none(), TIMES, nlower=30, nupper=30)
    with pytest.raises(ParameterError, match="none may be negative"):
        measure_reference_drift(quiet, none(), TIMES, nleft=-1)
    with pytest.raises(ParameterError, match="5 outputs"):
        measure_reference_drift(quiet, none(), TIMES, n_outputs=5)
