"""Light of showers in slopes: measured in units of its error, on the trace and beside it; nothing else is touched."""

import numpy as np
import pytest

from detectorist.algorithms.spectra import showers
from detectorist.algorithms.spectra.showers import measure_showers

NY, NX, N_INTS, HALF_WIDTH = 200, 72, 14, 4.0
ROWS, COLUMNS = np.mgrid[:NY, :NX]
CENTER = 37.4 + 0.003 * np.arange(NY)
PER_PHOTON = 1 / (3.9 * 8.0)


def profile(x=0.0, width=1.0):
    sigma = width * (1.3 + 0.7 * (NY - ROWS) / NY)
    return np.exp(-0.5 * ((COLUMNS - CENTER[:, None] - x) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)


def patch(y, x, sigma, height):
    return height * np.exp(-0.5 * ((ROWS - y) ** 2 + (COLUMNS - x) ** 2) / sigma**2)


def make_rates(rng, patches=(), n_ints=N_INTS, hits=15, moved=None):
    """Return (data, err, mask); patches: (integration, y, x, sigma, height in DN/s); moved: integration."""
    star = 8000 * np.exp((ROWS - NY) / 80)
    mean = np.empty((n_ints, NY, NX))
    for k in range(n_ints):
        depth = 0.015 * (abs(k - n_ints / 2) < n_ints / 4) * (1 + 0.2 * np.sin(ROWS / 30))
        sky = (40 + 100 * np.exp(-ROWS / 60)) * (1 + 0.003 * (COLUMNS - 36)) * (1 + 0.01 * k / n_ints)
        place = (4.0, 1.6) if k == moved else (0.01 * rng.normal(), 1 + 0.003 * rng.normal())
        mean[k] = star * (1 - depth) * profile(*place) + sky
    for k, *shape in patches:
        mean[k] += patch(*shape)
    err = np.sqrt(mean * PER_PHOTON + 0.8)
    data = mean + err * rng.normal(size=mean.shape)
    for image in data:
        image[rng.integers(0, NY, hits), rng.integers(4, NX, hits)] += rng.exponential(300, hits)
    mask = np.zeros(data.shape, bool)
    mask[:, :, :4] = True
    mask[:, rng.random((NY, NX)) < 0.004] = True
    data[mask & (COLUMNS >= 4)] = np.nan
    return data.astype(np.float32), err.astype(np.float32), mask


def measure(*arrays):
    return measure_showers(*arrays, center=CENTER, half_width=HALF_WIDTH)


def in_aperture(image):
    return np.where(np.abs(COLUMNS - CENTER[:, None]) <= HALF_WIDTH, image, 0).sum(axis=1)


def test_medians_do_not_depend_on_how_many_rows_are_sorted_at_a_time(rng, monkeypatch):
    given = make_rates(rng, [(3, 100, 30, 6, 60)])
    found = []
    for rows in (7, 32, NY):
        monkeypatch.setattr(showers, "STRIP_ROWS", rows)
        found.append(measure(*given))
    assert found[0].image[3].any()
    for other in found[1:]:
        np.testing.assert_array_equal(other.image, found[0].image)
        np.testing.assert_array_equal(other.sigma, found[0].sigma)


@pytest.mark.parametrize("k", [0, 6])
@pytest.mark.parametrize("level", [20.0, -5.0])
def test_light_that_all_pixels_have_is_no_shower(rng, k, level):
    """As a decay after the reset leaves it in the first integration."""
    data, err, mask = make_rates(rng)
    data[k] += level
    assert not measure(data, err, mask).image.any()


def test_a_shower_in_an_integration_with_more_light_everywhere_is_found(rng):
    data, err, mask = make_rates(rng, [(6, 60, 60, 6, 20)])
    data[6] += 1.0
    found = measure(data, err, mask)
    assert np.flatnonzero(found.image.any(axis=(1, 2))).tolist() == [6]
    assert found.sigma[6] > 10


PATCHES = [(100, 37, 5, 25), (60, 60, 4, 20), (120, 30, 9, 6), (90, 36, 20, 10), (150, 45, 12, 30), (195, 40, 10, 15)]


@pytest.mark.parametrize("where", PATCHES)
@pytest.mark.parametrize("k", [1, 6, N_INTS - 1])
def test_the_light_left_is_what_its_error_says(rng, where, k):
    found = measure(*make_rates(rng, [(k, *where)]))
    assert np.flatnonzero(found.image.any(axis=(1, 2))).tolist() == [k]
    left = in_aperture(patch(*where) - found.image[k])
    error = 9 * np.sqrt(found.variance[k])
    lit = error > 0
    assert lit.sum() > 30
    assert np.sqrt(np.mean((left[lit] / error[lit]) ** 2)) < 1.8
    # All rows together: of some 4000 DN/s less is left than two sigma of the white light, background included.
    white = np.sqrt((8000 * np.exp((np.arange(NY) - NY) / 80)).sum() * PER_PHOTON)
    assert abs(left.sum()) < 2.5 * white


def test_pulls_of_rows_over_many_patches(rng):
    pulls = []
    for _ in range(6):
        where = (rng.integers(40, 160), rng.integers(25, 50), rng.uniform(4, 15), rng.uniform(5, 30))
        found = measure(*make_rates(rng, [(5, *where)]))
        lit = found.variance[5] > 0
        pulls.append((in_aperture(patch(*where) - found.image[5]) / (9 * np.sqrt(found.variance[5] + ~lit)))[lit])
    pulls = np.concatenate(pulls)
    assert abs(np.mean(pulls)) < 0.5
    assert 0.5 < np.std(pulls) < 1.5


@pytest.mark.parametrize("n_ints", [5, 8, 30])
def test_without_a_shower_nothing_is_touched(rng, n_ints):
    found = measure(*make_rates(rng, n_ints=n_ints))
    assert not found.image.any()
    assert not found.variance.any()
    assert not found.trace_changed.any()
    assert found.sigma.max() < 7


def test_an_integration_in_which_the_trace_moved_is_left_alone(rng):
    found = measure(*make_rates(rng, moved=7))
    assert not found.image.any()
    assert np.flatnonzero(found.trace_changed).tolist() == [7]


def test_too_few_integrations_are_left_alone_and_input_is_untouched(rng):
    data, err, mask = make_rates(rng, [(1, 100, 37, 8, 30)], n_ints=4)
    before = data.copy()
    assert not measure(data, err, mask).image.any()
    np.testing.assert_array_equal(data, before)
