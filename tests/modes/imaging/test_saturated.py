"""Tables of saturated pixels: written, read, and joined to one in which each pixel stands once."""

import numpy as np
import pytest

from detectorist.errors import InputError
from detectorist.modes.imaging.saturated import join_saturated, write_saturated
from detectorist.stage_1.flag_persistence import TABLE_DTYPE, read_saturated


def table(*rows):
    return np.array(list(rows), TABLE_DTYPE)


def test_a_table_comes_back_bit_for_bit(tmp_path, rng):
    made = np.zeros(50, TABLE_DTYPE)
    made["ROW"], made["COLUMN"] = rng.integers(0, 2048, (2, 50))
    made["END_MJD"] = 60000 + rng.random(50)
    back = read_saturated(write_saturated(made, tmp_path / "a_saturated.fits"))
    assert back.dtype == TABLE_DTYPE
    np.testing.assert_array_equal(back, made)


def test_each_pixel_stands_once_with_its_latest_saturation(tmp_path):
    first = write_saturated(table((5, 7, 60000.1), (5, 8, 60000.9), (2047, 2047, 60000.0)), tmp_path / "a.fits")
    second = write_saturated(table((5, 8, 60000.5), (5, 7, 60000.3), (4, 9, 60000.2)), tmp_path / "b.fits")
    expected = table((4, 9, 60000.2), (5, 7, 60000.3), (5, 8, 60000.9), (2047, 2047, 60000.0))
    np.testing.assert_array_equal(join_saturated([first, second]), expected)
    np.testing.assert_array_equal(join_saturated([second, first]), expected)


def test_no_pixel_is_a_table_too(tmp_path):
    empty = write_saturated(table(), tmp_path / "a.fits")
    assert len(join_saturated([empty])) == len(join_saturated([])) == 0


def test_a_file_of_another_kind_is_refused_by_name(tmp_path):
    (tmp_path / "x.fits").write_text("words")
    with pytest.raises(InputError, match=r"x\.fits: not readable as a table of saturated pixels"):
        read_saturated(tmp_path / "x.fits")
