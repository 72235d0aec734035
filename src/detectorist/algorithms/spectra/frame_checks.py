"""Checks on the mean frame of an LRS exposure: position of the trace, and quality of the background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: First columns of the subarray: reference pixels, which see no light.
REFERENCE_COLUMNS = 4
#: Least height of the trace over the scatter of the columns, and columns to either side that hold its light.
LEAST_SIGMA, REACH_PIX = 8.0, 6
#: Rows that carry light between 5 and 12 micron, as shares of the subarray.
LIT_ROWS = (0.35, 0.97)


def find_trace_column(image: np.ndarray) -> float | None:
    """Return the column of the brightest trace in a mean frame; None where no column stands out.

    image : ndarray of float, shape (n_rows, n_cols)
        Background included or subtracted. Non-finite pixels are ignored.
    """
    rows = image[slice(*(int(part * len(image)) for part in LIT_ROWS)), REFERENCE_COLUMNS:]
    if not np.isfinite(rows).any():
        return None
    level = np.nanmedian(rows, axis=1, keepdims=True)
    profile = np.nan_to_num(np.nanmedian(rows - level, axis=0))
    smooth = np.convolve(profile, np.ones(3) / 3, mode="same")
    peak = int(smooth.argmax())
    away = np.abs(np.arange(profile.size) - peak) > REACH_PIX
    middle = float(np.median(profile[away]))
    noise = 1.4826 * float(np.median(np.abs(profile[away] - middle)))
    if not smooth[peak] - middle > LEAST_SIGMA * max(noise, 1e-12):
        return None
    near = np.arange(max(peak - 3, 0), min(peak + 4, profile.size))
    light = np.clip(profile[near] - middle, 0, None)
    return float(REFERENCE_COLUMNS + (near * light).sum() / light.sum())


def background_disagreement(image: np.ndarray, column: float, regions: Sequence[int], width: float) -> float:
    """Return the background left over, from its regions left and right of the trace, in percent of the star's light.

    image : ndarray of float, shape (n_rows, n_cols)
        Mean frame, background subtracted.
    column : float
        Of the trace.
    regions : sequence of int
        First and last column (exclusive) of each region, one after the other.
    width : float
        Columns of the aperture.

    Half the difference between the two sides is taken as the error of the level under the star; NaN where there is
    a region on one side only.
    """
    rows = image[slice(*(int(part * len(image)) for part in LIT_ROWS))]
    pairs = list(zip(regions[::2], regions[1::2], strict=False))
    left = [rows[:, a:b] for a, b in pairs if b <= column]
    right = [rows[:, a:b] for a, b in pairs if a > column]
    if not left or not right:
        return float("nan")
    low, high = (np.nanmedian(np.concatenate(side, axis=1), axis=1) for side in (left, right))
    first = max(int(column) - REACH_PIX, 0)
    star = float(np.nansum(rows[:, first : int(column) + REACH_PIX + 1]))
    return 100 * width * 0.5 * abs(float(np.nansum(high - low))) / star if star > 0 else float("nan")
