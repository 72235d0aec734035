"""Stripes by medians of rows and columns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.flicker import row_medians
from detectorist.errors import ParameterError, TooFewPixels

NY, NX, N_OUT = 128, 256, 4
WHITE = 0.02


@pytest.fixture
def scene(rng):
    """(image without sky, row offsets, column offsets)."""
    rows, columns = 0.01 * rng.normal(size=(NY, N_OUT)), 0.004 * rng.normal(size=NX)
    rows, columns = rows - rows.mean(), columns - columns.mean()
    image = np.repeat(rows, NX // N_OUT, axis=1) + columns + WHITE * rng.normal(size=(NY, NX))
    return image, rows, columns


def test_offsets_are_recovered_in_units_of_their_error(scene):
    image, rows, columns = scene
    got = row_medians.median_stripes(image + 0.3, np.zeros(image.shape, bool), n_outputs=N_OUT)
    pull = (got.horizontal - rows) / np.sqrt(got.horizontal_variance)
    assert_allclose(pull.std(), 1.0, atol=0.12)
    error = got.vertical - columns
    assert_allclose(error.std(), 1.25 * WHITE / np.sqrt(NY), rtol=0.25)


@pytest.mark.parametrize("sky", [-0.5, 0.05, 1.5, 5.0, 300.0])
def test_any_sky_level_stays(scene, sky):
    image, _, _ = scene
    mask = np.zeros(image.shape, bool)
    got = row_medians.median_stripes(image + sky, mask, n_outputs=N_OUT)
    after = image + sky - got.horizontal_image() - got.vertical_image()
    assert_allclose(np.median(after), sky, atol=4 * 1.25 * WHITE / np.sqrt(image.size) + 1e-6 * sky)


def test_a_part_masked_beyond_thresh_takes_the_whole_row(scene):
    image, _, _ = scene
    mask = np.zeros(image.shape, bool)
    mask[10:20, :50] = True  # 78 % of the first output's 64 columns
    strict = row_medians.median_stripes(image, mask, n_outputs=N_OUT, thresh=0.7)
    lenient = row_medians.median_stripes(image, mask, n_outputs=N_OUT, thresh=0.8)
    assert_array_equal(np.argwhere(strict.whole_row), [(y, 0) for y in range(10, 20)])
    assert not lenient.whole_row.any()
    row = image[12, ~mask[12]] - strict.pedestal
    assert abs(strict.horizontal[12, 0] - np.median(row)) < 3 * WHITE / np.sqrt(row.size)


def test_rows_without_any_pixel_are_left_alone(scene):
    image, _, _ = scene
    mask = np.zeros(image.shape, bool)
    mask[5], mask[:, 7] = True, True
    got = row_medians.median_stripes(image, mask, n_outputs=N_OUT)
    assert_array_equal(got.horizontal[5], 0)
    assert_array_equal(got.horizontal_variance[5], 0)
    assert got.vertical[7] == got.vertical_variance[7] == 0


def test_masked_pixels_have_no_influence_and_the_input_stays(scene, rng):
    image, _, _ = scene
    mask = rng.random(image.shape) < 0.3
    clean = row_medians.median_stripes(image, mask, n_outputs=N_OUT)
    hurt = image.copy()
    hurt[mask] = rng.choice([np.nan, 1e9, -1e9], size=mask.sum())
    before = hurt.copy()
    got = row_medians.median_stripes(hurt, mask, n_outputs=N_OUT)
    assert_array_equal(got.horizontal, clean.horizontal)
    assert_array_equal(got.vertical, clean.vertical)
    assert_array_equal(hurt, before)
    single = row_medians.median_stripes(image.astype(np.float32), mask, n_outputs=N_OUT)
    assert_allclose(single.horizontal, clean.horizontal, atol=1e-6)


def test_kernel_agrees_with_its_python_and_with_numpy(rng):
    from detectorist.algorithms.flicker import _row_medians_nb

    image = rng.normal(size=(5, 24)).astype(np.float32)
    image[2, 3] = 50
    usable = rng.random(image.shape) > 0.2
    usable[4] = False
    edges = np.array([0, 10, 24])
    for got, expected in zip(
        _row_medians_nb.row_medians(image, usable, edges, 2.5),
        _row_medians_nb.row_medians.py_func(image, usable, edges, 2.5),
        strict=True,
    ):
        assert_allclose(got, expected, rtol=1e-6)
    values = np.sort(rng.normal(size=401))
    assert _row_medians_nb.clipped_median(values, 100.0)[0] == np.median(values)
    assert _row_medians_nb.clipped_median(np.ones(4), 2.0) == (1.0, 0.0)


def test_bad_input_is_named(scene):
    image, _, _ = scene
    mask = np.zeros(image.shape, bool)
    with pytest.raises(TooFewPixels, match="usable pixels"):
        row_medians.median_stripes(image, ~mask)
    with pytest.raises(ParameterError, match="thresh"):
        row_medians.median_stripes(image, mask, thresh=1.2)
    with pytest.raises(ParameterError, match="shared"):
        row_medians.median_stripes(image, mask, n_outputs=3)
