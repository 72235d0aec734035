"""Bins of some rows and columns of an image, none of which reaches over two outputs."""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise, covariance_of_means


def edges_of_bins(
    shape: tuple[int, int], readout: Readout, n_rows: int, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the borders of bins along y and x, (n + 1,) each; those of outputs are among them.

    n_rows, n_columns : size of a bin, pixel; the last row of bins may be incomplete, columns differ by one at most.
    """
    rows = np.r_[np.arange(0, shape[0], n_rows), shape[0]]
    per_output = max(1, round(readout.width / n_columns))
    columns = np.linspace(0, shape[1], per_output * len(readout.outputs) + 1).round().astype(int)
    return rows, columns


def sums_in_bins(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the sums of values (ny, nx) in bins between borders, float64; sums along a row have the values' type."""
    return np.add.reduceat(np.add.reduceat(values, columns[:-1], axis=1), rows[:-1], axis=0).astype(float)


def noise_within_rows(noise: FlickerNoise, readout: Readout, n_rows: int, n_columns: int) -> float:
    """Return the variance of bins about the mean of their row of an output by 1/f noise, whose rows are independent."""
    variances = noise.common + noise.own
    here = np.zeros((1, 1))
    of_bin, of_row = (covariance_of_means(here, n, variances, noise.scales_pix) for n in (n_columns, readout.width))
    return float((of_bin - of_row)[0, 0]) / n_rows
