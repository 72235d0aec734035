"""RC pixels: their charge rises along an exponential of some seconds before it follows the light."""

from __future__ import annotations

import numpy as np

#: Deviation of a group's rise from the mean of later ones, in sigma of the mean over integrations, that is a bend.
BEND_SIGMA = 3.0
#: Groups left out after the last one that shows the bend: the next still holds some of it, below the errors.
N_GUARD = 1
#: Fewest groups in which a bend would show.
LEAST_GROUPS = 3
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
    At least three groups, with two rises to be compared, must be left.
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
    first[(first > 0) & (first < n_groups)] += N_GUARD
    return np.where(first > n_groups - LEAST_GROUPS, n_groups, first)


def _median(values):
    """Return the median over the first axis without NaN, 0 where nothing is known."""
    known = np.isfinite(values).any(axis=0)
    middle = np.zeros(values.shape[1:])
    middle[known] = np.nanmedian(values[:, known], axis=0)
    return middle
