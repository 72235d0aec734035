"""Least squares on a light curve, with a covariance that includes red noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import median_filter
from scipy.optimize import least_squares

from detectorist.algorithms.spectra.light_curve_problem import LightCurveProblem
from detectorist.algorithms.spectra.red_noise import KINDS, PRIOR_WHITE, Noise, NoiseEstimate, fit_noise
from detectorist.errors import InputError, ParameterError

#: Rounds of fitting light curve and noise in turn: the noise hardly changes after the second. More follow, up to so
#: many, as long as other integrations deviate: the first fits are not good enough to be judged by.
N_ROUNDS, MOST_ROUNDS = 3, 8
#: Integrations of a running median, and standard deviations from it beyond which a spike is left out before any fit.
SPIKE_WINDOW, SPIKE_SIGMA = 7, 8.0
#: Standard deviations beyond which the first fit counts deviations linearly.
ROBUST_SIGMA = 3.0
#: Rounds in which the lever of an unknown with a mirror and its error are found.
N_LEVERS = 8
#: Singular values below this part of the largest say that data do not tell a combination of parameters.
RCOND = 1e-9


@dataclass(frozen=True)
class LightCurveFit:
    """The fit of a light curve.

    Attributes
    ----------
    problem : LightCurveProblem
        `problem.usable` is True for the integrations that were used.
    values : ndarray of float, shape (n_parameters,)
        In the order of `problem.names`: unknowns, then coefficients of the baseline.
    covariance : ndarray of float, shape (n_parameters, n_parameters)
        Averaged over likely noise models, weighted by probability: it includes the uncertainty of the noise.
    noise : Noise
        The most likely.
    estimate : NoiseEstimate
        All that are likely.
    planet, baseline, model, residuals : ndarray of float, shape (n_ints,)
        Flux of star and planet, what multiplies it, their product, data minus model.
    chi2 : float
        Of the integrations that counted, with the stated errors.
    n_free : int
        Degrees of freedom.
    """

    problem: LightCurveProblem
    values: np.ndarray
    covariance: np.ndarray
    noise: Noise
    estimate: NoiseEstimate
    planet: np.ndarray
    baseline: np.ndarray
    model: np.ndarray
    residuals: np.ndarray
    chi2: float
    n_free: int

    def value(self, name: str) -> float:
        """Return a parameter, fitted or held."""
        names = self.problem.names
        return float(self.values[names.index(name)] if name in names else self.problem.known[name])

    def error(self, name: str) -> float:
        """Return the standard deviation of a parameter; 0 when it was held."""
        names = self.problem.names
        return float(np.sqrt(self.covariance[(names.index(name),) * 2])) if name in names else 0.0


def fit_light_curve(problem: LightCurveProblem, *, noise: str = "red", clip_sigma: float = 5.0) -> LightCurveFit:
    """Fit a light curve by generalised least squares, with the noise estimated from the residuals.

    noise : {"red", "white", "stated"}
        "stated": the errors as given. "white": scaled to the scatter. "red": an Ornstein-Uhlenbeck process is added.
    clip_sigma : float
        Integrations that deviate by more than this many robust standard deviations of the residuals are left out.

    Raises
    ------
    ParameterError
        When `noise` is unknown.
    InputError
        When there are no more integrations than parameters.
    """
    if noise not in KINDS:
        raise ParameterError(f"noise is {noise!r}; {', '.join(KINDS)} are known")
    values = np.array([unknown.start for unknown in problem.unknowns], float)
    if clip_sigma > 0:
        problem = replace(problem, used=problem.usable & ~_spikes(problem, max(clip_sigma, SPIKE_SIGMA)))
    without_spikes = problem.usable
    found = NoiseEstimate(Noise())
    for number in range(MOST_ROUNDS):
        _require_enough(problem)
        values, coefficients = _solve(problem, values, found.best(PRIOR_WHITE), robust=number == 0 and clip_sigma > 0)
        residuals = problem.flux - problem.linear(values) @ coefficients
        before = problem.usable
        if clip_sigma > 0 and number < MOST_ROUNDS - 1:
            problem = replace(problem, used=without_spikes & ~_deviating(residuals, without_spikes, clip_sigma))
        use = problem.usable
        last = number == MOST_ROUNDS - 1 or (number >= N_ROUNDS - 1 and bool((use == before).all()))
        derivatives = problem.derivatives(values, coefficients)
        found = fit_noise(
            residuals[use],
            derivatives[use],
            problem.time[use],
            problem.error[use],
            kind=noise,
            n_refined=2 if last else 0,
        )
        if last:
            break
    return _conclude(problem, *_solve(problem, values, found.best(PRIOR_WHITE)), found, PRIOR_WHITE)


def weigh_noise_anew(fit: LightCurveFit, prior_white: float) -> LightCurveFit:
    """Return a fit with another prior probability that there is no red noise, as obtained from many light curves."""
    n_unknowns = len(fit.problem.unknowns)
    start = fit.values[:n_unknowns]
    return _conclude(
        fit.problem, *_solve(fit.problem, start, fit.estimate.best(prior_white)), fit.estimate, prior_white
    )


def _require_enough(problem: LightCurveProblem) -> None:
    n_parameters, n_used = len(problem.names), int(problem.usable.sum())
    if n_used <= n_parameters:
        raise InputError(
            f"{n_used} integrations for {n_parameters} parameters ({', '.join(problem.names)}): fit fewer of them",
            n_integrations=n_used,
            n_parameters=n_parameters,
        )


def _spikes(problem: LightCurveProblem, clip_sigma: float) -> np.ndarray:
    """Return integrations that deviate from the running median of their exposure, shape (n_ints,).

    What is left after that holds no event longer than a few integrations: neither model nor errors are needed. Where
    the flux rises or falls steadily an integration is the median of its neighbours: noise is told from second
    differences there.
    """
    left, steps = np.zeros(problem.flux.size), [np.zeros(0)]
    for number in np.unique(problem.exposure):
        inside = problem.exposure == number
        left[inside] = problem.flux[inside] - median_filter(problem.flux[inside], SPIKE_WINDOW, mode="nearest")
        steps.append(np.diff(problem.flux[inside & problem.usable], 2) / np.sqrt(6))
    noise = _width(np.concatenate(steps)) if sum(map(len, steps)) else 0.0
    return _deviating(left, problem.usable, clip_sigma, least_width=noise)


def _deviating(residuals: np.ndarray, usable: np.ndarray, clip_sigma: float, *, least_width: float = 0.0) -> np.ndarray:
    width = max(_width(residuals[usable]), least_width)
    return np.abs(residuals - np.median(residuals[usable])) > clip_sigma * width


def _width(values: np.ndarray) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def solve_linear(problem: LightCurveProblem, values: np.ndarray, noise: Noise) -> tuple[np.ndarray, float, float]:
    """Return (coefficients of the baseline, chi2, log-determinant of their information) for given unknowns."""
    use = problem.usable
    linear = problem.linear(values)[use]
    columns = np.column_stack([linear, problem.flux[use]])
    white, _ = noise.whiten(columns, problem.time[use], problem.error[use])
    coefficients, _, _, singular = np.linalg.lstsq(white[:, :-1], white[:, -1], rcond=None)
    left = white[:, -1] - white[:, :-1] @ coefficients
    return coefficients, float(left @ left), float(2 * np.log(np.maximum(singular, 1e-300)).sum())


def prior_terms(problem: LightCurveProblem, values: np.ndarray) -> np.ndarray:
    """Return the deviations of the unknowns from their priors in standard deviations, shape (n_priors,)."""
    pairs = zip(problem.unknowns, values, strict=True)
    return np.array([(value - u.prior[0]) / u.prior[1] for u, value in pairs if u.prior is not None])


def _prior_rows(problem: LightCurveProblem, n_columns: int) -> np.ndarray:
    known = [(k, u.prior) for k, u in enumerate(problem.unknowns) if u.prior is not None]
    rows = np.zeros((len(known), n_columns))
    for row, (k, prior) in zip(rows, known, strict=True):
        row[k] = 1 / prior[1]
    return rows


def _solve(
    problem: LightCurveProblem, values: np.ndarray, noise: Noise, *, robust: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return (unknowns, coefficients of the baseline) of least chi2.

    robust : bool
        Deviations count linearly beyond a few standard deviations: outliers would pull the first fit into a minimum
        that no later one leaves.
    """
    coefficients = solve_linear(problem, values, noise)[0]
    use, n_unknowns = problem.usable, len(values)
    low, high = problem.bounds()
    margin = 1e-6 * (high - low)
    # The search sees steps from its start: a Julian date of 2.4 million days would hide all other parameters from its
    # test of convergence.
    origin = np.clip(problem.place_of(values), low + margin, high - margin)

    def split(point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return problem.values_at(origin + point[:n_unknowns]), point[n_unknowns:]

    def deviations(point: np.ndarray) -> np.ndarray:
        values, coefficients = split(point)
        left = (problem.linear(values) @ coefficients - problem.flux)[use]
        white = noise.whiten(left[:, None], problem.time[use], problem.error[use])[0][:, 0]
        return np.concatenate([white, prior_terms(problem, values)])

    def jacobian(point: np.ndarray) -> np.ndarray:
        rows = problem.derivatives(*split(point), in_cube=True)[use]
        white = noise.whiten(rows, problem.time[use], problem.error[use])[0]
        return np.vstack([white, _prior_rows(problem, white.shape[1])])

    unbounded = np.full(coefficients.size, np.inf)
    bounds = (np.concatenate([low - origin, -unbounded]), np.concatenate([high - origin, unbounded]))
    point = np.concatenate([np.zeros(n_unknowns), coefficients])
    loss = {"loss": "soft_l1", "f_scale": ROBUST_SIGMA} if robust else {}
    fit = least_squares(deviations, point, jacobian, bounds=bounds, x_scale="jac", max_nfev=200, **loss)
    return split(fit.x)


def _conclude(
    problem: LightCurveProblem,
    values: np.ndarray,
    coefficients: np.ndarray,
    estimate: NoiseEstimate,
    prior_white: float,
) -> LightCurveFit:
    best = estimate.best(prior_white)
    n_unknowns, use = len(values), problem.usable
    problem = _with_levers(problem, values, coefficients, best)
    change, covariance = _over_all_noises(problem, values, coefficients, *estimate.members(prior_white), best)
    values = problem.within_bounds(problem.moved(values, change[:n_unknowns]))
    coefficients = solve_linear(problem, values, best)[0]  # not the mean: terms that nearly cancel must fit each other
    planet, columns = problem.parts(values)
    baseline = columns @ coefficients
    residuals = problem.flux - planet * baseline
    return LightCurveFit(
        problem,
        np.concatenate([values, coefficients]),
        covariance,
        best,
        estimate,
        planet,
        baseline,
        planet * baseline,
        residuals,
        float(((residuals / problem.error)[use] ** 2).sum()),
        int(use.sum()) - len(problem.names),
    )


def _with_levers(
    problem: LightCurveProblem, values: np.ndarray, coefficients: np.ndarray, noise: Noise
) -> LightCurveProblem:
    """Return the problem with levers for unknowns that have a mirror.

    At the mirror, a squared distance known to lever * sigma is a distance known to sigma = lever; far from it, the
    lever is twice the distance. In between, the two are added in quadrature; sigma depends on the lever in turn.
    """
    for k, unknown in enumerate(problem.unknowns):
        if unknown.mirror is None:
            continue
        distance = unknown.mirror - values[k]
        lever = max(2 * distance, unknown.step)
        for _ in range(N_LEVERS):
            problem = problem.with_unknown(k, replace(unknown, lever=float(lever)))
            lever = np.sqrt(lever * np.hypot(2 * distance, _error_of(problem, values, coefficients, noise, k)))
    return problem


def _error_of(problem: LightCurveProblem, values: np.ndarray, coefficients: np.ndarray, noise: Noise, k: int) -> float:
    use = problem.usable
    rows = problem.derivatives(values, coefficients)
    white = noise.whiten(rows[use], problem.time[use], problem.error[use])[0]
    return float(np.sqrt(inverse_information(np.vstack([white, _prior_rows(problem, rows.shape[1])]))[k, k]))


def _over_all_noises(
    problem: LightCurveProblem,
    values: np.ndarray,
    coefficients: np.ndarray,
    members: Sequence[Noise],
    weights: np.ndarray,
    best: Noise,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (mean change of the parameters, covariance) over noises weighted by their probability.

    The model is linear over changes of this size.
    """
    use = problem.usable
    rows = problem.derivatives(values, coefficients)
    n = rows.shape[1]
    columns = np.column_stack([rows, problem.flux - problem.linear(values) @ coefficients])[use]
    prior = _prior_rows(problem, n)
    n_unknowns = len(values)
    changes, covariances = [], []
    for member in members:
        white = member.whiten(columns, problem.time[use], problem.error[use])[0]
        triangle = np.linalg.qr(white, mode="r")
        covariance = inverse_information(np.vstack([triangle[:n, :n], prior]))
        pull = triangle[:n, :n].T @ triangle[:n, n] - prior.T @ prior_terms(problem, values[:n_unknowns])
        changes.append(covariance @ pull)
        covariances.append(covariance)
    steps = np.array(changes) - changes[members.index(best)]  # the best is solved for: what it still asks is at a bound
    mean = weights @ steps
    off = steps - mean
    return mean, np.einsum("m,mij->ij", weights, covariances) + np.einsum("m,mi,mj->ij", weights, off, off)


def inverse_information(rows: np.ndarray) -> np.ndarray:
    """Return inverse(rows.T @ rows); combinations that the data do not constrain are held fixed."""
    scale = np.linalg.norm(rows, axis=0)
    scale[scale == 0] = 1.0
    _, singular, right = np.linalg.svd(rows / scale, full_matrices=False)
    kept = singular > RCOND * singular[0]
    half = right[kept] / singular[kept, None] / scale
    return half.T @ half
