"""Covariance of the errors of depths at different wavelengths: shared noise, and a common orbit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit, inverse_information
from detectorist.algorithms.spectra.light_curve_problem import Unknown
from detectorist.algorithms.spectra.red_noise import red_covariance
from detectorist.errors import InputError


def depth_covariance(
    fits: Sequence[LightCurveFit],
    depth_name: str,
    shared: Sequence[Unknown] = (),
    shared_covariance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the covariance of depths, shape (n_bins, n_bins).

    fits : sequence of LightCurveFit
        One per bin of wavelength, on the same times, all with the same values of what is shared.
    depth_name : str
        Which parameter: "depth" or "eclipse_depth".
    shared : sequence of Unknown
        What was held fixed in these fits, but has a covariance itself: the orbit.
    shared_covariance : ndarray of float, shape (n_shared, n_shared)

    Raises
    ------
    InputError
        When the data of a bin do not determine its depth, or residuals are not finite.

    Notes
    -----
    sigma_j sigma_k rho_jk + H_j S H_k^T: with rho the correlation of the depths' own errors, S the covariance of what
    is shared and H the derivative of a fitted depth by it. It is the marginal covariance of a joint fit, in which the
    estimate of the orbit and those of depths at a given orbit are independent. The variance of a depth is part white
    noise and part red; each part has its own correlation between bins.
    """
    sigma = np.array([fit.error(depth_name) for fit in fits])
    unknown = np.flatnonzero(~(np.isfinite(sigma) & (sigma > 0)))
    if unknown.size:
        raise InputError(
            f"the light curves of bins {', '.join(str(k + 1) for k in unknown)} of {sigma.size} do not determine "
            f"their {depth_name}: use fewer bins, or check the orbit",
            bins=unknown.tolist(),
        )
    covariance = _own_correlation(fits, depth_name) * np.outer(sigma, sigma)
    if shared and shared_covariance is not None:
        response = np.array([depth_response(fit, depth_name, shared) for fit in fits])
        covariance += response @ shared_covariance @ response.T
    if not np.isfinite(covariance).all():
        raise InputError("the residuals of some bins are all zero or not finite: their correlation is unknown")
    return covariance


def least_eigenvalue(covariance: np.ndarray) -> float:
    """Return the least eigenvalue of the correlation: near 0, errors are fully correlated and there is no inverse."""
    sigma = np.sqrt(np.diag(covariance))
    return float(np.linalg.eigvalsh(covariance / np.outer(sigma, sigma)).min())


def _own_correlation(fits: Sequence[LightCurveFit], depth_name: str) -> np.ndarray:
    weights = [_weights_of_depth(fit, depth_name) for fit in fits]
    shares = [_red_share(fit, one) for fit, one in zip(fits, weights, strict=True)]
    red = np.array(shares)
    correlation = white_correlation(fits) * np.sqrt(np.outer(1 - red, 1 - red))
    correlation += red_correlation(fits) * _overlap(fits, weights) * np.sqrt(np.outer(red, red))
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _weights_of_depth(fit: LightCurveFit, depth_name: str) -> np.ndarray:
    """Return the weights with which a depth is a sum of the data, shape (n_ints,); 0 for integrations left out."""
    problem, use = fit.problem, fit.problem.usable
    n_unknowns, place = len(problem.unknowns), problem.names.index(depth_name)
    time, error = problem.time[use], problem.error[use]
    rows = problem.derivatives(fit.values[:n_unknowns], fit.values[n_unknowns:])[use]
    white = fit.noise.whiten(rows, time, error)[0]
    weights = np.zeros(use.size)
    weights[use] = fit.noise.weights_of_data(white @ inverse_information(white)[place], time, error)
    return weights


def _red_share(fit: LightCurveFit, weights: np.ndarray) -> float:
    """Return the part of a depth's variance that is due to red noise."""
    red = fit.noise.red**2 * red_covariance(weights[:, None], fit.problem.time, fit.noise.time_scale_d)[0, 0]
    white = ((fit.noise.scale * fit.problem.error * weights) ** 2).sum()
    return float(red / (red + white))


def _overlap(fits: Sequence[LightCurveFit], weights: Sequence[np.ndarray]) -> np.ndarray:
    """Return how the errors of depths would be correlated if all bins had the same red noise: 1 for equal weights.

    Bins differ in what is known of their noise, and so in how they weigh the same fluctuation.
    """
    with_red = [fit.noise.time_scale_d for fit in fits if fit.noise.red > 0]
    time_scale = float(np.median(with_red or [1.0]))
    covariance = red_covariance(np.transpose(weights), fits[0].problem.time, time_scale)
    sigma = np.sqrt(np.diag(covariance))
    return covariance / np.outer(sigma, sigma)


def depth_response(fit: LightCurveFit, depth_name: str, shared: Sequence[Unknown]) -> np.ndarray:
    """Return the derivative of a fitted depth with respect to the values held fixed, shape (n_shared,)."""
    problem = fit.problem
    use, n_unknowns = problem.usable, len(problem.unknowns)
    values, coefficients = fit.values[:n_unknowns], fit.values[n_unknowns:]
    columns = [problem.derivative_of_known(unknown, values, coefficients) for unknown in shared]
    rows = np.column_stack([problem.derivatives(values, coefficients), *columns])[use]
    white = fit.noise.whiten(rows, problem.time[use], problem.error[use])[0]
    n = len(problem.names)
    change = -fit.covariance @ (white[:, :n].T @ white[:, n:])
    return change[problem.names.index(depth_name)]


def white_correlation(fits: Sequence[LightCurveFit]) -> np.ndarray:
    """Return the correlation of the white noise of bins, shrunk toward its mean by its own uncertainty.

    Notes
    -----
    Steps from one integration to the next contain hardly any red noise. Shrinkage to a constant correlation: Ledoit &
    Wolf (2004), J. Portfolio Management 30, 110, with the variance of a correlation of Gaussian noise, (1 - rho^2)^2 /
    n; steps are correlated by -1/2 with the next, and count 2/3.
    """
    n_bins = len(fits)
    if n_bins == 1:
        return np.ones((1, 1))
    steps = np.diff(_residuals(fits), axis=1)
    found = np.corrcoef(steps)
    other = ~np.eye(n_bins, dtype=bool)
    mean = float(np.clip(found[other].mean(), -1 / n_bins, 1.0))
    sampling = float(((1 - found[other] ** 2) ** 2).sum() / max(steps.shape[1] * 2 / 3, 1))
    spread = float(((found[other] - mean) ** 2).sum())
    weight = min(1.0, sampling / spread) if spread > 0 else 1.0
    return weight * np.where(other, mean, 1.0) + (1 - weight) * found


def red_correlation(fits: Sequence[LightCurveFit]) -> np.ndarray:
    """Return the correlation of the red noise of bins: one number for all pairs, 1 for each with itself.

    It is the mean covariance between bins over that within bins, at lags from one integration to the time scale of the
    noise, at which white noise has none.
    """
    n_bins = len(fits)
    if n_bins == 1:
        return np.ones((1, 1))
    residuals = _residuals(fits)
    time = fits[0].problem.time
    cadence = float(np.median(np.diff(time)))
    scale = float(np.median([fit.noise.time_scale_d for fit in fits if fit.noise.red > 0] or [cadence]))
    n_lags = int(np.clip(round(scale / cadence), 1, residuals.shape[1] // 4))
    total = residuals / residuals.std(axis=1, keepdims=True)
    common = total.sum(axis=0)
    within = sum(float((total[:, lag:] * total[:, :-lag]).sum()) for lag in range(1, n_lags + 1))
    everything = sum(float((common[lag:] * common[:-lag]).sum()) for lag in range(1, n_lags + 1))
    shared = float(np.clip((everything - within) / ((n_bins - 1) * within), 0.0, 1.0)) if within > 0 else 0.0
    return np.where(np.eye(n_bins, dtype=bool), 1.0, shared)


def _residuals(fits: Sequence[LightCurveFit]) -> np.ndarray:
    """Return the residuals of the integrations that count in all bins, shape (n_bins, n_used)."""
    common = np.logical_and.reduce([fit.problem.usable for fit in fits])
    return np.array([fit.residuals[common] for fit in fits])
