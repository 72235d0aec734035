"""Noise of outputs that a galaxy covers, told from the steps where outputs meet."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.flicker.output_steps import _step_at, tell_covered_outputs
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.flicker.smoother import Flicker, FlickerNoise

NY, NX, WIDTH = 640, 1024, 256
WHITE, SLOW = 0.015, 0.004
READOUT = alternating_readout(NX, 4)
SCALE_PIX = 150 * (WIDTH + READOUT.overhead_pix)
NOISE = FlickerNoise(WHITE**2, *(np.array([one]) for one in (SCALE_PIX, 0.0, SLOW**2)))


def galaxy(*, structure=0.0):
    y, x = np.mgrid[:NY, :NX]
    distance = np.hypot((x - 400) / 0.6, y - 320)
    light = 0.8 * np.exp(-distance / 120)
    return light * (1 + structure * np.sin(x / 9.0) * np.sin(y / 11.0))


def slow_noise(rng):
    """Return an Ornstein-Uhlenbeck process of rows."""
    rho, values = np.exp(-1 / 150), np.zeros(NY)
    values[0] = SLOW * rng.standard_normal()
    for k in range(1, NY):
        values[k] = rho * values[k - 1] + SLOW * np.sqrt(1 - rho**2) * rng.standard_normal()
    return values[:, None]


def covered(rng, *, light, noise=None):
    """Return an estimate that knows nothing of the output from column 256 to 512 in the middle rows, and its image."""
    own = np.zeros((NY, NX), np.float32)
    own[80:560, 256:512] = (slow_noise(rng) if noise is None else noise)[80:560]
    variance = np.full((NY, NX), 1e-7, np.float32)
    variance[80:560, 256:512] = SLOW**2
    used = variance < 1e-6
    zeros = np.zeros(NX)
    image = 0.25 + light + own + WHITE * rng.standard_normal((NY, NX))
    part = Flicker(np.zeros((NY, NX), np.float32), variance, used, 0.0, zeros, zeros, NOISE, 0.25)
    return part, image.astype(np.float32), own


def told(part, image, **settings):
    everything = {"usable": np.ones(image.shape, bool), "flat": np.ones(image.shape, np.float32), "readout": READOUT}
    return tell_covered_outputs(part, image, **{**everything, **settings})


def test_slow_noise_under_a_galaxy_is_told_with_honest_errors(rng):
    pulls, before, after = [], [], []
    for _ in range(3):
        part, image, own = covered(rng, light=galaxy())
        found = told(part, image)
        region = ~part.used
        left = (own - found.pattern)[80:560:40, 384]
        pulls.extend(left / np.sqrt(found.variance[80:560:40, 384]))
        before.append(own[region].std() ** 2 + own[region].mean() ** 2)
        after.append(np.mean((own - found.pattern)[region] ** 2))
        assert np.abs(found.pattern[:, 512:]).max() < 0.15 * SLOW  # outputs that are seen
        assert_array_equal(found.variance[part.used], part.variance[part.used])
    assert np.sqrt(np.mean(after)) < 0.4 * np.sqrt(np.mean(before))
    assert 0.4 < np.std(pulls) < 1.4  # what the light may have of structure is in the error


def test_structure_of_the_light_is_not_taken_for_noise(rng):
    nothing = np.zeros((NY, 1))
    part, image, _ = covered(rng, light=galaxy(structure=0.4), noise=nothing)
    found = told(part, image)
    assert np.sqrt(np.mean(found.pattern[~part.used] ** 2)) < SLOW
    pull = found.pattern[~part.used] / np.sqrt(found.variance[~part.used])
    assert np.sqrt(np.mean(pull**2)) < 1.5


def test_stars_at_a_border_do_not_matter(rng):
    part, image, own = covered(rng, light=galaxy())
    y, x = np.mgrid[:NY, :NX]
    for place in ((200, 262), (330, 505), (440, 250)):
        image += (30 * np.exp(-0.5 * ((y - place[0]) ** 2 + (x - place[1]) ** 2) / 2**2)).astype(np.float32)
    left = (own - told(part, image).pattern)[~part.used]
    assert np.sqrt(np.mean(left**2)) < 0.6 * SLOW


def test_sensitivity_that_the_flat_knows_makes_no_step(rng):
    part, image, _ = covered(rng, light=galaxy(), noise=np.zeros((NY, 1)))
    flat = np.ones((NY, NX), np.float32)
    flat[:, 256:512] = 1.03
    found = told(part, image * flat, flat=flat)
    assert np.sqrt(np.mean(found.pattern[~part.used] ** 2)) < 0.5 * SLOW


def test_where_all_is_known_nothing_changes(rng):
    part, image, _ = covered(rng, light=galaxy())
    known = Flicker(**{**vars(part), "used": np.ones((NY, NX), bool)})
    assert told(known, image) is known
    assert told(part, image, readout=alternating_readout(NX, 1)) is part


def test_where_nothing_is_seen_nothing_changes(rng):
    part, image, _ = covered(rng, light=galaxy())
    found = told(part, image, usable=np.zeros(image.shape, bool))
    assert_array_equal(found.pattern, part.pattern)


def test_noise_stronger_than_where_it_is_seen_is_told(rng):
    before, after, pulls = [], [], []
    for _ in range(3):
        part, image, own = covered(rng, light=galaxy(), noise=3 * slow_noise(rng))
        found, region = told(part, image), ~part.used
        before.append(np.mean(own[region] ** 2))
        after.append(np.mean((own - found.pattern)[region] ** 2))
        pulls.extend(((own - found.pattern) / np.sqrt(found.variance))[80:560:40, 384])
    assert np.mean(after) < 0.35**2 * np.mean(before)
    assert np.std(pulls) < 1.4


@pytest.mark.parametrize("step", [0.0, 0.02])
def test_a_step_beside_a_cubic_is_measured(rng, step):
    x = (np.arange(NX) - 512) / 32.0
    image = 0.2 + 0.05 * x + 0.02 * x**2 - 0.004 * x**3 + step * (x >= 0) + 0.001 * rng.standard_normal((NY, NX))
    edges = np.arange(0, NY + 1, 16)
    found, variance = _step_at(image, np.ones(image.shape, bool), edges, 512, np.ones(len(edges) - 1, bool))
    np.testing.assert_allclose(found, step, atol=6 * np.sqrt(variance.max()))
    assert 0.7 < np.std((found - step) / np.sqrt(variance)) < 1.5
    assert np.isinf(_step_at(image, np.ones(image.shape, bool), edges, 20, np.ones(len(edges) - 1, bool))[1]).all()


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_small_galaxies_beside_a_border_make_no_steps(seed):
    """Their wings are a dozen pixels wide and fainter than the noise of a pixel: they show in wider means."""
    rng = np.random.default_rng(seed)
    image = 0.25 + WHITE * rng.standard_normal((NY, NX))
    y, x = np.mgrid[:NY, :NX]
    for y0 in range(40, NY, 96):
        image += 16 * WHITE * np.exp(-np.hypot(y - y0, x - 512 - rng.uniform(-40, 40)) / 9)
    edges = np.arange(0, NY + 1, 16)
    found, variance = _step_at(image, np.ones(image.shape, bool), edges, 512, np.ones(len(edges) - 1, bool))
    known = np.isfinite(variance)
    assert known.mean() > 0.4
    assert np.sqrt(np.mean(found[known] ** 2 / variance[known])) < 2
