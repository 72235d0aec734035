"""Patches in maps of blocks, and the medians that are taken off them."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.images import patches


@pytest.mark.parametrize("size", [2, 4, 8])
def test_a_patch_is_as_significant_as_its_sum(rng, size):
    maps = rng.normal(size=(40, 52, 9))
    where = np.s_[20 : 20 + size, : min(size, 9)]
    maps[7][where] += 12 / size
    found = patches.significance(maps)
    assert np.unravel_index(found.argmax(), found.shape)[0] == 7
    assert found.max() == pytest.approx(12, abs=3.5)
    assert np.delete(found, 7, axis=0).max() < 6


def test_noise_that_neighbours_share_raises_the_bar(rng):
    rows = np.repeat(np.repeat(rng.normal(size=(40, 13, 1)), 4, axis=1), 9, axis=2)
    assert patches.significance(rng.normal(size=rows.shape) + 3 * rows).max() < 6


def test_unknown_blocks(rng):
    maps = rng.normal(size=(5, 20, 9))
    maps[2] = np.nan
    maps[:, 4:12, 3:] = np.nan
    found = patches.significance(maps)
    assert np.isfinite(found).all()
    assert (found[2] == 0).all()
    assert not patches.significance(np.full((3, 6, 6), np.nan)).any()


def test_what_rows_share_is_measured_on_faint_blocks(rng):
    offset = rng.normal(size=(3, 20, 1)) + 1e-3 * rng.normal(size=(3, 20, 9))
    usual = np.ones((20, 9))
    usual[:, 4] = 100
    offset[:, :, 4] += 50
    offset[1, 5] = np.nan
    found = patches.common_to_rows(offset, usual)
    expected = offset[:, :, 0].copy()
    expected[1, 5] = 0
    assert_allclose(found[..., 0], expected, atol=5e-3)


def test_medians_leave_out_what_is_not_known(rng):
    values = rng.normal(size=(7, 30))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 3] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(values, axis=0)
    assert_array_equal(patches.nanmedian(values, axis=0), expected)


def test_a_running_median_follows_a_trend_and_no_spike():
    series = np.arange(30.0)[:, None]
    series[12] += 100
    found = patches.running_median(series, 11)[:, 0]
    assert_allclose(found[5:-5], np.arange(5, 25), atol=1)
    assert patches.running_median(series[:8], 11).shape == (1, 1)
