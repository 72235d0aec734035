"""Non-linearity above the pedestal: curves come back from ramps of any length, with decays of the groups on top."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.ramps.linearity import correct_linearity
from detectorist.algorithms.ramps.pedestal_linearity import fit_above_pedestal
from detectorist.errors import TooFewPixels

PEDESTAL, GAIN = 9000.0, 4.0


def curve(charge, strength):
    """Return the measured DN above the pedestal: 10 % are missing at 45000 DN, differently in the four outputs."""
    return charge * (1 - strength * charge / 45000 - 0.02 * (charge / 45000) ** 2)


def make_ramps(rng, n_groups, *, n_ints=6, decay_dn=150.0, full=35000.0, column=37.3):
    """Return raw ramps of a trace with photon and read noise, a decay of the first groups, and hits."""
    ny, nx = 200, 72
    spectrum = 0.05 + np.exp(-np.arange(ny) / 60)
    rate = full / n_groups * (spectrum[::-1, None] * np.exp(-0.5 * ((np.arange(nx) - column) / 1.6) ** 2) + 0.004)
    charge = rng.poisson(np.broadcast_to(rate * GAIN, (n_ints, n_groups, ny, nx))).cumsum(axis=1) / GAIN
    for _ in range(300):
        i, g, y, x = (rng.integers(0, size) for size in charge.shape)
        charge[i, g:, y, x] += rng.exponential(800)
    strength = 0.08 * (1 + 0.06 * np.array([0.5, -1, 1, -0.5])[np.arange(nx) % 4])
    decay = decay_dn * np.exp(-np.arange(n_groups) / 1.4)[:, None, None]
    measured = PEDESTAL + curve(charge - decay, strength) + 6 * rng.normal(size=charge.shape)
    measured[:, -1] -= 60
    return np.round(measured).astype(np.float32), strength


@pytest.mark.parametrize("n_groups", [10, 12, 30, 60])
@pytest.mark.parametrize("column", [35.1, 37.3, 39.2])
def test_slopes_come_back_within_half_a_per_cent(rng, n_groups, column):
    ramps, strength = make_ramps(rng, n_groups, column=column)
    fit = fit_above_pedestal(ramps)
    assert abs(fit.pedestal_dn - PEDESTAL) < 100
    assert fit.left_pct.max() < 0.5
    charge = np.linspace(1000, 33000, 30)
    errors = []
    for output in range(4):
        measured = PEDESTAL + np.stack([curve(charge, strength[output]), curve(charge + 1, strength[output])])
        corrected = np.polynomial.polynomial.polyval(measured, fit.coefficients[output])
        errors.append(corrected[1] - corrected[0] - 1)
    # The outputs share a trace of three columns: the one that is lit least knows its top least. In short ramps the tail
    # of the decay, which goes through the curve, is a larger part of the groups used.
    most = 0.004 if n_groups >= 30 else 0.008
    assert np.sqrt(np.mean(np.square(errors))) < 1.5 * most
    assert np.sort(np.sqrt(np.mean(np.square(errors), axis=1)))[1] < most


def test_ramps_that_do_not_tell_are_refused(rng):
    """A star that collects 2 % of the well in noisy ramps says nothing about the bend."""
    ramps, _ = make_ramps(rng, 30, full=700.0)
    with pytest.raises(TooFewPixels, match="do not constrain the non-linearity: slopes are changed by factors of"):
        fit_above_pedestal(ramps)


def test_the_standard_form_of_the_polynomial(rng):
    """Powers of the measured counts: slope 1 at the pedestal, which stays where it is."""
    fit = fit_above_pedestal(make_ramps(rng, 20)[0])
    counts = np.repeat(fit.pedestal_dn + np.array([[0.0], [1.0]]), 4, axis=1)
    corrected = correct_linearity(counts, fit.coefficients)
    assert_allclose(corrected[0], fit.pedestal_dn, atol=1e-6)
    assert_allclose(corrected[1] - corrected[0], 1, atol=1e-4)


def test_hot_pixels_do_not_bend_the_curve(rng):
    ramps, _ = make_ramps(rng, 20)
    hot = ramps.copy()
    course = 12000 * (1 - np.exp(-np.arange(20) / 8))
    for y, x in zip(rng.integers(0, 200, 40), rng.integers(32, 44, 40), strict=True):
        hot[:, :, y, x] = PEDESTAL + course
    clean, with_hot = (fit_above_pedestal(data).coefficients for data in (ramps, hot))
    at = np.linspace(PEDESTAL, PEDESTAL + 30000, 20)
    values = [np.polynomial.polynomial.polyval(at, c.T) for c in (clean, with_hot)]
    assert np.abs(values[0] - values[1]).max() < 0.002 * 30000


def test_without_a_source_there_is_no_correction(rng):
    dark = (PEDESTAL + 6 * rng.normal(size=(5, 20, 200, 72))).astype(np.float32)
    with pytest.raises(TooFewPixels):
        fit_above_pedestal(dark)


def test_short_ramps_are_refused_with_the_number_needed(rng):
    with pytest.raises(TooFewPixels, match="ramps of 8 groups show no bend: 9 groups are needed"):
        fit_above_pedestal(np.zeros((1, 8, 20, 72), np.float32))
