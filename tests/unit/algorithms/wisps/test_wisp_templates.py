"""Templates made of the exposures themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.wisps.wisp_templates import stack_template
from detectorist.errors import ParameterError, TooFewPixels

SIZE = 256


def filament():
    yy, xx = np.mgrid[:SIZE, :SIZE]
    u, v = (xx - 120) * 0.6 + (yy - 130) * 0.8, -(xx - 120) * 0.8 + (yy - 130) * 0.6
    return 0.1 * np.exp(-0.5 * (u / 14) ** 2 - 0.5 * (v / 70) ** 2)


def exposures(rng, strengths):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    images = []
    for strength in strengths:
        image = 0.3 + strength * filament() + 0.02 * rng.normal(size=(SIZE, SIZE))
        for _ in range(15):
            y, x = rng.uniform(0, SIZE, 2)
            image += rng.uniform(0.05, 2) * np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 2.0**2)
        images.append(image.astype(np.float32))
    return images


def test_shape_and_strengths_are_recovered(rng):
    strengths = np.array([0.5, 0.8, 1.0, 1.2, 0.9, 1.4, 0.7, 1.1])
    images = exposures(rng, strengths)
    got = stack_template(images, [np.zeros((SIZE, SIZE), bool)] * len(images))
    assert_allclose(got.strength / got.strength.mean(), strengths / strengths.mean(), rtol=0.08)
    lit = filament() > 0.02
    scale = np.vdot(got.image[lit], filament()[lit]) / np.vdot(filament()[lit], filament()[lit])
    assert_allclose(scale, strengths.mean(), rtol=0.05)
    assert (got.image - scale * filament())[lit].std() < 0.005
    assert np.median(got.image[filament() < 1e-4]) == 0
    assert got.n_used[lit].min() >= 2


def test_bad_input_is_named(rng):
    images = exposures(rng, [1, 1, 1])
    good = [np.zeros((SIZE, SIZE), bool)] * 3
    with pytest.raises(TooFewPixels, match="2 exposures"):
        stack_template(images[:2], good[:2])
    with pytest.raises(ParameterError, match="shape"):
        stack_template([*images[:2], images[2][:50]], good)
