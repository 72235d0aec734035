"""Which pixels lie in an ellipse, and which regions hold the centre of another."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS

NO, YES, UNSURE = 0, 1, 2
#: How near the boundary an approximate ellipse leaves a point undecided.
_MARGIN = 1e-4


@njit(**OPTIONS)
def fill_ellipse(image, row, column, r_first, c_first, r_last, c_last, r_radius, c_radius, sin, cos):
    """Set the pixels of `image` inside an ellipse, boundary excluded, within the given rows and columns."""
    for r in range(r_first, r_last + 1):
        for c in range(c_first, c_last + 1):
            y = np.float64(r - row)
            x = np.float64(c - column)
            along = (y * cos + x * sin) / r_radius
            across = (y * sin - x * cos) / c_radius
            if along * along + across * across < 1:
                image[r, c] = True


@njit(**OPTIONS)
def holds_center(ellipses, centers):
    """Tell for every ellipse of `approximate_ellipses` whether any of `centers` lies in it: NO, YES or UNSURE.

    centers : (m, 2) row and column, sorted by row.
    """
    out = np.zeros(ellipses.shape[0], np.uint8)
    for s in range(ellipses.shape[0]):
        reach = 0.5 * max(abs(ellipses[s, 3]), abs(ellipses[s, 2])) + 0.01
        k = np.searchsorted(centers[:, 0], ellipses[s, 0] - reach)
        while k < centers.shape[0] and centers[k, 0] <= ellipses[s, 0] + reach:
            y = centers[k, 0] - ellipses[s, 0]
            x = centers[k, 1] - ellipses[s, 1]
            if abs(x) <= reach:
                answer = _holds(y, x, ellipses[s, 2], ellipses[s, 3], ellipses[s, 4])
                if answer == YES:
                    out[s] = YES
                    break
                out[s] = max(out[s], answer)
            k += 1
    return out


@njit(**OPTIONS)
def _holds(y, x, minor, major, angle):
    """Decide for a point at (y, x) from the centre. stcal counts the angle from the columns, not from the rows."""
    if abs(minor) < 0.01 or abs(major) < 0.01:
        return UNSURE
    along = (x * np.cos(angle) + y * np.sin(angle)) / (0.5 * major)
    across = (x * np.sin(angle) - y * np.cos(angle)) / (0.5 * minor)
    distance = along * along + across * across
    if distance < 1 - _MARGIN:
        return YES
    return UNSURE if distance < 1 + _MARGIN else NO
