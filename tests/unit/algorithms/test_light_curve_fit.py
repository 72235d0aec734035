"""Fits of light curves: truth recovered in units of the error, covariances against dense linear algebra."""

from dataclasses import replace

import numpy as np
import pytest

from detectorist.algorithms.spectra import sampling
from detectorist.algorithms.spectra.baselines import make_baseline
from detectorist.algorithms.spectra.binning import bin_edges, bin_spectra
from detectorist.algorithms.spectra.depth_covariance import depth_covariance, depth_response, least_eigenvalue
from detectorist.algorithms.spectra.light_curve_fit import fit_light_curve
from detectorist.algorithms.spectra.light_curve_problem import LightCurveProblem, Unknown
from detectorist.algorithms.spectra.sampling import sample_posterior
from detectorist.algorithms.spectra.transit_models import Orbit, PlanetModel
from detectorist.errors import InputError, ParameterError

ORBIT = Orbit(2.0, 2459000.1, 7.0, 87.0)
N = 240
TIME = 2459000.0 + np.linspace(0, 0.2, N)
TRUTH = {"depth": 0.012, "u1": 0.1, "u2": 0.1}


def make_problem(
    rng, *, sigma=5e-4, extra=None, unknowns=("depth",), order=1, regressors=None, law="quadratic", inclination=87.0
):
    model = PlanetModel(TIME, ORBIT, law=law)
    flux = model({**TRUTH, "inclination_deg": inclination}) * (1 + 0.001 * (TIME - TIME[0])) + sigma * rng.normal(
        size=N
    )
    flux = flux if extra is None else flux + extra
    exposure = np.ones(N, int)
    known = {**TRUTH, "mid_time": ORBIT.mid_time, "a_over_rs": 7.0, "inclination_deg": inclination}
    limits = {
        "depth": (0.01, -0.5, 0.5, 1e-4),
        "mid_time": (ORBIT.mid_time, ORBIT.mid_time - 0.05, ORBIT.mid_time + 0.05, 1e-5),
        "u1": (0.3, -1, 2, 1e-2),
        "u2": (0.3, -1, 2, 1e-2),
    }
    limits["a_over_rs"] = (7.1, 2, 20, 1e-3)
    limits["inclination_deg"] = (88.5, 45, 90, 1e-2, None, 90.0)
    free = [Unknown(name, *limits[name]) for name in unknowns]
    known = {name: value for name, value in known.items() if name not in unknowns}
    baseline = make_baseline(TIME, exposure, order=order, regressors=regressors)
    return LightCurveProblem(TIME, flux, np.full(N, sigma), exposure, model, baseline, free, known)


@pytest.mark.parametrize("noise", ["stated", "white", "red"])
def test_depth_and_time_in_units_of_their_errors(noise):
    rng = np.random.default_rng(11)
    pulls = []
    for _ in range(40):
        fit = fit_light_curve(make_problem(rng, unknowns=("depth", "mid_time")), noise=noise)
        pulls.append([(fit.value("depth") - 0.012) / fit.error("depth")])
        pulls[-1].append((fit.value("mid_time") - ORBIT.mid_time) / fit.error("mid_time"))
    pulls = np.array(pulls)
    assert (np.abs(pulls.mean(axis=0)) < 4 / np.sqrt(40)).all()
    np.testing.assert_allclose(pulls.std(axis=0), 1.0, atol=0.35)


def test_errors_with_red_noise_hold():
    rng = np.random.default_rng(12)
    steps = np.abs(np.subtract.outer(TIME, TIME))
    root = np.linalg.cholesky(np.exp(-steps / 0.01) + 1e-9 * np.eye(N))
    pulls = {"white": [], "red": []}
    for _ in range(40):
        problem = make_problem(rng, extra=5e-4 * root @ rng.normal(size=N))
        for noise, found in pulls.items():
            fit = fit_light_curve(problem, noise=noise)
            found.append((fit.value("depth") - 0.012) / fit.error("depth"))
    assert np.std(pulls["white"]) > 2  # what is proven here: white noise is not enough
    assert 0.7 < np.std(pulls["red"]) < 1.35


def test_covariance_is_that_of_least_squares():
    fit = fit_light_curve(make_problem(np.random.default_rng(13)), noise="stated", clip_sigma=0)
    rows = fit.problem.derivatives(fit.values[:1], fit.values[1:]) / fit.problem.error[:, None]
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(rows.T @ rows), rtol=1e-6)
    assert fit.chi2 == pytest.approx(((fit.residuals / fit.problem.error) ** 2).sum())
    assert fit.n_free == N - 3


def test_a_fit_is_at_its_minimum():
    """A Julian date among the parameters must not end the search early: it did."""
    problem = make_problem(np.random.default_rng(25), unknowns=("depth", "mid_time"))
    start = [problem.unknowns[0], replace(problem.unknowns[1], start=ORBIT.mid_time + 0.01)]
    fit = fit_light_curve(replace(problem, unknowns=start), noise="stated", clip_sigma=0)
    rows = fit.problem.derivatives(fit.values[:2], fit.values[2:]) / fit.problem.error[:, None]
    left = fit.covariance @ (rows.T @ (fit.residuals / fit.problem.error))
    assert (np.abs(left) < 0.01 * np.sqrt(np.diag(fit.covariance))).all()


def test_outliers_are_left_out_and_nothing_else():
    rng = np.random.default_rng(14)
    jump = np.zeros(N)
    jump[[20, 130]] = 0.02, -0.03
    fit = fit_light_curve(make_problem(rng, extra=jump), noise="white")
    assert set(np.flatnonzero(~fit.problem.usable)) == {20, 130}
    assert abs(fit.value("depth") - 0.012) < 4 * fit.error("depth")


def test_a_regressor_takes_the_motion_away():
    rng = np.random.default_rng(15)
    motion = rng.normal(size=N)
    with_it = fit_light_curve(make_problem(rng, extra=2e-3 * motion, regressors={"x": motion}), noise="white")
    assert with_it.noise.scale == pytest.approx(1.0, abs=4 / np.sqrt(2 * N))
    assert with_it.value("x") == pytest.approx(2e-3 * motion.std(), rel=0.1)


def test_settling_is_fitted_with_its_time_scale():
    rng = np.random.default_rng(16)
    problem = make_problem(rng, extra=8e-3 * np.exp(-(TIME - TIME[0]) / 0.02))
    free = [*problem.unknowns, Unknown("settling_d", 0.05, 0.002, 0.2, 1e-5)]
    fit = fit_light_curve(replace(problem, unknowns=free), noise="white")
    assert abs(fit.value("settling_d") - 0.02) < 4 * fit.error("settling_d")
    assert abs(fit.value("depth") - 0.012) < 4 * fit.error("depth")


def test_a_prior_counts():
    problem = make_problem(np.random.default_rng(17))
    (depth,) = problem.unknowns
    free = fit_light_curve(problem, noise="stated")
    held = fit_light_curve(replace(problem, unknowns=[replace(depth, prior=(0.011, 1e-5))]), noise="stated")
    expected = (free.error("depth") ** -2 + 1e5**2) ** -0.5
    assert held.error("depth") == pytest.approx(expected, rel=1e-3)
    weights = np.array([free.error("depth") ** -2, 1e10])
    assert held.value("depth") == pytest.approx(np.average([free.value("depth"), 0.011], weights=weights), abs=1e-6)


def test_sampler_and_least_squares_agree():
    fit = fit_light_curve(make_problem(np.random.default_rng(18)), noise="white")
    seen = []
    posterior = sample_posterior(fit, n_live=60, progress=seen.append)
    assert abs(posterior.median("depth") - fit.value("depth")) < 0.4 * fit.error("depth")
    assert np.mean(posterior.interval("depth")) == pytest.approx(fit.error("depth"), rel=0.25)
    assert seen
    assert max(seen) <= 1


def test_an_interrupted_sampler_ends_without_a_traceback(monkeypatch, capfd):
    """dynesty prints one of whatever a likelihood raises."""
    fit = fit_light_curve(make_problem(np.random.default_rng(18)), noise="white")
    calls, plain = [], sampling.solve_linear

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == 200:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(sampling, "solve_linear", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample_posterior(fit, n_live=60)
    assert len(calls) < 400
    assert capfd.readouterr() == ("", "")


def test_limb_darkening_stays_physical():
    fit = fit_light_curve(make_problem(np.random.default_rng(19), unknowns=("depth", "u1", "u2")), noise="white")
    assert fit.error("depth") > 1e-5
    assert fit.value("u1") > -0.05


def test_a_depth_follows_the_orbit_as_the_derivative_says():
    problem = make_problem(np.random.default_rng(20), sigma=1e-7)  # with noise, chance adds to the change
    axis = Unknown("a_over_rs", 7.0, 2, 20, 1e-3)
    before, after = (
        fit_light_curve(replace(problem, known={**problem.known, "a_over_rs": a}), noise="stated", clip_sigma=0)
        for a in (7.0, 7.005)
    )
    change = after.value("depth") - before.value("depth")
    assert depth_response(before, "depth", [axis])[0] * 0.005 == pytest.approx(change, rel=0.05)


ORBIT_AND_DEPTH = ("depth", "a_over_rs", "inclination_deg")


@pytest.mark.parametrize("noise", ["white", "red"])
def test_a_central_transit_keeps_its_errors(noise):
    """At 90 degrees the flux has no slope by the inclination; it must neither lose its error nor leave the star."""
    rng = np.random.default_rng(25)
    steps = np.abs(np.subtract.outer(TIME, TIME))
    root = np.linalg.cholesky(np.exp(-steps / 0.01) + 1e-9 * np.eye(N)) * (noise == "red")
    pulls, at_mirror = [], 0
    for _ in range(30):
        problem = make_problem(rng, extra=7e-4 * root @ rng.normal(size=N), unknowns=ORBIT_AND_DEPTH, inclination=89.7)
        fit = fit_light_curve(problem, noise=noise)
        assert fit.planet.min() < 1 - 0.5 * TRUTH["depth"]
        assert 0.1 < fit.error("inclination_deg") < 10
        at_mirror += fit.value("inclination_deg") > 89.9
        squared = (90 - fit.value("inclination_deg")) ** 2 - 0.3**2
        scale = fit.problem.unknowns[2].lever * fit.error("inclination_deg")
        pulls.append([(fit.value("depth") - 0.012) / fit.error("depth"), squared / scale])
        pulls[-1].append((fit.value("a_over_rs") - 7.0) / fit.error("a_over_rs"))
    pulls = np.array(pulls)
    assert at_mirror > 5  # the case is there
    assert 0.6 < np.std(pulls[:, 0]) < 1.4
    assert (np.abs(pulls[:, 1:]) < 3.5).all()


def test_the_error_at_90_degrees_is_that_of_the_squared_distance():
    problem = make_problem(np.random.default_rng(26), sigma=1e-4, unknowns=ORBIT_AND_DEPTH, inclination=90.0)
    fit = fit_light_curve(problem, noise="stated", clip_sigma=0)
    assert fit.value("inclination_deg") > 89
    values, coefficients = fit.values[:3], fit.values[3:]
    rows = problem.derivatives(values, coefficients)
    distance = 90 - fit.value("inclination_deg")
    near, far = (problem.linear(np.array([*values[:2], 90 - distance - step])) @ coefficients for step in (-0.02, 0.02))
    rows[:, 2] = (far - near) / ((distance + 0.02) ** 2 - (distance - 0.02) ** 2)  # by the squared distance
    squared = np.sqrt(np.linalg.inv(rows.T @ rows / 1e-8)[2, 2])
    lever = squared / fit.error("inclination_deg")
    assert lever == pytest.approx(np.hypot(2 * distance, fit.error("inclination_deg")), rel=0.02)


def test_depths_without_errors_are_refused():
    rng = np.random.default_rng(27)
    problem = make_problem(rng)
    blind = replace(problem, known={**problem.known, "inclination_deg": 60.0})
    fits = [fit_light_curve(one, noise="white") for one in (problem, blind, problem)]
    with pytest.raises(InputError, match=r"bins 2 of 3 do not determine their depth"):
        depth_covariance(fits, "depth")
    assert least_eigenvalue(depth_covariance([fits[0], fits[2]], "depth")) < 1e-10  # the same bin twice
    other = fit_light_curve(make_problem(rng), noise="white")
    assert least_eigenvalue(depth_covariance([fits[0], other], "depth")) > 0.5


def test_depths_share_the_error_of_the_orbit():
    rng = np.random.default_rng(20)
    fits = [fit_light_curve(make_problem(rng), noise="white") for _ in range(6)]
    axis = [Unknown("a_over_rs", 7.0, 2, 20, 1e-3)]
    response = np.array([depth_response(fit, "depth", axis)[0] for fit in fits])
    both, own = (depth_covariance(fits, "depth", *shared) for shared in ((axis, np.array([[0.1**2]])), ()))
    np.testing.assert_allclose(both - own, 0.01 * np.outer(response, response), rtol=1e-6)
    assert np.linalg.eigvalsh(both).min() > 0


def test_shared_noise_is_seen_as_correlation():
    rng = np.random.default_rng(21)
    shared = 5e-4 * rng.normal(size=N)
    covariance = depth_covariance(
        [fit_light_curve(make_problem(rng, extra=shared), noise="white") for _ in range(8)], "depth"
    )
    sigma = np.sqrt(np.diag(covariance))
    off = (covariance / np.outer(sigma, sigma))[~np.eye(8, dtype=bool)]
    assert off.mean() == pytest.approx(0.5, abs=0.1)


def test_baseline_per_exposure():
    exposure = np.repeat([1, 2, 3], 80)
    columns = make_baseline(TIME, exposure, order=1).columns
    assert columns.shape == (N, 6)
    assert (columns[80:, :2] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"order": -1}, "0 or more"),
        ({"regressors": {"x": np.zeros(N)}}, "the same in all integrations"),
        ({"regressors": {"x": np.full(N, np.nan)}}, "not finite"),
        ({"regressors": {"x": np.zeros(3)}}, "shape"),
    ],
)
def test_baselines_that_cannot_be(arguments, words):
    with pytest.raises(ParameterError, match=words):
        make_baseline(TIME, np.ones(N, int), **arguments)


def test_fits_that_cannot_be():
    problem = make_problem(np.random.default_rng(22))
    with pytest.raises(ParameterError, match="noise is 'pink'"):
        fit_light_curve(problem, noise="pink")
    few = np.zeros(N, bool)
    few[:3] = True
    with pytest.raises(InputError, match="3 integrations for 3 parameters"):
        fit_light_curve(replace(problem, used=few), clip_sigma=0)


def test_bins_hold_what_lies_in_them():
    um = np.array([5.0, 5.5, 6.0, 6.5, np.nan])
    flux = np.array([[1.0, 3, 10, np.nan, 7], [1.0, 3, 12, 5, 7], [1.0, 3, 14, 5, 7]])
    found = bin_spectra(um, flux, np.full_like(flux, 0.3), np.array([5.0, 6.0, 7.0]))
    np.testing.assert_allclose(found.centre, [(5 + 3 * 5.5) / 4, 6.0])
    np.testing.assert_allclose(found.flux, [[1, 1, 1], [10 / 12, 1, 14 / 12]])
    np.testing.assert_allclose(found.flux_error[:, 0], [0.3 * np.sqrt(2) / 4, 0.3 / 12])
    np.testing.assert_array_equal(found.n_elements, [2, 1])  # an element that lacks flux once is left out
    with pytest.raises(InputError, match="make the bins wider"):
        bin_spectra(um, flux, flux, np.array([5.0, 5.6, 5.9]))


@pytest.mark.parametrize(("bins", "n_bins"), [(4, 4), (0.5, 14), ([5, 6, 9], 2)])
def test_edges_of_bins(bins, n_bins):
    assert bin_edges(bins, (5.0, 12.0), np.linspace(4, 14, 50)).size == n_bins + 1


@pytest.mark.parametrize("bins", [0, -3, 0.0, [6, 5], [20, 30]])
def test_edges_that_cannot_be(bins):
    with pytest.raises(ParameterError, match="bins"):
        bin_edges(bins, (5.0, 12.0), np.linspace(4, 14, 50))


def test_a_steep_light_curve_has_no_spikes():
    """Where flux falls by several standard deviations from one integration to the next, each is a running median."""
    problem = make_problem(np.random.default_rng(3), sigma=2e-5)
    steep = replace(problem, flux=problem.flux * (1 - 0.02 * (TIME - TIME[0]) / 0.2))
    fit = fit_light_curve(steep)
    assert fit.problem.usable.all()
    assert abs(fit.value("depth") - 0.012) < 4 * fit.error("depth")
    flux = steep.flux.copy()
    flux[[40, 150]] += [0.002, -0.003]
    assert np.flatnonzero(~fit_light_curve(replace(steep, flux=flux)).problem.usable).tolist() == [40, 150]
