"""Noise of light curves that is not white: its strength and time scale, and its effect on binned residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectorist.algorithms.spectra import _red_noise_nb as kernels

#: How noise may be described: errors as stated; scaled to the scatter; scaled, with red noise added.
KINDS = ("stated", "white", "red")
#: Standard deviations of red over white noise that are considered.
RED_OVER_WHITE = (1e-2, 30.0)
#: Probability that a light curve has no red noise, before it was looked at.
PRIOR_WHITE = 0.3
#: Places along either axis of the grid, and how much less likely (in minus twice the logarithm) places may be that are
#: still looked at.
_N_PLACES, _LEAST_LIKELY = 9, 14.0


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

    def weights_of_data(self, weights: np.ndarray, time: np.ndarray, error: np.ndarray) -> np.ndarray:
        """Return the weights of the data in a sum that has `weights` on whitened data, shape (n_ints,)."""
        variance = (self.scale * np.asarray(error, float)) ** 2
        step = np.diff(time, prepend=time[0])
        return kernels.whiten_transposed(weights, variance, step, self.red**2, self.time_scale_d)


def red_covariance(weights: np.ndarray, time: np.ndarray, time_scale_d: float) -> np.ndarray:
    """Return the covariance of weighted sums of one series of red noise of variance 1, shape (n_sums, n_sums).

    weights : ndarray of float, shape (n_ints, n_sums)
    """
    weights = np.ascontiguousarray(weights, float)
    return weights.T @ kernels.exponential_product(weights, np.diff(time, prepend=time[0]), time_scale_d)


@dataclass(frozen=True)
class NoiseEstimate:
    """Noise models allowed by the residuals: several, since few time scales fit into a light curve.

    Attributes
    ----------
    white : Noise
        Without red noise.
    red : tuple of Noise
        Likely ones with red noise.
    weights : ndarray of float, shape (n_red,)
        Their relative probabilities; they sum to 1.
    evidence : float
        Probability of the residuals with red noise of any strength, over that without.
    """

    white: Noise
    red: tuple[Noise, ...] = ()
    weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    evidence: float = 0.0

    def probability_white(self, prior: float) -> float:
        """Return the probability that there is no red noise, given what it was before the data."""
        return prior / (prior + (1 - prior) * self.evidence) if self.red else 1.0

    def members(self, prior: float) -> tuple[tuple[Noise, ...], np.ndarray]:
        """Return all likely noises and their probabilities, for a prior probability that there is no red noise."""
        probability = self.probability_white(prior)
        return (self.white, *self.red), np.append(probability, (1 - probability) * self.weights)

    def best(self, prior: float) -> Noise:
        """Return the most likely noise."""
        white = not self.red or self.probability_white(prior) > 0.5
        return self.white if white else self.red[int(np.argmax(self.weights))]


def fit_noise(
    residuals: np.ndarray,
    derivatives: np.ndarray,
    time: np.ndarray,
    error: np.ndarray,
    *,
    kind: str = "red",
    n_refined: int = 2,
) -> NoiseEstimate:
    """Return the noise of residuals by restricted likelihood, which accounts for the noise absorbed by the fit.

    residuals, time, error : ndarray of float, shape (n_ints,)
        Data minus model, days (ascending), stated errors.
    derivatives : ndarray of float, shape (n_ints, n_parameters)
        Of the model by what was fitted.
    kind : {"red", "white", "stated"}
    n_refined : int
        How often the grid is refined; 0 for a first guess.

    Notes
    -----
    Patterson & Thompson (1971), Biometrika 58, 545. The overall scale follows from the residuals. The ratio r of red to
    white noise and the time scale lie on a grid that is refined where they are likely. Prior: 1 / (1 + r)^2, flat as
    long as white noise prevails; flat in the logarithm of the time scale, from the cadence to a third of the time
    covered, since slower noise is absorbed by the baseline.
    """
    columns = np.column_stack([derivatives, residuals])
    if kind == "stated":
        return NoiseEstimate(Noise())
    without, white = _scaled(Noise(), columns, time, error)
    cadence, span = float(np.median(np.diff(time))), float(np.ptp(time))
    if kind == "white" or span < 12 * cadence:
        return NoiseEstimate(white)
    typical = float(np.median(error))
    edges = np.log([RED_OVER_WHITE, (cadence, span / 3)])
    for number in range(n_refined + 1):
        ratios, scales = (np.linspace(*edge, _N_PLACES) for edge in edges)
        places = [Noise(1.0, typical * np.exp(ratio), np.exp(scale)) for ratio in ratios for scale in scales]
        found = [_scaled(noise, columns, time, error) for noise in places]
        prior = ratios - 2 * np.log1p(np.exp(ratios))
        unlikely = np.reshape([one[0] for one in found], (_N_PLACES, _N_PLACES)) - 2 * prior[:, None]
        excess = unlikely - unlikely.min()
        if number < n_refined:
            edges = np.array([_reach(ratios, excess.min(axis=1)), _reach(scales, excess.min(axis=0))])
    weights = np.exp(-0.5 * excess.ravel())
    cell = (ratios[1] - ratios[0]) * (scales[1] - scales[0]) / np.log(span / 3 / cadence)
    evidence = float(np.exp(np.clip(0.5 * (without - unlikely.min()), -50, 50)) * weights.sum() * cell)
    kept = excess.ravel() < _LEAST_LIKELY
    members = tuple(one[1] for one, keep in zip(found, kept, strict=True) if keep)
    return NoiseEstimate(white, members, weights[kept] / weights[kept].sum(), evidence)


def share_without_red_noise(estimates: Sequence[NoiseEstimate]) -> float:
    """Return the fraction of light curves without red noise: many together constrain it better than a single one.

    Expectation and maximisation, with a light prior toward the default.
    """
    share = PRIOR_WHITE
    for _ in range(100):
        total = sum(estimate.probability_white(share) for estimate in estimates)
        share = (total + PRIOR_WHITE) / (len(estimates) + 1)
    return float(share)


def restricted_likelihood(columns: np.ndarray, log_determinant: float) -> tuple[float, float]:
    """Return (minus twice the logarithm of the restricted likelihood, factor by which the noise must be larger).

    columns : ndarray of float, shape (n_ints, n_parameters + 1)
        Derivatives and residuals, whitened by a noise whose overall scale is free.
    log_determinant : float
        Of that noise's covariance.
    """
    n_free = max(columns.shape[0] - columns.shape[1] + 1, 1)
    pivots = np.abs(np.diag(np.linalg.qr(columns, mode="r")))
    variance = pivots[-1] ** 2 / n_free
    return n_free * np.log(variance) + log_determinant + 2 * np.log(pivots[:-1] + 1e-300).sum(), np.sqrt(variance)


def _scaled(noise: Noise, columns: np.ndarray, time: np.ndarray, error: np.ndarray) -> tuple[float, Noise]:
    """Return the negative log-likelihood of a noise of this shape, and the noise scaled to the residuals."""
    likelihood, factor = restricted_likelihood(*noise.whiten(columns, time, error))
    return likelihood, Noise(float(factor * noise.scale), float(factor * noise.red), float(noise.time_scale_d))


def _reach(places: np.ndarray, unlikely: np.ndarray) -> tuple[float, float]:
    """Return between which places something is likely, one step further on either side."""
    likely = np.flatnonzero(unlikely < _LEAST_LIKELY)
    return places[max(likely[0] - 1, 0)], places[min(likely[-1] + 1, places.size - 1)]


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
