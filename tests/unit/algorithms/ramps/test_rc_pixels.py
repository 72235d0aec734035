"""RC pixels: the bend is left out, a ramp that bends to its end is told, straight ones stay whole."""

import numpy as np
import pytest

from detectorist.algorithms.ramps.rc_pixels import first_straight_group

N_INTS, N_GROUPS, N_PIX = 10, 8, 400
NOISE = 8.0


def ramps(rng, amplitude, tau):
    times = np.arange(1, N_GROUPS + 1, dtype=float)[:, None]
    lines = 30 * times + amplitude * (1 - np.exp(-times / tau)) + 35 * rng.normal(size=(N_INTS, 1, N_PIX))
    return lines + NOISE / np.sqrt(2) * rng.normal(size=(N_INTS, N_GROUPS, N_PIX))


def first(ramp, unusable=None):
    unusable = np.zeros(ramp.shape, bool) if unusable is None else unusable
    return first_straight_group(ramp, unusable, noise=np.full(ramp.shape[2], NOISE))


def test_straight_ramps_stay_whole(rng):
    assert (first(ramps(rng, 0.0, 1.0)) == 0).mean() > 0.95


def test_what_is_left_of_a_bend_is_within_the_errors(rng):
    amplitude, tau = 10 ** rng.uniform(3, 4.5, N_PIX), rng.uniform(0.3, 0.9, N_PIX)
    ramp = ramps(rng, amplitude, tau)
    start = first(ramp)
    assert (start < N_GROUPS).mean() > 0.5
    pulls = []
    for pixel in np.nonzero(start < N_GROUPS)[0]:
        rises = np.diff(ramp[:, start[pixel] :, pixel], axis=1)
        n = rises.shape[1]
        pulls.append((rises.mean() - 30) / (NOISE / n / np.sqrt(N_INTS)))
    assert (np.abs(pulls) > 5).mean() < 0.02


def test_a_slow_exponential_is_followed_to_where_it_matters(rng):
    """Two rises that agree within their errors held up to ten sigma of it."""
    amplitude, tau = 10 ** rng.uniform(2.8, 4, N_PIX), rng.uniform(1.0, 3.0, N_PIX)
    ramp = ramps(rng, amplitude, tau)
    start = first(ramp)
    assert 0 < (start < N_GROUPS).mean() < 1
    for pixel in np.nonzero((start > 0) & (start < N_GROUPS))[0]:
        last = N_GROUPS - 1 - start[pixel]
        held = amplitude[pixel] * (np.exp(-(start[pixel] + 1) / tau[pixel]) - np.exp(-N_GROUPS / tau[pixel])) / last
        assert held < 4 * NOISE / last / np.sqrt(N_INTS)


def test_a_ramp_that_bends_to_its_end_has_no_straight_part(rng):
    assert (first(ramps(rng, 30_000.0, 6.0)) == N_GROUPS).all()


def test_unusable_groups_tell_nothing(rng):
    ramp = ramps(rng, 0.0, 1.0)
    unusable = np.zeros(ramp.shape, bool)
    ramp[:, 3], unusable[:, 3] = 1e5, True
    unusable[..., 0] = True
    found = first(ramp, unusable)
    assert found[0] == N_GROUPS
    assert (found[1:] <= 5).mean() > 0.95


@pytest.mark.parametrize("n_groups", [1, 2])
def test_ramps_too_short_to_compare_rises_have_no_straight_part(rng, n_groups):
    ramp = ramps(rng, 0.0, 1.0)[:, :n_groups]
    assert (first(ramp) == n_groups).all()
