"""Noise of light curves that is not white: its strength and time scale, and what it does to binned residuals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from detectorist.algorithms.spectra import _red_noise_nb as kernels

#: How noise may be described: errors as stated; scaled to the scatter; scaled, with red noise added.
KINDS = ("stated", "white", "red")
#: Ratios of red to white variance, and time scales in units of the cadence, from which the search starts.
_START_RATIOS, _START_CADENCES = (0.03, 0.3), (3.0, 30.0, 300.0)


@dataclass(frozen=True)
class Noise:
    """White noise of known relative size, and an Ornstein-Uhlenbeck process.

    Attributes
    ----------
    scale : float
        Standard deviation of the white noise over the stated errors.
    red : float
        Standard deviation of the red noise, unit of the flux; 0 for none.
    time_scale_d : float
        Its covariance falls as exp(-|dt| / time_scale_d).
    """

    scale: float = 1.0
    red: float = 0.0
    time_scale_d: float = 1.0

    def whiten(self, columns: np.ndarray, time: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
        """Return columns whose noise is white with variance 1, and the log-determinant of the noise's covariance.

        columns : ndarray of float, shape (n_ints, n_columns)
            Residuals, derivatives: whitening is linear, the same for all.
        time, error : ndarray of float, shape (n_ints,)
            Days, ascending; stated standard deviations.

        Notes
        -----
        The innovations of a Kalman filter (Harvey 1989, section 3.4): exact, for any spacing, linear in n_ints.
        """
        columns = np.ascontiguousarray(columns, float)
        variance = (self.scale * np.asarray(error, float)) ** 2
        step = np.diff(time, prepend=time[0])
        return kernels.whiten(columns, variance, step, self.red**2, self.time_scale_d)


def fit_noise(
    residuals: np.ndarray, derivatives: np.ndarray, time: np.ndarray, error: np.ndarray, *, kind: str = "red"
) -> Noise:
    """Return the noise of residuals by restricted maximum likelihood: what the fit has taken away is accounted for.

    residuals, time, error : ndarray of float, shape (n_ints,)
        Data minus model, days (ascending), stated errors.
    derivatives : ndarray of float, shape (n_ints, n_parameters)
        Of the model by what was fitted.
    kind : {"red", "white", "stated"}

    Notes
    -----
    Patterson & Thompson (1971), Biometrika 58, 545. The overall scale follows from the residuals; ratio of red to
    white variance and time scale are searched for. The time scale stays between the cadence and a third of the time
    covered: slower noise is a baseline's.
    """
    if kind == "stated":
        return Noise()
    n_free = max(residuals.size - derivatives.shape[1], 1)
    columns = np.column_stack([derivatives, residuals])
    cadence, span = float(np.median(np.diff(time))), float(np.ptp(time))
    typical = float(np.median(error))

    def scaled(noise: Noise) -> tuple[float, float]:
        """Return (minus twice the log-likelihood, factor on all of this noise)."""
        white, log_determinant = noise.whiten(columns, time, error)
        triangle = np.linalg.qr(white, mode="r")
        pivots = np.abs(np.diag(triangle))
        factor = pivots[-1] ** 2 / n_free
        return n_free * np.log(factor) + log_determinant + 2 * np.log(pivots[:-1] + 1e-300).sum(), factor

    def noise_at(place: np.ndarray) -> Noise:
        return Noise(1.0, typical * np.exp(0.5 * place[0]), float(np.exp(place[1])))

    if kind == "white" or span < 4 * cadence:
        return Noise(float(np.sqrt(scaled(Noise())[1])))
    bounds = [(np.log(1e-6), np.log(1e3)), (np.log(cadence), np.log(max(span / 3, 2 * cadence)))]
    starts = [np.log([ratio, min(count * cadence, span / 4)]) for ratio in _START_RATIOS for count in _START_CADENCES]
    start = min(starts, key=lambda place: scaled(noise_at(place))[0])
    found = minimize(lambda place: scaled(noise_at(place))[0], start, method="Nelder-Mead", bounds=bounds)
    best = noise_at(found.x)
    factor = np.sqrt(scaled(best)[1])
    return Noise(float(factor), float(factor * best.red), best.time_scale_d)


@dataclass(frozen=True)
class BinnedScatter:
    """How the scatter of residuals falls with the size of bins.

    Attributes
    ----------
    sizes : ndarray of int, shape (n_sizes,)
        Integrations per bin.
    scatter, scatter_error : ndarray of float, shape (n_sizes,)
        Standard deviation of the means of bins, and its own.
    allan : ndarray of float, shape (n_sizes,)
        Allan deviation: from differences of neighbouring bins, blind to slow trends.
    white : ndarray of float, shape (n_sizes,)
        What independent residuals would give.
    """

    sizes: np.ndarray
    scatter: np.ndarray
    scatter_error: np.ndarray
    allan: np.ndarray
    white: np.ndarray

    def beta(self, size: float) -> float:
        """Return the scatter over that of white noise for bins of about `size` integrations, at least 1.

        The mean over sizes between half and twice that: Winn et al. (2008), ApJ 683, 1076, section 4.
        """
        near = (self.sizes >= 0.5 * size) & (self.sizes <= 2 * size)
        if not near.any():
            near = self.sizes == self.sizes[np.argmin(np.abs(self.sizes - size))]
        return max(1.0, float(np.mean(self.scatter[near] / self.white[near])))


def bin_scatter(residuals: np.ndarray, exposure: np.ndarray, *, least_bins: int = 6) -> BinnedScatter:
    """Return the scatter of binned residuals for bins of 1, 2, 3, 4, 6, 8, ... integrations.

    residuals : ndarray of float, shape (n_ints,)
    exposure : ndarray of int, shape (n_ints,)
        No bin reaches over the end of an exposure.
    least_bins : int
        Larger bins than leave this many are left out.
    """
    sizes = np.unique(np.round(2 ** np.arange(0, 14, 0.5)).astype(int))
    rows = []
    for size in sizes:
        parts = [_bin_means(residuals[exposure == number], size) for number in np.unique(exposure)]
        means = np.concatenate(parts)
        if means.size < least_bins:
            break
        steps = np.concatenate([np.diff(part) for part in parts])
        n = means.size
        white = residuals.std() / np.sqrt(size) * np.sqrt(n / (n - 1))
        scatter = means.std(ddof=1)
        rows.append((size, scatter, scatter / np.sqrt(2 * (n - 1)), np.sqrt(0.5 * np.mean(steps**2)), white))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return BinnedScatter(*columns)


def _bin_means(values: np.ndarray, size: int) -> np.ndarray:
    n_bins = values.size // size
    return values[: n_bins * size].reshape(n_bins, size).mean(axis=1)
