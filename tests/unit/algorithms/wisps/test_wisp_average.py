"""The mean of strengths from fits that share their noise: the least error, and one that is honest."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.wisps.wisp_average import average_strengths
from detectorist.algorithms.wisps.wisp_variation import Strength


def result(scale, causes, *, more=0.0, **changed):
    """Return a result on four by five bins: `causes` of its errors (n, n_causes), and `more` in its covariance."""
    scale, causes = np.atleast_1d(np.asarray(scale, float)), np.atleast_2d(np.asarray(causes, float))
    bins, n = np.ones((4, 5)), scale.size
    usual = {"displacement": (0.0, 0.0), "blur": 0.0, "excluded": bins > 2, "residual_ratio": 1.0, "n_bins": 7}
    covariance = causes @ causes.T + more * np.eye(n)
    return Strength(
        scale,
        covariance,
        np.full(n, 0.01),
        smoothing_pix=(2.0, 4.0),
        causes=causes,
        **{**usual, "local": bins, **changed},
    )


def error(found):
    return float(np.sqrt(found.covariance.sum()))


def test_one_result_is_its_own_mean():
    only = result(0.7, [0.1, 0.02], more=0.001)
    mean = average_strengths([only])
    assert_allclose(mean.scale, 0.7)
    assert_allclose(mean.covariance, only.covariance)


def test_errors_of_different_causes_average_down():
    mean = average_strengths([result(1.0, [0.1, 0.0], blur=3.0), result(1.1, [0.0, 0.1], blur=1.0)])
    assert_allclose(mean.scale, 1.05)
    assert error(mean) == pytest.approx(0.1 / np.sqrt(2), rel=1e-3)
    assert mean.blur == pytest.approx(2.0)


def test_what_results_share_does_not_average_down():
    shared = [result(1.0, [0.1, 0.0]), result(1.0, [0.1, 0.0])]
    assert error(average_strengths(shared)) == pytest.approx(0.1, rel=1e-3)
    unknown = [result(1.0, [0.0, 0.0], more=0.01), result(1.0, [0.0, 0.0], more=0.01)]
    assert error(average_strengths(unknown)) == pytest.approx(0.1, rel=1e-3)


def test_noise_on_top_of_that_of_the_surer_one_adds_nothing():
    surer, other = result(1.0, [0.1, 0.0], n_bins=9), result(1.1, [0.1, 0.1])
    mean = average_strengths([other, surer])
    assert_allclose(mean.scale, 1.0, atol=1e-3)
    assert error(mean) == pytest.approx(0.1, rel=1e-3)
    assert mean.n_bins == 9


def test_one_that_differs_from_all_others_is_doubted():
    """The surest of three is off by fifty of its errors, as is one of wide planes that a galaxy lies under."""
    agree = [result(1.0, [0.03, 0, 0]), result(1.02, [0, 0.03, 0])]
    outlying = result(1.5, [0, 0, 0.01])
    mean = average_strengths([*agree, outlying])
    assert mean.scale[0] == pytest.approx(1.01, abs=0.01)
    assert error(mean) < 0.03
    both = average_strengths([agree[0], outlying])
    assert error(both) > 0.25  # of two that disagree either may be wrong


@pytest.mark.parametrize("n", [1, 2])
def test_errors_are_those_of_many_draws(rng, n):
    causes = [rng.normal(size=(n, 40)) * share for share in (0.02, 0.03, 0.05)]
    pulls = []
    for _ in range(400):
        drawn = rng.normal(size=40)
        mean = average_strengths([result(1 + one @ drawn, one) for one in causes])
        pulls.append((mean.scale.sum() - n) / error(mean))
    assert 0.75 < np.std(pulls) < 1.1
    assert abs(np.mean(pulls)) < 0.2


def test_what_two_components_differ_by_is_correlated():
    mean = average_strengths([result([1.0, 2.0], np.zeros((2, 3))), result([1.2, 1.8], np.zeros((2, 3)))])
    assert_allclose(mean.scale, [1.1, 1.9], atol=1e-6)
    assert_allclose(mean.covariance, [[0.02, -0.02], [-0.02, 0.02]], atol=1e-6)
