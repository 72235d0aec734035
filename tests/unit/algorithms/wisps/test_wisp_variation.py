"""What a fit to first order leaves of displacements and blurs is in the error."""

import numpy as np
import pytest

from detectorist.algorithms.wisps import wisp_variation
from detectorist.algorithms.wisps.wisp_bins import Planes, Sharp

WIDTH = 10.0
Y, X = np.mgrid[-60:61, -60:61]
SQUARED = (Y**2 + X**2) / WIDTH**2
TEMPLATE = np.exp(-0.5 * SQUARED)
SECOND = (SQUARED - 2) / WIDTH**2 * TEMPLATE
ALL = np.ones(TEMPLATE.shape, bool)
NONE = Planes(np.ones_like(TEMPLATE), np.ones_like(TEMPLATE), 1.0, 0)


def second_order(change, *, noise=None):
    rest = np.stack([TEMPLATE, TEMPLATE, 0 * X, 0 * X, SECOND])
    noise = np.zeros((4, 4)) if noise is None else noise
    sharp = Sharp(rest, noise, np.ones_like(TEMPLATE), np.zeros_like(TEMPLATE), ALL, ~ALL, rest[:0], NONE)
    return wisp_variation._second_order(sharp, np.ones_like(TEMPLATE), np.ones(1), np.array(change))


def test_the_second_order_is_that_of_the_template():
    """A Gaussian loses a part 1 / width^2 of itself to its second derivatives."""
    assert second_order([0.0, 0.0, 0.0]) == 0
    assert second_order([1.2, -1.6, 0.0]) == pytest.approx(1 / WIDTH**2, rel=1e-3)
    assert second_order([0.0, 0.0, 5.0]) == pytest.approx(1.5 * (5 / WIDTH**2) ** 2, rel=1e-3)
    assert second_order([50.0, 0.0, 0.0]) == wisp_variation.MOST_SECOND_ORDER


def test_noise_of_a_template_is_no_curvature():
    noise = np.zeros((4, 4))
    noise[0, 0], noise[0, 3] = 0.1 * (TEMPLATE**2).mean(), 0.5 * (TEMPLATE * SECOND).mean()
    assert second_order([1.2, -1.6, 0.0], noise=noise) == pytest.approx(0.5 / 0.9 / WIDTH**2, rel=1e-3)
