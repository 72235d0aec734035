"""Circles of snowballs that the border of a frame cuts.

What is left of such an event is no disk: the middle of half a disk lies 0.42 radii inward of its centre, its area is
that of a disk 0.71 times as large. Flagged as a disk about that middle, the halo along the border would stay.
"""

from __future__ import annotations

import numpy as np

#: Distance from the border from which a region is cut by it: reference pixels, which have no jumps, and a ragged edge.
BORDER_PIX = 6
#: Fewest points of an arc, largest circle over the one of the same area, and scatter of the points over its radius.
LEAST_POINTS, LARGEST, SCATTER = 8, 4.0, 0.25


def regions_at_border(runs: np.ndarray, numbers: np.ndarray, n_regions: int, shape: tuple[int, int]) -> np.ndarray:
    """Return which regions reach the border of a frame, (n_regions,) bool.

    runs : (n_runs, 3), row, first and past-last column. numbers : (n_runs,), the region of each. shape : of the frame.
    """
    row, first, last = runs.T
    near = (np.minimum(row, first) < BORDER_PIX) | (row >= shape[0] - BORDER_PIX) | (last > shape[1] - BORDER_PIX)
    return np.bincount(numbers[near], minlength=n_regions) > 0


def circle_at_border(
    runs: np.ndarray, shape: tuple[int, int], without: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Return y, x and radius of the circle through the ends of a region's rows that lie within the frame.

    runs : (n, 3), of one region. without : y, x and radius to return where the ends are no arc.

    The centre may lie outside the frame. Algebraic least squares (Kasa 1976, IEEE Trans. Instrum. Meas. 25, 8).
    """
    row, first, last = runs.T.astype(float)
    inside = (first >= BORDER_PIX, last <= shape[1] - BORDER_PIX)
    y = np.concatenate([row[one] for one in inside])
    x = np.concatenate([first[inside[0]] - 0.5, last[inside[1]] - 0.5])
    if y.size < LEAST_POINTS:
        return without
    terms = np.column_stack([2 * y, 2 * x, np.ones(y.size)])
    (y0, x0, rest), _, rank, _ = np.linalg.lstsq(terms, y**2 + x**2, rcond=None)
    square = rest + y0**2 + x0**2
    if rank < 3 or not 0 < square < (LARGEST * without[2]) ** 2:
        return without
    radius = float(np.sqrt(square))
    scatter = float(np.std(np.hypot(y - y0, x - x0)))
    return (float(y0), float(x0), radius) if scatter < SCATTER * radius else without
