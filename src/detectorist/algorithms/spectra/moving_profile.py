"""A spatial profile that follows the trace: its steps, its drift across the columns, its slow changes of width.

The profile of a single integration is noisy, and its noise, common to many rows, would enter every broad-band flux. The
median over all integrations avoids this, but has the wrong weights for a trace that has moved or widened. Between the
two: the median over the integrations of one state (between steps of the pointing or of the focus), moved by the shift
of each integration and widened as the width runs, both measured on all rows together.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import shift

#: A step is a change of the mean by this many times the error that the scatter from one integration to the next gives,
#: and of at least these sizes, pixels, of the position and of the width: smaller ones the derivatives follow. A width
#: that is wrong by 2 % (0.016 pixels) changes the flux of an undersampled trace by 0.25 %.
STEP_SIGMA = 8.0
LEAST_STEP_PIX, LEAST_WIDENING_PIX = 0.02, 0.004
#: Integrations of a state with a profile of its own; shorter ones move and widen that of their nearest neighbour, which
#: is wrong by 1-2 % where the trace is undersampled. The noise that the median of three has costs less.
MIN_MEMBERS = 3
#: Integrations over which the width is smoothed (a median): a single one knows it no better than it knows the flux, and
#: one in which the antenna moved must not widen its neighbours.
WIDTH_LENGTH = 11
#: Shifts beyond this are made by interpolation; below it two derivatives do.
LARGE_SHIFT_PIX = 0.25


def follow_trace(profile: np.ndarray, center_pix: np.ndarray, sigma_pix: np.ndarray) -> np.ndarray:
    """Return a profile for every integration that follows the trace without the noise of single ones.

    Parameters
    ----------
    profile : ndarray of float, shape (n_ints, n_rows, n_cols)
        Measured profiles, 1 in sum over a row.
    center_pix, sigma_pix : ndarray of float, shape (n_ints,)
        Position and width of the trace, as `trace.fit_trace` measures them; NaN where that failed.

    Returns
    -------
    ndarray of float32, shape of `profile`
        Not normalised, and not clipped at 0.
    """
    center, sigma = _filled(center_pix), _filled(sigma_pix)
    if not (np.isfinite(center).all() and np.isfinite(sigma).all()):
        return np.broadcast_to(np.median(profile, axis=0), profile.shape).astype(np.float32)
    edges = np.union1d(find_steps(center), find_steps(sigma, least_pix=LEAST_WIDENING_PIX))
    states = np.searchsorted(edges, np.arange(len(profile)), side="right")
    own = {int(s): _state(profile, center, sigma, states == s) for s in np.unique(states)}
    own = {s: found for s, found in own.items() if found is not None} or {
        -1: _describe(profile, center, sigma, np.ones(len(profile), bool))
    }
    followed = np.empty(profile.shape, np.float32)
    for s in np.unique(states):
        base, first, second, at, width = own[min(own, key=lambda other: abs(other - s))]
        members = np.flatnonzero(states == s)
        smooth = _running_median(sigma[members], WIDTH_LENGTH)
        for k, wide in zip(members, smooth, strict=True):
            moved, widened = center[k] - at, 0.5 * (wide**2 - width**2)
            if abs(moved) > LARGE_SHIFT_PIX:
                followed[k] = shift(base + widened * second, (0, moved), order=3, mode="nearest")
            else:
                followed[k] = base - moved * first + (widened + 0.5 * moved**2) * second
    return followed


def find_steps(series: np.ndarray, *, least_pix: float = LEAST_STEP_PIX) -> np.ndarray:
    """Return the indices at which the mean of a series changes permanently, ascending.

    Binary segmentation: the change of mean that is most significant against the scatter from one value to the next,
    then both sides of it, as long as one exceeds STEP_SIGMA and `least_pix` within a few integrations.
    """
    series = np.asarray(series, float)
    if series.size < 4:
        return np.empty(0, int)
    jumps = np.diff(series)
    noise = max(1.4826 * float(np.median(np.abs(jumps - np.median(jumps)))) / np.sqrt(2), 1e-6)
    found: list[int] = []
    _split(series, 0, series.size, (noise, least_pix), found)
    return np.array(sorted(found), int)


def _split(series: np.ndarray, first: int, stop: int, limits: tuple[float, float], found: list[int]) -> None:
    (noise, least_pix), best, where = limits, 0.0, -1
    for k in range(first + 2, stop - 1):
        # A few integrations on either side: a drift is no step.
        before, after = series[max(first, k - 5) : k], series[k : min(stop, k + 5)]
        change = abs(np.median(after) - np.median(before))
        # What the series does anyway over such a distance (drift, wander) is no step.
        error = noise * np.sqrt(1 / before.size + 1 / after.size)
        jump = abs(series[k] - series[k - 1])
        if change > least_pix and jump > 0.5 * change and change / error > best:
            best, where = change / error, k
    if best > STEP_SIGMA:
        found.append(where)
        _split(series, first, where, limits, found)
        _split(series, where, stop, limits, found)


def _state(profile, center, sigma, members):
    return _describe(profile, center, sigma, members) if members.sum() >= MIN_MEMBERS else None


def _describe(profile, center, sigma, members):
    """Return the median profile of some integrations, its derivatives across the columns, its position and width."""
    # Row by row: a copy of all of them would be as large as the frames.
    base = np.stack([np.median(profile[members, row], axis=0) for row in range(profile.shape[1])]).astype(float)
    first = np.gradient(base, axis=1)
    second = np.zeros_like(base)
    second[:, 1:-1] = base[:, 2:] - 2 * base[:, 1:-1] + base[:, :-2]
    return base, first, second, float(np.median(center[members])), float(np.median(sigma[members]))


def _filled(series: np.ndarray) -> np.ndarray:
    """Return a series with what is not finite interpolated."""
    series = np.array(series, float)
    known = np.isfinite(series)
    if known.any() and not known.all():
        series[~known] = np.interp(np.flatnonzero(~known), np.flatnonzero(known), series[known])
    return series


def _running_median(series: np.ndarray, length: int) -> np.ndarray:
    """Return the median of `length` values about each one, fewer near the ends, alike on both sides."""
    size = series.size
    reach = [min(length // 2, k, size - 1 - k) for k in range(size)]
    return np.array([np.median(series[k - r : k + r + 1]) for k, r in enumerate(reach)])
