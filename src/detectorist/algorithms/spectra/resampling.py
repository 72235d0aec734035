"""Spectra shifted by a fraction of a pixel, with their errors."""

from __future__ import annotations

import numpy as np


def shift_spectra(
    spec: np.ndarray, spec_unc: np.ndarray | None, y_pix: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Shift spectra by -y: the value at row r + y moves to row r.

    Parameters
    ----------
    spec, spec_unc : ndarray of float, shape (n_ints, n_rows)
        Spectra and their standard deviations (independent from row to row), or None for the latter.
    y_pix : ndarray of float, shape (n_ints,)
        Shifts along the rows; a spectrum with NaN is not moved.

    Returns
    -------
    spec, spec_unc : ndarray of float64
        Cubic interpolation through the four nearest rows, and the error that follows from their weights;
        neighbouring rows now share errors. NaN spreads over the rows that use it; rows that come from beyond
        the ends are NaN.
    """
    n_ints, n_rows = spec.shape
    wanted = np.arange(n_rows) + np.nan_to_num(np.asarray(y_pix, float))[:, None]
    base = np.floor(wanted).astype(int)
    t = wanted - base
    # Lagrange's polynomial through rows -1, 0, 1, 2.
    weights = np.stack(
        [
            -t * (t - 1) * (t - 2) / 6,
            (t + 1) * (t - 1) * (t - 2) / 2,
            -(t + 1) * t * (t - 2) / 2,
            (t + 1) * t * (t - 1) / 6,
        ]
    )
    taps = np.clip(base + np.arange(-1, 3)[:, None, None], 0, n_rows - 1)
    which = np.arange(n_ints)[:, None]
    outside = (wanted < -0.5) | (wanted > n_rows - 0.5)

    def combine(values, factors):
        used = np.where(factors == 0, 0.0, values[which, taps])
        return np.where(outside, np.nan, (factors * used).sum(axis=0))

    moved = combine(np.asarray(spec, float), weights)
    if spec_unc is None:
        return moved, None
    return moved, np.sqrt(combine(np.asarray(spec_unc, float) ** 2, weights**2))
