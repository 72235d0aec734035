"""Offsets that all pixels of a group share: measured within their errors, and nothing else is changed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.ramps._group_offsets_nb import medians_of_columns, medians_of_departures
from detectorist.algorithms.ramps.group_offsets import (
    _departures,
    measure_group_offsets,
    middle_groups,
    subtract_group_offsets,
)

NY, NX = 120, 72


def make_ramps(rng, n_groups=20, n_ints=3, offset=None):
    """Return straight ramps of a star on a sky with read noise, and what was added to their groups."""
    rate = 8 + 900 * np.exp(-0.5 * ((np.arange(NX) - 37) / 1.6) ** 2) + np.zeros((NY, 1))
    ramps = 9000 + 50 * rng.normal(size=(NY, NX)) + rate * np.arange(n_groups)[:, None, None]
    ramps = ramps + 6 * rng.normal(size=(n_ints, n_groups, NY, NX))
    if offset is None:
        offset = 160 * np.exp(-np.arange(n_groups) / 1.4)[:, None] * [1.0, 0.8]
        offset[-1] -= [7.5, 13.0]
    ramps[:, :, :, 4:] += offset[:, np.arange(NY) % 2][:, :, None]
    return ramps.astype(np.float32), offset


def usable(ramps):
    return np.ones((len(ramps), NY, NX), bool)


@pytest.mark.parametrize("n_groups", [20, 60])
def test_offsets_come_back_within_their_errors(rng, n_groups):
    ramps, true = make_ramps(rng, n_groups)
    found = measure_group_offsets(ramps, usable(ramps))
    # Lines through the middle hold a little of a decay that has not ended there.
    groups, middle = np.arange(n_groups), middle_groups(n_groups)
    expected = true - np.stack([np.polyval(np.polyfit(groups[middle], t[middle], 1), groups) for t in true.T], axis=1)
    pull = (found.offset - expected) / found.noise_dn
    assert abs(np.std(pull) - 1) < 0.25
    assert np.abs(pull).max() < 5


def test_slopes_of_the_middle_stay_and_first_groups_come_back(rng):
    ramps, _ = make_ramps(rng)
    found = measure_group_offsets(ramps, usable(ramps))
    corrected = subtract_group_offsets(ramps, found.offset)
    assert corrected.dtype == ramps.dtype
    assert_array_equal(corrected[..., :4], ramps[..., :4])
    first = np.median(np.diff(corrected[:, :3, :, 30:44], axis=1), axis=(0, 1))
    later = np.median(np.diff(corrected[:, 10:17, :, 30:44], axis=1), axis=(0, 1))
    assert abs(np.median(first - later)) < 0.5


def test_integrations_and_cosmic_rays_do_not_matter_to_each_other(rng):
    ramps, _ = make_ramps(rng)
    alone = measure_group_offsets(ramps[1:2], usable(ramps[1:2]))
    together = measure_group_offsets(ramps, usable(ramps))
    assert_array_equal(alone.offset[0], together.offset[1])
    hit = ramps.copy()
    for y, x in zip(rng.integers(0, NY, 60), rng.integers(4, NX, 60), strict=True):
        hit[1, rng.integers(0, 20) :, y, x] += 2000
    assert_allclose(measure_group_offsets(hit, usable(hit)).offset[1], together.offset[1], atol=4 * together.noise_dn)


@pytest.mark.parametrize("n_groups", [4, 5, 6, 7])
def test_bright_and_faint_pixels_agree_in_ramps_of_a_few_groups(rng, n_groups):
    """The fit weighs the groups of a bright pixel otherwise: what they share must change both slopes alike."""
    shared = np.zeros((n_groups, 2))
    shared[1] = 60, -60
    ramps, _ = make_ramps(rng, n_groups, n_ints=4, offset=shared)
    groups = np.arange(n_groups) - 0.5 * (n_groups - 1)
    least_squares, ends = groups / (groups @ groups), np.zeros(n_groups)
    ends[[0, -1]] = -1 / (n_groups - 1), 1 / (n_groups - 1)

    def disagreement(data):
        of_faint = np.tensordot(least_squares - ends, data[..., 4:20].mean(axis=0), axes=1)
        return np.array([of_faint[parity::2].mean() for parity in (0, 1)])

    found = measure_group_offsets(ramps, usable(ramps))
    error = 4 * found.noise_dn
    assert np.abs(disagreement(ramps)).max() > 2 * error
    assert np.abs(disagreement(subtract_group_offsets(ramps, found.offset))).max() < error


@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_short_ramps_stay_as_they_are(rng, n_groups):
    ramps, _ = make_ramps(rng, n_groups, offset=np.ones((n_groups, 2)))
    assert not measure_group_offsets(ramps, usable(ramps)).offset.any()


def test_without_usable_pixels_there_is_nothing_to_measure(rng):
    ramps, _ = make_ramps(rng)
    found = measure_group_offsets(ramps, np.zeros((3, NY, NX), bool))
    assert not found.offset.any()
    assert found.n_pixels == 0


def test_medians_of_departures_are_those_of_numpy(rng):
    ramps = rng.normal(0, 5, (9, 30, 40)).astype(np.float32) + np.arange(9, dtype=np.float32)[:, None, None]
    pixels = rng.random((30, 40)) < 0.4
    median, spread = _departures(ramps, np.flatnonzero(pixels).astype(np.uint32), middle_groups(9))
    groups = np.arange(9.0)
    lines = np.polyfit(groups[middle_groups(9)], ramps[middle_groups(9)][:, pixels].astype(float), 1)
    left = ramps[:, pixels] - np.outer(groups, lines[0]) - lines[1]
    np.testing.assert_allclose(median, np.median(left, axis=1), atol=1e-12)
    np.testing.assert_allclose(spread, 1.4826 * np.median(np.abs(left - median[:, None]), axis=1), atol=1e-12)


def test_a_group_with_a_missing_sample_has_no_median_and_the_next_one_has(rng):
    ramps = rng.normal(0, 5, (9, 30, 40)).astype(np.float32)
    ramps[4, 3, 2] = np.nan
    places = np.arange(1200, dtype=np.uint32)
    medians, spreads = np.zeros((2, 9))
    medians_of_departures(ramps.reshape(9, -1), places, np.zeros(1200), np.zeros(1200), np.zeros(9), medians, spreads)
    flat = ramps.reshape(9, -1).astype(float)
    np.testing.assert_array_equal(medians, np.median(flat, axis=1))
    np.testing.assert_array_equal(spreads, np.median(np.abs(flat - medians[:, None]), axis=1))


def test_offsets_are_those_of_each_row_parity_in_data_of_any_order(rng):
    ramps, _ = make_ramps(rng)
    found = measure_group_offsets(ramps, usable(ramps))
    turned = np.asfortranarray(ramps)
    np.testing.assert_array_equal(measure_group_offsets(turned, usable(ramps)).offset, found.offset)


def test_medians_of_columns_leave_out_what_is_not_known(rng):
    image, known = rng.normal(size=(11, 6)), rng.random((11, 6)) < 0.6
    known[:, 2] = False
    found = np.zeros(6)
    medians_of_columns(image, known, found)
    expected = [np.median(image[known[:, x], x]) if known[:, x].any() else np.nan for x in range(6)]
    np.testing.assert_array_equal(found, expected)
