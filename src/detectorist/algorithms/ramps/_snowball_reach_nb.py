"""Compiled loops of `snowball_reach`: medians of rings about an event, and the noise of a pixel."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._medians_nb import SAMPLE, median_of_row
from detectorist.algorithms._selection_nb import middle_two


@njit(cache=True, nogil=True)
def ring_numbers(ny, nx, first_row, first_column, y, x, ring_pix):
    """Number of the ring about (y, x) that every pixel of a cutout is in, (ny * nx,) int64, counted from the centre."""
    numbers = np.empty(ny * nx, np.int64)
    for row in range(ny):
        for column in range(nx):
            numbers[row * nx + column] = int(np.hypot(first_row + row - y, first_column + column - x) / ring_pix)
    return numbers


@njit(cache=True, nogil=True)
def rings_in_order(numbers, n_rings):
    """Pixels of rings 0 to n_rings - 1, ring by ring, (n,) int64, and where each ring begins, (n_rings + 1,)."""
    borders = np.zeros(n_rings + 1, np.int64)
    for number in numbers:
        if number < n_rings:
            borders[number + 1] += 1
    borders = np.cumsum(borders)
    order, place = np.empty(borders[-1], np.int64), borders[:-1].copy()
    for pixel in range(numbers.size):
        number = numbers[pixel]
        if number < n_rings:
            order[place[number]] = pixel
            place[number] += 1
    return order, borders


@njit(cache=True, nogil=True)
def gains(before, after, flags, bits, steps):
    """Write `after - before`, (ny, nx) float64, NaN where any of `bits` is set."""
    for y in range(after.shape[0]):
        for x in range(after.shape[1]):
            step = np.float64(after[y, x]) - np.float64(before[y, x])
            steps[y, x] = np.nan if flags[y, x] & bits else step


@njit(cache=True, nogil=True)
def median_step(values):
    """Median of the absolute differences of neighbours along the rows, 0 where there are none."""
    kept = np.empty(values.size)
    n = 0
    for y in range(values.shape[0]):
        for x in range(1, values.shape[1]):
            difference = abs(values[y, x] - values[y, x - 1])
            if np.isfinite(difference):
                kept[n] = difference
                n += 1
    return median_of_row(kept[:n], np.empty(n + 1), np.empty(SAMPLE)) if n else 0.0


@njit(cache=True, nogil=True)
def ring_medians(values, order, borders, least, medians, numbers):
    """Write the medians of rings of which so many finite values are seen, NaN of others, and those numbers.

    values : (n,). order, borders : see `rings_in_order`.
    """
    kept = np.empty(order.size)
    for k in range(borders.size - 1):
        n = 0
        for i in range(borders[k], borders[k + 1]):
            value = values[order[i]]
            if np.isfinite(value):
                kept[n] = value
                n += 1
        numbers[k] = n
        medians[k] = _median(kept, n) if n >= least else np.nan


@njit(cache=True, nogil=True)
def _median(kept, n):
    lower, upper = middle_two(kept, n)
    return (lower + upper) / 2.0 if n % 2 == 0 else upper
