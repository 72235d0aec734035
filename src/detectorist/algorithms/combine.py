"""One rate from the rates of all integrations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class CombinedRate(NamedTuple):
    """Result of `combine_integrations`, arrays (ny, nx) float32; NaN where no integration was usable."""

    rate: np.ndarray
    var_poisson: np.ndarray
    var_read: np.ndarray
    usable: np.ndarray  # bool


def combine_integrations(
    rates: np.ndarray, mask: np.ndarray, var_poisson: np.ndarray, var_read: np.ndarray
) -> CombinedRate:
    """Return the inverse-variance weighted mean over integrations.

    Parameters
    ----------
    rates : ndarray of float, shape (n_ints, ny, nx)
    mask : ndarray of bool, same shape
        True where a rate must not be used. Rates that are not finite are never used.
    var_poisson, var_read : ndarray of float, same shape
        The weight is one over their sum. They may not follow the noise of the single rate (a Poisson
        variance from that rate itself makes the mean too small). Where the sum is not finite or not
        positive, a rate gets the mean weight, and the mean uncertainty, of the pixel's other rates.

    Notes
    -----
    Integrations are taken to be independent; noise common to them has to be added to the variances afterwards.
    """
    usable = ~mask & np.isfinite(rates)
    total = var_poisson + var_read
    known = usable & np.isfinite(total) & (total > 0)
    inverse = np.where(known, 1.0 / np.where(known, total, 1.0), 0.0)
    n_known = known.sum(axis=0)
    typical = np.where(n_known > 0, inverse.sum(axis=0) / np.maximum(n_known, 1), 1.0)
    weight = np.where(known, inverse, np.where(usable, typical, 0.0))
    norm = weight.sum(axis=0)
    any_usable = norm > 0
    weight /= np.where(any_usable, norm, 1.0)
    rate = np.sum(weight * np.where(usable, rates, 0.0), axis=0)
    variances = []
    for variance in (var_poisson, var_read):
        mean = np.sum(np.where(known, variance, 0.0), axis=0) / np.maximum(n_known, 1)
        filled = np.where(known, variance, np.where(n_known > 0, mean, np.nan))
        variances.append(np.sum(weight**2 * np.where(weight > 0, filled, 0.0), axis=0))
    out = (np.where(any_usable, part, np.nan).astype(np.float32) for part in (rate, *variances))
    return CombinedRate(*out, any_usable)
