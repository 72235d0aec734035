"""Compiled loops of `measure_group_offsets`: medians over pixels without arrays of the size of the ramps."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._medians_nb import SAMPLE, median_near, median_of_row
from detectorist.algorithms._selection_nb import middle_two

#: Spreads by which the median of a group may differ from that of the one before, and share of a spread by which that
#: may: guesses, which decide nothing but the time.
NEXT_MEDIAN, NEXT_SPREAD = 0.3, 0.1


@njit(cache=True, nogil=True)
def medians_of_departures(ramps, pixels, mean, slope, lever, median, spread):
    """Fill median and spread, (n_groups,), with those of the departures of pixels from straight lines.

    ramps : (n_groups, ny * nx) float32. pixels : (n_pixels,) their places in a group. mean, slope : (n_pixels,) their
    lines; lever : (n_groups,) from the group to which `mean` belongs. spread : median absolute deviation from the
    median. Both are NaN where a departure is.
    """
    n = pixels.size
    left, kept, sample = np.empty(n), np.empty(n + 1), np.empty(SAMPLE)
    for g in range(len(ramps)):
        group = ramps[g]
        unknown = 0
        for k in range(n):
            left[k] = group[pixels[k]] - mean[k] - lever[g] * slope[k]
            unknown += np.isnan(left[k])
        guessed = g > 0 and spread[g - 1] > 0
        if unknown:
            median[g] = np.nan
        elif guessed:
            median[g] = median_near(left, median[g - 1], NEXT_MEDIAN * spread[g - 1], kept)
        else:
            median[g] = median_of_row(left, kept, sample)
        if not np.isfinite(median[g]):
            spread[g] = np.nan
            continue
        for k in range(n):
            left[k] = abs(left[k] - median[g])
        if guessed:
            spread[g] = median_near(left, spread[g - 1], NEXT_SPREAD * spread[g - 1], kept)
        else:
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
