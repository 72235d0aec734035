"""The median of many values in half the time that numpy takes, which looks through them three times."""

from __future__ import annotations

import numpy as np


def median(values: np.ndarray) -> float:
    """Return `np.median(values)` in double precision, any shape: the same bits; NaN with a NaN or without values."""
    from detectorist.algorithms import _medians_nb as kernels

    row = np.ascontiguousarray(values, _kind_of(values)).ravel()
    return float(kernels.median_of_row(row, np.empty(row.size + 1), np.empty(kernels.SAMPLE)))


def typed_median(values: np.ndarray) -> np.floating:
    """Return `np.median(values)`, any shape: the same bits, as float32 for values of that type, or else as float64."""
    return _kind_of(values)(median(values))


def _kind_of(values: np.ndarray) -> type[np.floating]:
    return np.float32 if np.asarray(values).dtype == np.float32 else np.float64
