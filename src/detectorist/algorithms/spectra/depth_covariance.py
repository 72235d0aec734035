"""How the errors of depths at different wavelengths hang together: shared noise, and an orbit that all share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit
from detectorist.algorithms.spectra.light_curve_problem import Unknown


def depth_covariance(
    fits: Sequence[LightCurveFit],
    depth_name: str,
    shared: Sequence[Unknown] = (),
    shared_covariance: np.ndarray | None = None,
) -> np.ndarray:
    """Return the covariance of depths, shape (n_bins, n_bins).

    fits : sequence of LightCurveFit
        One per bin of wavelength, on the same integrations, all with the same values of what is shared.
    depth_name : str
        Which parameter: "depth" or "eclipse_depth".
    shared : sequence of Unknown
        What was held in these fits, but is known with a covariance only: the orbit.
    shared_covariance : ndarray of float, shape (n_shared, n_shared)

    Notes
    -----
    sigma_j sigma_k rho_jk + H_j S H_k^T: with rho the correlation of whitened residuals, S the covariance of what is
    shared and H the derivative of a fitted depth by it. It is the marginal covariance of a joint fit, in which the
    estimate of the orbit and those of depths at a given orbit are independent.
    """
    sigma = np.array([fit.error(depth_name) for fit in fits])
    covariance = residual_correlation(fits) * np.outer(sigma, sigma)
    if shared and shared_covariance is not None:
        response = np.array([depth_response(fit, depth_name, shared) for fit in fits])
        covariance += response @ shared_covariance @ response.T
    return covariance


def depth_response(fit: LightCurveFit, depth_name: str, shared: Sequence[Unknown]) -> np.ndarray:
    """Return by how much a fitted depth changes with what was held, shape (n_shared,)."""
    problem = fit.problem
    use, n_unknowns = problem.usable, len(problem.unknowns)
    values, coefficients = fit.values[:n_unknowns], fit.values[n_unknowns:]
    columns = [problem.derivative_of_known(unknown, values, coefficients) for unknown in shared]
    rows = np.column_stack([problem.derivatives(values, coefficients), *columns])[use]
    white = fit.noise.whiten(rows, problem.time[use], problem.error[use])[0]
    n = len(problem.names)
    change = -fit.covariance @ (white[:, :n].T @ white[:, n:])
    return change[problem.names.index(depth_name)]


def residual_correlation(fits: Sequence[LightCurveFit]) -> np.ndarray:
    """Return the correlation of residuals between bins, drawn toward their mean correlation as far as it is noise.

    Notes
    -----
    Shrinkage to a constant correlation: Ledoit & Wolf (2004), J. Portfolio Management 30, 110, with the variance of a
    correlation of Gaussian residuals, (1 - rho^2)^2 / n.
    """
    n_bins = len(fits)
    if n_bins == 1:
        return np.ones((1, 1))
    common = np.logical_and.reduce([fit.problem.usable for fit in fits])
    found = np.corrcoef([_white_residuals(fit)[common] for fit in fits])
    other = ~np.eye(n_bins, dtype=bool)
    mean = float(np.clip(found[other].mean(), -1 / n_bins, 1.0))
    sampling = float(((1 - found[other] ** 2) ** 2).sum() / max(int(common.sum()), 1))
    spread = float(((found[other] - mean) ** 2).sum())
    weight = min(1.0, sampling / spread) if spread > 0 else 1.0
    target = np.where(other, mean, 1.0)
    return weight * target + (1 - weight) * found


def _white_residuals(fit: LightCurveFit) -> np.ndarray:
    """Return whitened residuals, shape (n_ints,); NaN for integrations left out."""
    problem = fit.problem
    use = problem.usable
    white = np.full(use.size, np.nan)
    white[use] = fit.noise.whiten(fit.residuals[use, None], problem.time[use], problem.error[use])[0][:, 0]
    return white
