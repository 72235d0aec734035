"""The median of many values in half the time that numpy takes, which looks through them three times."""

from __future__ import annotations

import numpy as np


def median(values: np.ndarray) -> float:
    """Return `np.median(values)` of float64, any shape: the same bits; NaN with a NaN or without values."""
    from detectorist.algorithms import _medians_nb as kernels

    row = np.ascontiguousarray(values, float).ravel()
    return float(kernels.median_of_row(row, np.empty(row.size + 1), np.empty(kernels.SAMPLE)))
