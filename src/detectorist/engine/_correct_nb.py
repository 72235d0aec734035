"""Arithmetic on whole ramps that stock does with one numpy pass per term: linearity, inter-pixel capacitance."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS
from detectorist.engine.flags import NO_LIN_CORR, SATURATED


@njit(**OPTIONS)
def find_unusable(coefficients, lin_dq, pixeldq, unusable, start, stop):
    """Fill `unusable` (ny, nx); NO_LIN_CORR goes into `pixeldq` where the reference did not say so itself.

    Unusable are pixels with that flag, with a NaN among their coefficients, or without a linear term.
    """
    for y in range(start, stop):
        row = unusable[y]
        for x in range(row.size):
            row[x] = coefficients[1, y, x] == 0
        for j in range(coefficients.shape[0]):
            term = coefficients[j, y]
            for x in range(row.size):
                row[x] |= term[x] != term[x]
        for x in range(row.size):
            flagged = (lin_dq[y, x] & NO_LIN_CORR) != 0
            if row[x] and not flagged:
                pixeldq[y, x] |= np.uint32(NO_LIN_CORR)
            row[x] |= flagged


@njit(**OPTIONS)
def linearize_rows(data, gdq, coefficients, unusable, first, start, stop):
    """Apply the polynomial of every pixel to the groups that are not SATURATED, in place, by Horner's rule in float32.

    Rows start to stop of the ramps; coefficients and what is unusable begin with row `first`.

    Rows outermost: the coefficients, more bytes than a group, are read once for all groups.
    """
    n_ints, n_groups, _, nx = data.shape
    n = coefficients.shape[0]
    value = np.empty(nx, np.float32)
    for y in range(start, stop):
        for i in range(n_ints):
            for g in range(n_groups):
                row = data[i, g, y]
                _multiply(value, coefficients[n - 1, y - first], row)
                for j in range(n - 2, 0, -1):
                    _add_and_multiply(value, coefficients[j, y - first], row)
                _add_where_wanted(value, coefficients[0, y - first], gdq[i, g, y], unusable[y - first], n > 2, row)


@njit(**OPTIONS)
def _multiply(value, factor, row):
    for x in range(row.size):
        value[x] = factor[x] * row[x]


@njit(**OPTIONS)
def _add_and_multiply(value, term, row):
    for x in range(row.size):
        value[x] = (value[x] + term[x]) * row[x]


@njit(**OPTIONS)
def _add_where_wanted(value, term, flag, unusable, vanishing, row):
    """Add the constant term and store; unusable pixels and saturated groups stay as they are.

    Stock evaluates the identity polynomial for unusable pixels: its vanishing terms, if any, make NaN of infinities.
    """
    for x in range(row.size):
        corrected = value[x] + term[x]
        if unusable[x]:
            corrected = row[x] + np.float32(0) * row[x] if vanishing else row[x]
        row[x] = row[x] if flag[x] & SATURATED else corrected


@njit(**OPTIONS)
def convolve_planes(planes, kernel, bottom, top, left, right, start, stop):
    """Convolve planes start to stop of `planes` (n, ny, nx) with a kernel of odd numbers of rows and columns, in place.

    bottom, top, left, right : reference rows and columns at the edges: neither changed nor counted as neighbours.
    """
    ny, nx = planes.shape[1:]
    n_rows, n_columns = kernel.shape
    up, aside = n_rows // 2, n_columns // 2
    inner = slice(left, nx - right)
    width = nx - left - right
    padded = np.zeros((n_rows, width + 2 * aside), np.float32)  # rows about y as they were, row r in r % n_rows
    rows = np.zeros(padded.shape, np.float32)
    for k in range(start, stop):
        plane = planes[k]
        padded[:] = 0
        last = ny - top
        for y in range(bottom, min(bottom + up, last)):
            padded[y % n_rows, aside : width + aside] = plane[y, inner]
        for y in range(bottom, last):
            if y + up < last:
                padded[(y + up) % n_rows, aside : width + aside] = plane[y + up, inner]
            else:
                padded[(y + up) % n_rows] = 0
            if n_rows == 3 and n_columns == 3:
                below, here, above = padded[(y - 1) % 3], padded[y % 3], padded[(y + 1) % 3]
                _convolve_row(below, here, above, kernel, plane[y, inner])
            else:
                for j in range(n_rows):
                    rows[j] = padded[(y + up - j) % n_rows]
                _convolve_row_by_any(rows, kernel, plane[y, inner])


@njit(**OPTIONS)
def _convolve_row_by_any(rows, kernel, out):
    """Sum the products in stock's order, centre last, starting from 0; `rows` are in the order of the kernel's."""
    n_rows, n_columns = kernel.shape
    out[:] = 0
    for j in range(n_rows):
        for i in range(n_columns):
            if j != n_rows // 2 or i != n_columns // 2:
                _add_product(rows[j, n_columns - 1 - i :], kernel[j, i], out)
    _add_product(rows[n_rows // 2, n_columns // 2 :], kernel[n_rows // 2, n_columns // 2], out)


@njit(**OPTIONS)
def _add_product(row, factor, out):
    for x in range(out.size):
        out[x] += factor * row[x]


@njit(**OPTIONS)
def _convolve_row(below, here, above, kernel, out):
    """Sum the nine products in stock's order, centre last, starting from 0."""
    k00, k01, k02 = kernel[0, 0], kernel[0, 1], kernel[0, 2]
    k10, k11, k12 = kernel[1, 0], kernel[1, 1], kernel[1, 2]
    k20, k21, k22 = kernel[2, 0], kernel[2, 1], kernel[2, 2]
    for x in range(out.size):
        total = np.float32(0) + k00 * above[x + 2]
        total += k01 * above[x + 1]
        total += k02 * above[x]
        total += k10 * here[x + 2]
        total += k12 * here[x]
        total += k20 * below[x + 2]
        total += k21 * below[x + 1]
        total += k22 * below[x]
        total += k11 * here[x + 1]
        out[x] = total
