"""Errors of spectra compared with the scatter from one integration to the next.

The errors of pixels are as good as the gain and read noise that they are computed with, and do not include noise common
to the pixels of a row. Second differences in time see the noise as it is, and neither a transit nor a drift.
"""

from __future__ import annotations

import numpy as np

#: Rows that share a scale.
ROWS_PER_PIECE = 64
#: Second differences (rows times integrations) that a scale takes: it is then known to 3 %.
MIN_DIFFERENCES = 600
#: Second differences whose rows scatter by this many times what is usual belong to an integration that was disturbed.
DISTURBED = 2.0
#: Scales beyond these are not the noise of a detector but something else, and are reported, not applied.
LEAST, MOST = 0.5, 2.5


def measure_error_scale(flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the factor by which the errors of every row must be scaled to match the scatter in time.

    flux, error : ndarray of float, shape (n_ints, n_rows)
        Of consecutive integrations. NaN is ignored.

    Returns ndarray of float, shape (n_rows,): robust standard deviation of the second differences over that expected,
    of pieces of 64 rows; 1 where a piece has fewer than 600 differences or the factor lies outside 0.5 to 2.5.
    """
    scale = np.ones(flux.shape[1])
    if len(flux) < 3:
        return scale
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = flux[:-2] - 2 * flux[1:-1] + flux[2:]
        expected = np.sqrt(error[:-2] ** 2 + 4 * error[1:-1] ** 2 + error[2:] ** 2)
        ratio = np.where(expected > 0, difference / expected, np.nan)
    ratio[_disturbed(ratio)] = np.nan
    pieces = np.array_split(np.arange(flux.shape[1]), max(1, round(flux.shape[1] / ROWS_PER_PIECE)))
    for rows in pieces:
        values = ratio[:, rows]
        values = values[np.isfinite(values)]
        if values.size < MIN_DIFFERENCES:
            continue
        found = 1.4826 * float(np.median(np.abs(values)))
        if LEAST <= found <= MOST:
            scale[rows] = found
    return scale


def _disturbed(ratio: np.ndarray) -> np.ndarray:
    """Return which second differences, (n,), involve an integration in which something happened to all rows."""
    size = np.full(len(ratio), np.nan)
    for k, row in enumerate(np.abs(ratio)):
        known = row[np.isfinite(row)]
        size[k] = np.median(known) if known.size else np.nan
    known = size[np.isfinite(size)]
    usual = np.median(known) if known.size else np.nan
    return ~(size <= DISTURBED * usual)
