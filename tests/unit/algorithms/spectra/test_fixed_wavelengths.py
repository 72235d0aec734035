"""Movement along the dispersion: what it does to sums of rows, undone and compared with the spectrum at rest."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.algorithms.spectra.fixed_wavelengths import flux_of, undo_movement

ROWS = np.arange(140, 390)


def star_at(rows):
    """Return a spectrum that rises steeply toward the last rows, with narrow lines."""
    lines = sum(0.08 / (1 + ((rows - at) / 2.5) ** 2) for at in (170, 231.5, 300, 388))
    return 300 * np.exp((rows - 250) / 60) * (1 - lines)


@pytest.fixture
def moving(rng):
    """Rows of a star that moves and fades: (shifts, brightness, flux)."""
    y = 0.02 * rng.normal(size=60)
    brightness = 1 - 0.012 * (np.arange(60) > 30)
    return y, brightness, brightness[:, None] * star_at(ROWS[None] - y[:, None])


@pytest.mark.parametrize("inside", [slice(None), slice(0, 10), slice(86, 96), np.r_[0:40, 60:250]])
def test_a_sum_of_any_rows_is_that_of_a_star_at_rest(moving, inside):
    """Errors of second order, and of slopes of narrow lines from neighbouring rows, are below 2 % of the effect."""
    y, brightness, flux = moving
    rest = star_at(ROWS)[inside].sum()
    before = flux[:, inside].sum(axis=1) / (brightness * rest) - 1
    after = undo_movement(flux, ROWS, y)[:, inside].sum(axis=1) / (brightness * rest) - 1
    assert before.std() > 5e-5
    assert (after - np.median(after)).std() < 0.03 * before.std()


def test_descending_rows_give_the_same(moving):
    y, _, flux = moving
    assert_allclose(undo_movement(flux[:, ::-1], ROWS[::-1], y)[:, ::-1], undo_movement(flux, ROWS, y))


def test_what_was_not_measured_stays_unmeasured_and_spoils_nothing(moving):
    y, _, flux = moving
    holed = flux.copy()
    holed[:, 100] = np.nan
    holed[7, 40:50] = np.nan
    y[3] = np.nan
    found = undo_movement(holed, ROWS, y)
    assert_array_equal(np.isnan(found), np.isnan(holed))
    assert_array_equal(found[3, :100], holed[3, :100])
    other = np.r_[0:39, 51:99, 102:250]
    assert_allclose(found[:, other], undo_movement(flux, ROWS, np.nan_to_num(y))[:, other], rtol=1e-5)
    assert np.isnan(undo_movement(np.full((3, 5), np.nan), np.arange(5), np.zeros(3))).all()


def test_a_dataset_that_does_not_know_its_movement_keeps_its_flux(moving):
    y, _, flux = moving
    assert_array_equal(flux_of({"flux": flux}), flux)
    assert_array_equal(flux_of({"flux": flux, "detector_row": ROWS, "y_shift": y}), flux)
    assert_array_equal(flux_of({"flux": flux, "detector_row": ROWS, "y_shift_left": 0 * y}), flux)
    assert_array_equal(flux_of({"flux": flux, "detector_row": ROWS, "y_shift_left": y}), undo_movement(flux, ROWS, y))
