"""Linearity of averaged frames: every frame is rebuilt, corrected by itself, and the corrections are averaged.

A group of averaged frames is not on the curve of a single read, since the mean of a curve is not the curve of the mean.
Stock draws a straight ramp through the first and the last usable group, bends it back with the inverse polynomial,
shifts the frames to meet the group, and corrects each. Single precision for the ends of the ramp, double from there on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS
from detectorist.engine.flags import SATURATED


@njit(**OPTIONS)
def linearize_reads(data, gdq, forward, unusable, inverse, no_inverse, since_first, start, stop):
    """Correct rows start to stop of `data` (n_ints, n_groups, ny, nx) in place, SATURATED groups left as they are.

    forward, inverse : (n_coefficients, ny, nx), float32; unusable, no_inverse : (ny, nx), where they stand for the
    identity; since_first : (n_groups, n_frames), number of each frame from the mean of the first group.
    """
    n_ints, n_groups, _, nx = data.shape
    first = np.empty(nx, np.float32)
    rate = np.empty(nx)
    frames = np.empty((since_first.shape[1], nx))
    total = np.empty(nx)
    mean_frame = np.empty(n_groups)
    for g in range(n_groups):
        mean_frame[g] = np.mean(since_first[g])
    for y in range(start, stop):
        for i in range(n_ints):
            _fit_ends(data[i], gdq[i], forward, unusable, y, mean_frame, first, rate)
            for g in range(n_groups):
                _rebuild_frames(first, rate, since_first[g], inverse, no_inverse, y, frames, total)
                _correct_frames(data[i, g, y], gdq[i, g, y], forward, unusable, y, frames, total)


@njit(**OPTIONS)
def _rebuild_frames(first, rate, since_first, terms, identity, y, frames, total):
    """Fill `frames` with what the frames of the straight ramp would have measured, and `total` with their sum."""
    straight = np.empty(first.size)
    total[:] = 0
    for f in range(since_first.size):
        for x in range(first.size):
            straight[x] = np.float64(first[x]) + rate[x] * since_first[f]
        _evaluate(straight, terms, identity, y, frames[f])
        for x in range(first.size):
            total[x] += frames[f, x]


@njit(**OPTIONS)
def _correct_frames(row, flag, terms, identity, y, frames, total):
    """Shift the frames so that their mean is the group, correct each, and store the mean."""
    n_frames = frames.shape[0]
    shift = np.empty(row.size)
    for x in range(row.size):
        shift[x] = np.float64(row[x]) - total[x] / n_frames
    total[:] = 0
    for f in range(n_frames):
        values = frames[f] + shift
        _evaluate(values, terms, identity, y, frames[f])
        for x in range(row.size):
            total[x] += frames[f, x]
    for x in range(row.size):
        row[x] = row[x] if flag[x] & SATURATED else np.float32(total[x] / n_frames)


@njit(**OPTIONS)
def _evaluate(values, terms, identity, y, out):
    """Fill `out` with the polynomial of every pixel of row y, in float64, by Horner's rule."""
    n = terms.shape[0]
    for x in range(values.size):
        out[x] = np.float64(terms[n - 1, y, x]) * values[x]
    for j in range(n - 2, 0, -1):
        term = terms[j, y]
        for x in range(values.size):
            out[x] = (out[x] + np.float64(term[x])) * values[x]
    constant = terms[0, y]
    same = identity[y]
    vanishing = 0.0 if n > 2 else np.nan  # terms that vanish make NaN of infinities
    for x in range(values.size):
        full = out[x] + np.float64(constant[x])
        if same[x]:
            full = values[x] + vanishing * values[x] if n > 2 else values[x]
        out[x] = full


@njit(**OPTIONS)
def _fit_ends(ramp, gdq, terms, identity, y, mean_frame, first, rate):
    """Fill first value and rate per frame of the straight ramp through the first and the last usable group.

    The last but one of the unsaturated groups counts as the last, since saturation may begin within a group; at least
    the second group is taken.
    """
    n_groups, _, nx = ramp.shape
    for x in range(nx):
        usable = -1
        for g in range(n_groups):
            usable += (gdq[g, y, x] & SATURATED) == 0
        last = max(usable, 2) - 1
        low = _single(ramp, gdq, terms, identity, 0, y, x)
        high = _single(ramp, gdq, terms, identity, last, y, x)
        first[x] = low
        rate[x] = np.float64(high - low) / (mean_frame[last] - mean_frame[0])


@njit(**OPTIONS)
def _single(ramp, gdq, terms, identity, g, y, x):
    """Return one group corrected as a single read, in float32."""
    value = ramp[g, y, x]
    if gdq[g, y, x] & SATURATED:
        return value
    n = terms.shape[0]
    if identity[y, x]:
        return value + np.float32(0) * value if n > 2 else value
    out = terms[n - 1, y, x] * value
    for j in range(n - 2, 0, -1):
        out = (out + terms[j, y, x]) * value
    return out + terms[0, y, x]
