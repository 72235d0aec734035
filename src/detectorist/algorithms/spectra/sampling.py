"""The posterior of a light curve's unknowns by nested sampling (dynesty), where Gaussian errors are in doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit, solve_linear
from detectorist.algorithms.spectra.light_curve_problem import LightCurveProblem

#: Half-width of a flat prior in standard deviations of least squares: wide enough to hold all of a posterior.
PRIOR_SIGMAS = 12.0


@dataclass(frozen=True)
class Posterior:
    """Samples of equal weight.

    Attributes
    ----------
    names : tuple of str
    samples : ndarray of float, shape (n_samples, n_unknowns)
    log_evidence, log_evidence_error : float
        Natural logarithm, the coefficients of the baseline integrated out.
    """

    names: tuple[str, ...]
    samples: np.ndarray
    log_evidence: float
    log_evidence_error: float

    def median(self, name: str) -> float:
        """Return the median of an unknown."""
        return float(np.median(self.samples[:, self.names.index(name)]))

    def interval(self, name: str) -> tuple[float, float]:
        """Return how far the 15.87 and 84.13 % quantiles lie from the median: (below, above), both positive."""
        low, middle, high = np.quantile(self.samples[:, self.names.index(name)], [0.1587, 0.5, 0.8413])
        return float(middle - low), float(high - middle)


def sample_posterior(
    fit: LightCurveFit,
    *,
    n_live: int = 300,
    seed: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Posterior:
    """Sample the unknowns of a fit; coefficients of the baseline are integrated out, the noise is that of the fit.

    n_live : int
        Live points: the error of a quantile falls with its root.
    progress : callable, optional
        Called with the part done, 0 to 1; what it raises ends the sampling.

    Notes
    -----
    Priors: limb darkening uniform over physical coefficients (Kipping 2013), Gaussian where a prior is given, all
    others flat within 12 standard deviations of least squares and within their bounds. Nested sampling: Speagle (2020),
    MNRAS 493, 3132.
    """
    import dynesty

    transform, likelihood = _PriorTransform(fit), _LogLikelihood(fit)
    sampler = dynesty.NestedSampler(
        likelihood,
        transform,
        len(fit.problem.unknowns),
        nlive=n_live,
        rstate=np.random.default_rng(seed),
    )
    remaining0 = None
    for result in sampler.sample(dlogz=0.05):
        likelihood.require_not_interrupted()
        remaining = float(result[-1] if not hasattr(result, "delta_logz") else result.delta_logz)
        if progress and np.isfinite(remaining):
            remaining0 = remaining if remaining0 is None else max(remaining0, remaining)
            progress(float(np.clip(1 - np.log1p(remaining) / np.log1p(remaining0), 0, 1)) if remaining0 > 0 else 1.0)
    for _ in sampler.add_live_points():
        pass
    results = sampler.results
    cube = results.samples_equal(rstate=np.random.default_rng(seed))
    names = tuple(unknown.name for unknown in fit.problem.unknowns)
    return Posterior(names, cube, float(results.logz[-1]), float(results.logzerr[-1]))


class _PriorTransform:
    """From the unit cube to the unknowns."""

    def __init__(self, fit: LightCurveFit):
        problem = fit.problem
        self._problem = problem
        n = len(problem.unknowns)
        sigma = np.sqrt(np.diag(fit.covariance))[:n]
        low = [unknown.low for unknown in problem.unknowns]
        high = [unknown.high for unknown in problem.unknowns]
        reach = PRIOR_SIGMAS * np.where(sigma > 0, sigma, np.inf)
        self._low = np.maximum(low, fit.values[:n] - reach)
        self._high = np.minimum(high, fit.values[:n] + reach)

    def __call__(self, cube: np.ndarray) -> np.ndarray:
        problem = self._problem
        place = self._low + cube * (self._high - self._low)
        for k, unknown in enumerate(problem.unknowns):
            if unknown.prior is not None:
                place[k] = unknown.prior[0] + unknown.prior[1] * ndtri(cube[k])
        n_plain = len(place) - problem.n_limb_darkening
        place[n_plain:] = cube[n_plain:]
        return problem.values_at(place)


class _LogLikelihood:
    """Log-likelihood of unknowns, the coefficients of the baseline integrated out with flat priors."""

    def __init__(self, fit: LightCurveFit):
        self._problem, self._noise, self._interrupted = fit.problem, fit.noise, False
        self._at_best = self._of(fit.values[: len(fit.problem.unknowns)])

    def __call__(self, values: np.ndarray) -> float:
        if np.isinf(values).any() or not _crosses(self._problem, values):
            return -1e30
        try:
            return self._of(values) - self._at_best
        except KeyboardInterrupt:
            # dynesty would print a traceback of whatever leaves this function.
            self._interrupted = True
            return -1e30

    def require_not_interrupted(self) -> None:
        """Raise KeyboardInterrupt where one came while the likelihood was computed."""
        if self._interrupted:
            raise KeyboardInterrupt

    def _of(self, values: np.ndarray) -> float:
        _, chi2, log_information = solve_linear(self._problem, values, self._noise)
        return -0.5 * (chi2 + log_information)


def _crosses(problem: LightCurveProblem, values: np.ndarray) -> bool:
    """Return whether batman has an orbit to compute."""
    named = {unknown.name: value for unknown, value in zip(problem.unknowns, values, strict=True)}
    return (
        named.get("a_over_rs", 2.0) > 1 and 0 < named.get("inclination_deg", 90.0) <= 90 and named.get("depth", 0) < 1
    )
