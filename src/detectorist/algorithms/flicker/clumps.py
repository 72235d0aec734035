"""Light in clumps: what faint stars and galaxies that no mask holds add to the scatter of bins of an image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Rows of bins over which clumps are followed: from there on a model of wide light follows them.
FARTHEST = 4
#: Standard errors from which a variance is taken for real.
SURE_SIGMA = 3.0


class Clumps(NamedTuple):
    """Variances of a bin's mean beyond the noise of its pixels, 0 where nothing is found.

    scatter : of every bin for itself: noise that changes within a row, and light.
    together : what bins of neighbouring rows share, for bins that are taken as independent: only light does that.
        A mean over many rows has an error as if each bin had 2 sum_l c_l more, c_l the covariance of bins l rows apart
        (Priestley 1981, Spectral Analysis and Time Series, section 5.3.2).
    """

    scatter: float
    together: float


def measure_clumps(rest: np.ndarray, variance: np.ndarray, seen: np.ndarray, n_outputs: int) -> Clumps:
    """Return what unknown light adds to the variance of bins.

    Parameters
    ----------
    rest : ndarray of float, shape (n_rows, n_columns)
        Means of bins less everything that is known of them.
    variance : ndarray of float, shape (n_rows, n_columns)
        Of the mean of each bin, by the noise of its pixels.
    seen : ndarray of bool, shape (n_rows, n_columns)
        Bins with pixels.
    n_outputs : int
        Noise moves all bins of a row of an output together; light does not: the scatter within such rows tells it.
    """
    shape = (len(rest), n_outputs, -1)
    weight = np.where(seen, 1 / np.where(seen, variance, 1), 0).reshape(shape)
    total = weight.sum(axis=2, keepdims=True)
    total[total == 0] = 1.0
    sure = weight / max(float(weight.max()), 1e-300)
    value = np.where(seen, rest, 0).reshape(shape)
    value = value - (weight * value).sum(axis=2, keepdims=True) / total
    # About the mean of a row, a bin scatters less than by itself: it has a part in that mean.
    pixels = np.where(seen, variance, 0).reshape(shape) * (1 - weight / total)
    part = 1 - 2 * weight / total + (weight**2).sum(axis=2, keepdims=True) / total**2
    scatter = _sure_mean(sure, part, value**2 - pixels)
    together = 0.0
    for lag in range(1, min(FARTHEST + 1, len(rest))):
        both = np.sqrt(sure[lag:] * sure[:-lag])
        shared = _sure_mean(both, np.sqrt(part[lag:] * part[:-lag]), value[lag:] * value[:-lag])
        if shared == 0:
            break
        together += 2 * shared
    return Clumps(scatter, together)


def _sure_mean(weight, part, values):
    """Return the mean variance in values that are `part` times it, 0 unless it is clearly above 0."""
    measured = float((weight * part).sum())
    if measured <= 0:
        return 0.0
    found = float((weight * values).sum() / measured)
    error = float(np.sqrt((weight**2 * (values - found * part) ** 2).sum()) / measured)
    return found if found > SURE_SIGMA * error else 0.0
