"""Light curves from spectra through time, and how noisy they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Wavelengths (micron) of MIRI LRS that carry a useful spectrum (JDox, "MIRI Low Resolution Spectroscopy").
USEFUL_UM = (5.0, 12.0)


@dataclass(frozen=True)
class LightCurve:
    """A light curve relative to its median.

    Attributes
    ----------
    flux : ndarray of float, shape (n_ints,)
        1 in the median.
    error : ndarray of float, shape (n_ints,)
        Standard deviation, same unit.
    """

    flux: np.ndarray
    error: np.ndarray


def hours_since_first(time_mjd: np.ndarray) -> np.ndarray:
    """Return times as hours since the first, shape (n_ints,).

    A few that are unknown lie on the line through those beside them; where fewer than half are known, indices from 0.
    """
    time = np.asarray(time_mjd, float)
    known, number = np.isfinite(time), np.arange(time.size, dtype=float)
    if known.sum() < max(2, 0.5 * time.size):
        return number if not known.all() else 24 * (time - time[0])
    filled = np.interp(number, number[known], time[known])
    cadence = float(np.median(np.diff(time[known]) / np.diff(number[known])))
    first, last = np.flatnonzero(known)[[0, -1]]
    filled[:first] = filled[first] + cadence * (number[:first] - first)
    filled[last + 1 :] = filled[last] + cadence * (number[last + 1 :] - last)
    return 24 * (filled - filled[0])


def sum_wavelengths(
    wavelength: np.ndarray,
    flux: np.ndarray,
    flux_error: np.ndarray,
    *,
    range_um: tuple[float, float] = USEFUL_UM,
) -> LightCurve:
    """Return the sum over a range of wavelengths, divided by its median.

    wavelength : ndarray of float, shape (n_wavelengths,)
        Micron. NaN where unknown: such elements are left out.
    flux, flux_error : ndarray of float, shape (n_ints, n_wavelengths)
        Any unit. A wavelength at which any integration has no flux is left out of all of them, so that the sum covers
        the same wavelengths at all times.

    Raises
    ------
    ValueError
        When no wavelength in the range has flux in all integrations.
    """
    inside = (wavelength >= range_um[0]) & (wavelength <= range_um[1])
    used = inside & np.isfinite(flux).all(axis=0)
    if not used.any():
        raise ValueError(f"no wavelength between {range_um[0]} and {range_um[1]} um has flux in all integrations")
    total = flux[:, used].sum(axis=1, dtype=float)
    error = np.sqrt(np.nansum(flux_error[:, used].astype(float) ** 2, axis=1))
    level = np.median(total)
    return LightCurve(total / level, error / abs(level))


def point_to_point_scatter(flux: np.ndarray) -> Any:
    """Return the standard deviation of light curves from second differences: blind to slopes and slow curvature.

    flux : ndarray of float, shape (n_ints,) or (n_ints, n_curves)
        At least 3 values; NaN where there is none. The second differences of white noise of standard deviation s have
        one of sqrt(6) s. Those beyond five robust standard deviations (outliers, an ingress) are left out.

    Returns a number, or an array (n_curves,); NaN where there are fewer values.
    """
    second = np.abs(flux[2:] - 2 * flux[1:-1] + flux[:-2])
    second = np.where(np.isfinite(second), second, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no values: NaN
        usable = second <= 5 * np.nanmedian(second, axis=0) / 0.6745
        return np.sqrt((np.where(usable, second, 0.0) ** 2).sum(axis=0) / usable.sum(axis=0) / 6)


def scatter_of_bins(
    flux: np.ndarray, *, max_bins: int = 12, least_bins: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (bin sizes, standard deviations of bin means, their errors) for bins of 1, 2, 4, ... integrations.

    flux : ndarray of float, shape (n_ints,)
        A light curve after its transit has been removed: a transit would count as scatter.
    least_bins : int
        Larger bins, of which there would be fewer, are left out.

    White noise falls with the square root of the bin size. The errors are those of normally distributed means.
    """
    sizes, scatters, errors = [], [], []
    for size in 2 ** np.arange(max_bins):
        n_bins = flux.size // size
        if n_bins < least_bins:
            break
        means = flux[: n_bins * size].reshape(n_bins, size).mean(axis=1)
        sizes.append(int(size))
        scatters.append(float(means.std(ddof=1)))
        errors.append(scatters[-1] / np.sqrt(2 * (n_bins - 1)))
    return np.array(sizes), np.array(scatters), np.array(errors)
