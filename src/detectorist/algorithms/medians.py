"""Medians of long rows in half the time that numpy takes, which looks through each row three times."""

from __future__ import annotations

import numpy as np


def medians_of_rows(values: np.ndarray) -> np.ndarray:
    """Return `np.median(values, axis=1)` of an array (n_rows, n) of float64; NaN where there are no values."""
    from detectorist.algorithms import _medians_nb as kernels

    out = np.full(len(values), np.nan)
    if values.size:
        kernels.medians_of_rows(np.ascontiguousarray(values, float), out)
    return out
