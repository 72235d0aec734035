"""RC pixels: their charge rises along an exponential of some seconds before it follows the light."""

from __future__ import annotations

import numpy as np

#: Deviation of a group's rise from the mean of later ones, in sigma of the mean over integrations, that is a bend.
BEND_SIGMA = 3.0
#: Groups left out after the last one that shows the bend: the next still holds some of it, below the errors.
N_GUARD = 1
#: Fewest groups in which a bend would show.
LEAST_GROUPS = 3
#: Parts of an exponential that may be left from one rise to the next.
DECAYS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.78, 0.84, 0.89, 0.93, 0.96)
#: How much of it the slope of what is fitted may hold, in sigma of that slope.
LEFT_SIGMA = 1.0
#: Fewest integrations whose scatter tells the noise.
LEAST_INTS = 4


def first_straight_group(
    ramp: np.ndarray, unusable: np.ndarray, *, noise: np.ndarray, bend_sigma: float = BEND_SIGMA
) -> np.ndarray:
    """Return the group, (n_pix,) int, from which on the ramps of each pixel are straight lines; n_groups where none is.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, n_pix)
        Linear ramps, DN, of one scene.
    unusable : ndarray of bool, same shape
        True where a group must not be used.
    noise : ndarray of float, shape (n_pix,)
        Standard deviation of the rise from one group to the next, DN; where there are four integrations or more, their
        scatter counts if it is larger.
    bend_sigma : float
        A rise is part of a bend if it deviates from the mean of all that follow it by more than this many times the
        error of its mean over integrations.

    Notes
    -----
    At least three groups, with two rises to be compared, must be left. Two that agree may still hold much of a slow
    exponential: where a bend is seen, one is fitted, and groups are left out until next to nothing of it remains.
    """
    n_groups = ramp.shape[1]
    rises = np.where(unusable[:, 1:] | unusable[:, :-1], np.nan, np.diff(np.asarray(ramp, float), axis=1))
    number = np.isfinite(rises).sum(axis=0)
    centre = _median(rises)
    sigma = np.broadcast_to(noise, centre.shape).copy()
    if len(ramp) >= LEAST_INTS:
        scatter = 1.4826 * _median(np.abs(rises - centre))
        square = np.sum(scatter**2, axis=0) / np.maximum((number > 0).sum(axis=0), 1)
        sigma = np.maximum(sigma, np.sqrt(square))
    error = sigma * np.sqrt(np.pi / 2 / np.maximum(number, 1))  # of a median
    first = np.full(ramp.shape[2], n_groups)
    for group in range(n_groups - LEAST_GROUPS, -1, -1):
        later, known = centre[group + 1 :], number[group + 1 :] > 0
        mean = np.sum(later, axis=0, where=known) / np.maximum(known.sum(axis=0), 1)
        apart = np.abs(centre[group] - mean) <= bend_sigma * np.hypot(error[group], error[group] / len(later) ** 0.5)
        goes_on = (first == group + 1) | (group == n_groups - LEAST_GROUPS)
        first[goes_on & apart & known.any(axis=0) & (number[group] > 0)] = group
    bent = (first > 0) & (first < n_groups)
    if bent.any():  # never in ramps of one group, which have no rises
        first[bent] += N_GUARD
        past = _first_past_exponential(centre[:, bent], number[:, bent] > 0, error[:, bent])
        first[bent] = np.maximum(first[bent], past)
    return np.where(first > n_groups - LEAST_GROUPS, n_groups, first)


def _first_past_exponential(rises, known, error):
    """Return the group, (n_pix,), from which on a slope holds less of an exponential than `LEFT_SIGMA` of its errors.

    rises, known, error : (n_rises, n_pix). The number of rises is returned where no group is late enough.
    """
    n_rises = len(rises)
    left = np.zeros(rises.shape)
    # A constant alone; an exponential has to be better than chance makes it.
    misfit = _exponential(rises, known, 0.0)[2] - (BEND_SIGMA * error.max(axis=0)) ** 2
    for decay in DECAYS:
        amplitude, square, _ = _exponential(rises, known, decay)
        of_rises = decay ** np.arange(n_rises)
        in_slopes = np.cumsum(of_rises[::-1])[::-1] / np.arange(n_rises, 0, -1)
        better = square < misfit
        left[:, better], misfit[better] = in_slopes[:, None] * amplitude[better], square[better]
    # The reads between two rises cancel: a slope is as certain as its first and last read.
    certain = error / np.arange(n_rises, 0, -1)[:, None]
    late = np.abs(left) < LEFT_SIGMA * certain
    return np.where(late.any(axis=0), late.argmax(axis=0), n_rises)


def _exponential(rises, known, decay):
    """Return the amplitude of an exponential over a constant, the sum of squares it leaves, and that of a constant."""
    shape = decay ** np.arange(len(rises))[:, None] * np.ones(rises.shape)
    number = np.maximum(known.sum(axis=0), 1)
    about, values = (np.where(known, one - np.sum(one, axis=0, where=known) / number, 0.0) for one in (shape, rises))
    amplitude = (about * values).sum(axis=0) / np.maximum((about**2).sum(axis=0), 1e-12)
    return amplitude, ((values - amplitude * about) ** 2).sum(axis=0), (values**2).sum(axis=0)


def _median(values):
    """Return the median over the first axis without NaN, 0 where nothing is known."""
    known = np.isfinite(values).any(axis=0)
    middle = np.zeros(values.shape[1:])
    middle[known] = np.nanmedian(values[:, known], axis=0)
    return middle
