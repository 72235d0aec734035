"""Galaxies and halos are modelled beside a wisp, which stays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import BSpline

from detectorist.algorithms.wisps import bright_light
from detectorist.algorithms.wisps.wisp_bins import Bins
from detectorist.errors import TooFewPixels

N, WHITE = 128, 0.002
Y, X = np.mgrid[:N, :N].astype(float)
#: A broad filament and narrow ones across a galaxy.
BROAD = 0.1 * np.exp(-0.5 * ((X - Y + 6) / 9) ** 2 - 0.5 * ((X + Y - 130) / 35) ** 2)
NARROW = 0.06 * np.exp(-0.5 * ((X - 0.8 * Y - 2) / 2.5) ** 2 - 0.5 * ((Y - 70) / 20) ** 2)
WISP = BROAD + NARROW


def galaxy(*, peak=1.5, y=66.3, x=55.6):
    along, across = (Y - y) * np.cos(0.3) + (X - x) * np.sin(0.3), (X - x) * np.cos(0.3) - (Y - y) * np.sin(0.3)
    return peak * np.exp(-np.hypot(along, across / 0.45) / 16)


def halo(*, y=30.0, x=95.0):
    return 60 / (1 + ((Y - y) ** 2 + (X - x) ** 2) / 2.0) ** 1.4


def bins_of(image, *, n=N):
    count = np.full((N, N), 64.0)
    totals = np.stack([image, WISP, 0 * X, 0 * X, 0 * X]) * count
    return Bins(totals[:, :n, :n], count[:n, :n], np.full((n, n), WHITE**2), WISP[:n, :n] > 0.003, 1)


def strength_left(clean, excluded):
    left = clean.mean(0)[~excluded]
    columns = np.stack([WISP[~excluded], np.ones(left.size)])
    return np.linalg.lstsq(columns.T, left, rcond=None)[0][0]


def test_galaxy_and_halo_go_and_the_wisp_stays(rng):
    sources = galaxy() + halo()
    excluded = (halo() > 0.05) | (galaxy() > 1.2)
    bins = bins_of(0.3 + 0.8 * WISP + sources + WHITE * rng.normal(size=WISP.shape))
    clean = bright_light.without_bright_light(bins, np.array([0.75]), excluded)
    assert (clean.count[excluded] == 0).all()
    assert (clean.totals[:, excluded] == 0).all()
    kept = ~excluded
    left = (clean.mean(0) - 0.8 * WISP)[kept]
    assert left.std() < 2 * WHITE
    assert sources[kept].std() > 50 * WHITE
    assert strength_left(clean, excluded) == pytest.approx(0.8, abs=0.03)
    assert_allclose(clean.totals[1:, kept], bins.totals[1:, kept])


def test_where_is_neither_galaxy_nor_halo_nothing_is_taken(rng):
    bins = bins_of(0.3 + 0.8 * WISP + WHITE * rng.normal(size=WISP.shape))
    nothing = np.zeros((N, N), bool)
    clean = bright_light.without_bright_light(bins, np.array([0.8]), nothing)
    taken = bins.mean(0) - clean.mean(0)
    assert (taken - np.median(taken)).std() < WHITE
    assert strength_left(clean, nothing) == pytest.approx(0.8, abs=0.02)


def test_the_galaxy_is_found_by_its_symmetry():
    light = galaxy() + 0.3 * halo(y=20.0, x=100.0)
    middle, metric = bright_light._galaxy(light)
    assert_allclose(middle, (66.3, 55.6), atol=0.6)
    values, vectors = np.linalg.eigh(metric)
    assert np.sqrt(values[0] / values[1]) == pytest.approx(0.45, abs=0.05)
    assert abs(vectors[:, 0] @ [np.cos(0.3), np.sin(0.3)]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("lit", [0, 1, 4])
def test_hardly_any_light_has_no_shape(lit):
    light = np.zeros((N, N))
    light[40, 50 : 50 + lit] = 0.1
    _, metric = bright_light._galaxy(light)
    assert_allclose(metric, np.eye(2))


def test_a_wisp_that_is_hidden_altogether_is_nothing_to_fit(rng):
    bins = bins_of(0.3 + galaxy() + WHITE * rng.normal(size=WISP.shape))
    clean = bright_light.without_bright_light(bins, np.array([0.8]), bins.lit)
    assert np.isfinite(clean.totals).all()


def test_halos_are_round_sources_apart_from_the_galaxy():
    excluded = (np.hypot(Y - 30, X - 95) < 6) | (np.hypot(Y - 66, X - 56) < 8) | (np.hypot(Y - 110, X - 110) < 2)
    excluded[90:94, 5:60] = True
    everywhere = np.ones((N, N), bool)
    assert_allclose(bright_light._halos(halo(), excluded, everywhere, (66.0, 56.0)), [(30, 95)], atol=0.2)


def test_a_star_among_other_sources_has_its_halo_about_itself():
    excluded = (
        (np.hypot(Y - 30, X - 95) < 7)
        | (np.hypot(Y - 24, X - 106) < 5)
        | ((np.abs(Y - 30 - (X - 95)) < 2) & (np.abs(X - 95) < 12))
    )
    light = halo() + 0.2 * (np.hypot(Y - 24, X - 106) < 5)
    found = bright_light._halos(light, excluded, np.ones((N, N), bool), (66.0, 20.0))
    assert_allclose(found[0], (30, 95), atol=0.3)


def test_halos_far_from_the_wisp_are_left():
    excluded = np.hypot(Y - 30, X - 95) < 6
    wisp = (X < 40) & (Y > 80)
    assert bright_light._halos(halo(), excluded, wisp, (66.0, 20.0)) == []


def test_splines_are_those_of_third_degree():
    at, n = np.linspace(0, 4, 33), 7
    expected = BSpline.design_matrix(at[:-1], np.arange(-3, n + 1.0), 3).toarray().T
    assert_allclose(bright_light.splines(at[:-1], n), expected, atol=1e-12)


def test_an_image_that_is_too_small_is_refused():
    with pytest.raises(TooFewPixels, match="too small"):
        bright_light.without_bright_light(bins_of(0.3 + galaxy(), n=48), np.array([0.8]), np.zeros((48, 48), bool))
