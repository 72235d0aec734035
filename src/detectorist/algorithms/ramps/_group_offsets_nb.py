"""Compiled loops of `measure_group_offsets`: medians over pixels without arrays of the size of the ramps."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._medians_nb import SAMPLE, median_of_row
from detectorist.algorithms._selection_nb import middle_two


@njit(cache=True, nogil=True)
def medians_of_departures(ramps, rows, columns, mean, slope, lever, median, spread):
    """Fill median and spread, (n_groups,), with those of the departures of pixels from straight lines.

    ramps : (n_groups, ny, nx) float32. rows, columns : (n_pixels,) the pixels. mean, slope : (n_pixels,) their lines;
    lever : (n_groups,) from the group to which `mean` belongs. spread : median absolute deviation from the median.
    """
    n = rows.size
    left, kept, sample = np.empty(n), np.empty(n + 1), np.empty(SAMPLE)
    for g in range(len(ramps)):
        group = ramps[g]
        for k in range(n):
            left[k] = group[rows[k], columns[k]] - mean[k] - lever[g] * slope[k]
        median[g] = median_of_row(left, kept, sample)
        for k in range(n):
            left[k] = abs(left[k] - median[g])
        spread[g] = median_of_row(left, kept, sample)


@njit(cache=True, nogil=True)
def medians_of_columns(image, known, median):
    """Fill median, (nx,), with those of the known values of the columns of an image; NaN where there is none."""
    values = np.empty(len(image))
    for x in range(image.shape[1]):
        n = 0
        for y in range(len(image)):
            if known[y, x]:
                values[n] = image[y, x]
                n += 1
        median[x] = np.nan
        if n > 0:
            lower, upper = middle_two(values, n)
            median[x] = (lower + upper) / 2.0
