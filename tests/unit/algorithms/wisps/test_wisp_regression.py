"""Parameters of what varies of a wisp: errors with noise in the columns, and widths of priors by evidence."""

import numpy as np
import pytest

from detectorist.algorithms.wisps.wisp_bins import Planes, Sharp
from detectorist.algorithms.wisps.wisp_regression import Regression, sums_of_squares

SIZE, WHITE = 40, 0.1
Y, X = np.mgrid[:SIZE, :SIZE] - SIZE / 2
TEMPLATE = np.exp(-0.5 * (X / 6) ** 2)
SECOND = ((X / 6) ** 2 - 1) * TEMPLATE / 6
ALL = np.ones(TEMPLATE.shape, bool)
NONE = Planes(np.ones_like(TEMPLATE), np.ones_like(TEMPLATE), 1.0, 0)


def regression(image, second, noise_of_second):
    """Return a regression with one free strength, no places, and three derivatives."""
    nothing = np.zeros_like(TEMPLATE)
    rest = np.stack([image, TEMPLATE, nothing + 1e-9, nothing + 1e-9, second])
    noise = np.zeros((4, 4))
    noise[-1, -1] = noise_of_second**2
    sharp = Sharp(rest, noise, np.full(TEMPLATE.shape, WHITE**2), nothing, ALL, ~ALL, rest[:0], NONE)
    mixing = np.eye(4)[:, :, None]
    return Regression(rest[1:], 1 / sharp.white, sharp, mixing, np.ones((1, ALL.sum())))


def draw(rng, blur, noise_of_second=0.0):
    image = TEMPLATE + blur * SECOND + WHITE * rng.normal(size=TEMPLATE.shape)
    return regression(image, SECOND + noise_of_second * rng.normal(size=SECOND.shape), noise_of_second).solve(1.0)


@pytest.mark.parametrize("share_of_noise", [0.0, 0.4])
def test_errors_are_true_also_with_noise_in_a_column(rng, share_of_noise):
    noise = np.sqrt(share_of_noise / (1 - share_of_noise) * (SECOND**2).mean())
    solved = [draw(rng, 2.0, noise) for _ in range(150)]
    pulls = np.array([(one.found[[0, -1]] - [1.0, 2.0]) / np.sqrt(np.diag(one.covariance)[[0, -1]]) for one in solved])
    assert np.abs(pulls.mean(axis=0)).max() < 0.4
    assert (pulls.std(axis=0) < 1.2).all()
    assert (pulls.std(axis=0) > 0.8).all()


def test_a_column_that_is_mostly_noise_is_left_out(rng):
    noise = np.sqrt(2 * (SECOND**2).mean())
    solved = draw(rng, 2.0, noise)
    assert solved.found[-1] == 0
    assert (
        abs(solved.found[0] - 1)
        < 4 * np.sqrt(solved.covariance[0, 0]) + 2 * abs((TEMPLATE * SECOND).sum()) / (TEMPLATE**2).sum()
    )


def test_the_course_of_results_is_smooth_where_another_width_becomes_likelier():
    """As the blur of the wisp grows, so does the one found: no width of the prior is chosen alone."""
    found = [regression(TEMPLATE + blur * SECOND, SECOND, 0.0).solve(1.0).found[-1] for blur in np.linspace(0, 3, 61)]
    assert np.diff(found).min() > 0
    assert np.diff(found).max() < 0.15  # three times as fast as the blur itself
    assert found[-1] == pytest.approx(3, rel=0.03)


def test_sums_over_squares_by_hand():
    assert sums_of_squares(np.arange(20.0).reshape(4, 5), 2).tolist() == [[12, 20], [52, 60]]
