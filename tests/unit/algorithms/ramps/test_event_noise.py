"""Ramps that lost groups to a large event get the noise that whole ramps have."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.ramps.event_noise import noise_beside_lines, without_noise_beside_lines

N_GROUPS, SIZE, WHITE, ROWS = 6, 128, 3.0, 12.0


def slope(ramps, groups):
    times = np.asarray(groups, float) - np.mean(groups)
    return np.tensordot(times / (times**2).sum(), ramps[groups].astype(float), 1)


def make(rng, n_outputs):
    """Return ramps under a gradient of light with noise of rows in every group, and that noise."""
    noise = ROWS * rng.normal(size=(N_GROUPS, SIZE, n_outputs))
    light = np.linspace(20, 60, SIZE)[:, None] + np.linspace(0, 30, SIZE)
    ramps = light * np.arange(1, N_GROUPS + 1)[:, None, None] + WHITE * rng.normal(size=(N_GROUPS, SIZE, SIZE))
    return (ramps + np.repeat(noise, SIZE // n_outputs, axis=2)).astype(np.float32), light, noise


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_region_of_an_event_has_the_noise_of_the_rest(rng, n_outputs):
    """Group 3 was lost there; only rows of groups 4 and 5, or of all, tell how far off its slope is."""
    ramps, light, noise = make(rng, n_outputs)
    readout = alternating_readout(SIZE, n_outputs)
    y, x = np.mgrid[:SIZE, :SIZE]
    # No output's rows are covered: their own noise would be unknown.
    radius = 25 if n_outputs == 1 else 10
    events = (np.hypot(y - 60, x - 70) < radius)[None]
    flags = np.zeros((1, *ramps.shape), np.uint8)
    flags[0, 3][events[0]] = 4
    ramps[3:, events[0]] += 5000
    data = ramps[None].copy()
    *where, before = without_noise_beside_lines(data, flags, np.zeros((SIZE, SIZE), bool), events, readout)
    assert_array_equal(before, ramps[:, events[0]].T)
    assert_array_equal(np.array(where), np.nonzero(events))
    assert_array_equal(data[0][:, ~events[0]], ramps[:, ~events[0]])
    of_whole = np.repeat(slope(noise, np.arange(N_GROUPS)), SIZE // n_outputs, axis=1)
    part = [3, 4, 5]
    for got, limit in ((ramps, None), (data[0], 0.5)):
        left = (slope(got, part) - light - of_whole)[events[0]]
        rows = [left[y[events[0]] == row].mean() for row in range(52, 69)]
        if limit is None:
            unchanged = np.std(rows)
        else:
            assert np.std(rows) < 0.3 * unchanged


def test_white_noise_alone_is_left(rng):
    ramps = (WHITE * rng.normal(size=(N_GROUPS, SIZE, SIZE))).astype(np.float32)
    nothing = np.zeros((SIZE, SIZE), bool)
    found = noise_beside_lines(
        ramps, np.zeros(ramps.shape, np.uint8), nothing, np.arange(SIZE), alternating_readout(SIZE)
    )
    assert found.std() < 0.3 * WHITE / np.sqrt(0.75 * SIZE)


def test_two_groups_and_rows_without_pixels_tell_nothing(rng):
    ramps, *_ = make(rng, 1)
    readout, rows = alternating_readout(SIZE), np.arange(10, 20)
    nothing, flags = np.zeros((SIZE, SIZE), bool), np.zeros(ramps.shape, np.uint8)
    assert not noise_beside_lines(ramps[:2], flags[:2], nothing, rows, readout).any()
    assert not noise_beside_lines(ramps, flags + 4, nothing, rows, readout).any()
    assert not noise_beside_lines(ramps, flags, ~nothing, rows, readout).any()


def test_a_row_that_an_event_covers_is_told_by_its_neighbours(rng):
    ramps, *_ = make(rng, 1)
    slow = 20 * np.sin(np.arange(SIZE) / 9.0)
    ramps[2] += slow[:, None].astype(np.float32)
    covered = np.zeros((SIZE, SIZE), bool)
    covered[40:43] = True
    flags = np.zeros(ramps.shape, np.uint8)
    rows = np.arange(30, 55)
    found = noise_beside_lines(ramps, flags, covered, rows, alternating_readout(SIZE))
    between = np.interp(np.arange(40, 43), [39, 43], found[2, [9, 13], 0])
    assert found[2, 10:13, 0] == pytest.approx(between)
