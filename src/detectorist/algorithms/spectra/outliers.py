"""Outliers across integrations: each pixel is compared with itself in all other integrations.

The level of its stretch of row is subtracted first: 1/f noise raises whole stretches of a row in one integration and
would either hide an outlier or increase the scatter it is compared with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.algorithms.byte_order import native

#: Columns that share one level of a row: short, for 1/f noise changes along a row and what is left of it hides outliers
#: (with stripes three times as strong as the white noise, 20 columns leave 7 % of those of 15 sigma and more unseen, 6
#: columns 3 %). The level holds the pixel's own noise, so the scatter that it is judged by is a tenth smaller.
STRETCH_PIX = 6

#: Integrations' worth of belief in the noise model (ERR times the scatter of the row) against a pixel's own scatter:
#: the quartiles of ten values alone are wrong by a factor of two in one pixel of a thousand.
PRIOR_INTS = 10.0


class IntegrationOutliers(NamedTuple):
    """Result of `flag_outliers`."""

    flagged: np.ndarray  # (n_ints, ny, nx) bool
    judged: np.ndarray  # (ny, nx) bool, False where too few integrations were usable


def flag_outliers(
    cube: np.ndarray,
    err: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    *,
    sigma_cut: float = 10.0,
    nint_min: int = 10,
    standard: np.ndarray | None = None,
) -> IntegrationOutliers:
    """Flag pixels that differ from their values in the other integrations.

    Parameters
    ----------
    cube : ndarray of float, shape (n_ints, ny, nx)
        Rates of one exposure, fast axis last. Values that are not finite are left out.
    err : ndarray of float, same shape, optional
        Standard errors, used in relative terms: how much noisier one pixel or integration is than its
        neighbours. Not finite or not positive means unknown. Without it, a pixel is assumed to be as noisy as its row.
    mask : ndarray of bool, same shape, optional
        True where a value must not be used and is not flagged.
    sigma_cut : float
        Smallest deviation of an outlier from the median over integrations, in standard deviations.
    nint_min : int
        Pixels with fewer usable integrations are not judged.
    standard : ndarray of bool, shape (n_ints,), optional
        False for an integration that differs systematically (the first one of MIRI): it does not enter the median and
        the scatter, and its own deviations are compared with their scatter along the row.

    Returns
    -------
    IntegrationOutliers

    Raises
    ------
    ValueError
        When shapes do not agree or `sigma_cut` is not positive.

    Notes
    -----
    The scatter of a pixel is that of its interquartile range (good to a quarter of outliers), shrunk toward
    the noise model as ten integrations' worth of data; false alarms of Gaussian noise at 10 sigma: none in
    1e7 pixels. One row at a time in a compiled loop; memory: a few rows and the flags.
    """
    n_ints, ny, nx = cube.shape
    for other in (err, mask):
        if other is not None and other.shape != cube.shape:
            raise ValueError(f"cube {cube.shape} and an array of shape {other.shape} do not agree")
    if not sigma_cut > 0:
        raise ValueError(f"sigma_cut is {sigma_cut}: a positive number is needed")
    standard = np.ones(n_ints, np.bool_) if standard is None else np.asarray(standard, np.bool_)
    if standard.shape != (n_ints,):
        raise ValueError(f"standard has shape {standard.shape}: ({n_ints},) is needed")
    flagged = np.zeros(cube.shape, np.bool_)
    judged = np.zeros((ny, nx), np.bool_)
    if standard.sum() >= max(nint_min, 3):
        from detectorist.algorithms._sorting_nb import sorting_network
        from detectorist.algorithms.spectra._outliers_nb import flag_rows

        flag_rows(
            native(cube),
            np.empty((0, 0, 0), np.float32) if err is None else native(err),
            np.empty((0, 0, 0), np.bool_) if mask is None else mask,
            standard,
            sorting_network(int(standard.sum())),
            (float(sigma_cut), max(int(nint_min), 3), STRETCH_PIX, PRIOR_INTS),
            (flagged, judged),
        )
    return IntegrationOutliers(flagged, judged)


def groups_of_outliers(
    ramp: np.ndarray, groupdq: np.ndarray, where: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return for each outlier the group in which a single step makes it, or 0 where no single step does.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
    groupdq : ndarray of unsigned int, same shape
        Groups with a flag are left out, and differences over them.
    where : tuple of three ndarrays (n,)
        Integration, row and column of each outlier.

    Returns
    -------
    ndarray of int, shape (n,)
        The step is the largest deviation of the differences of neighbouring groups from their median over
        the other integrations; it is single when there are others and none has a third of its size.
    """
    integration, y, x = where
    if not integration.size or ramp.shape[1] < 3:
        return np.zeros(integration.size, int)
    usable = (groupdq[:, :, y, x] == 0) & np.isfinite(ramp[:, :, y, x])
    steps = np.diff(ramp[:, :, y, x].astype(np.float64), axis=1)
    steps = np.where(usable[:, 1:] & usable[:, :-1], steps, np.nan)
    own = steps[integration, :, np.arange(integration.size)].copy()  # (n, n_groups - 1)
    steps[integration, :, np.arange(integration.size)] = np.nan
    usual = np.zeros(own.shape)
    known = np.isfinite(steps).any(axis=0).T
    usual[known] = np.nanmedian(np.moveaxis(steps, 2, 1)[:, known], axis=0)
    size = np.abs(own - usual)
    size = np.where(np.isfinite(size) & known, size, -1.0)
    ordered = np.sort(size, axis=1)
    single = (ordered[:, -2] >= 0) & (ordered[:, -1] > 3 * ordered[:, -2])
    return np.where(single, size.argmax(axis=1) + 1, 0)
