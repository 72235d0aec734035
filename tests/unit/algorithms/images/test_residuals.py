"""Numbers that tell how well a correction has gone: against what was put in."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.algorithms.images import residuals
from detectorist.algorithms.images.residuals import hidden_share, measure_row_noise, measure_wisp_curve

SIZE, WHITE = 512, 0.02


@pytest.fixture
def sky(rng):
    """Noise over a smooth sky."""
    return 0.3 + 0.05 * np.linspace(0, 1, SIZE)[:, None] + WHITE * rng.normal(size=(SIZE, SIZE))


def test_white_noise_is_all_there_is(sky):
    nothing = np.zeros(sky.shape, bool)
    got = measure_row_noise(sky, nothing)
    assert_allclose(got.white, WHITE / np.sqrt(SIZE), rtol=0.03)
    assert_allclose(got.rms, got.white, rtol=0.2)


def test_offsets_of_rows_are_found_whatever_is_masked(sky, rng):
    offsets = 0.01 * rng.normal(size=(SIZE, 1))
    mask = rng.random(sky.shape) < 0.3
    image = sky + offsets
    image[mask] = rng.choice([np.nan, 50.0], mask.sum())
    image[300, :40] = 1e4  # a few unmasked hot pixels
    got = measure_row_noise(image, mask)
    assert_allclose(got.rms, np.hypot(0.01, WHITE / np.sqrt(0.7 * SIZE)), rtol=0.15)
    assert_allclose(got.white, WHITE / np.sqrt(0.7 * SIZE), rtol=0.05)


def test_a_quarter_of_the_rows_tells_which_pixels_to_leave_out(rng, monkeypatch):
    image = WHITE * rng.normal(size=(1024, 128)) + 0.01 * rng.normal(size=(1024, 1))
    image[::37, 5] = 0.15
    mask = rng.random(image.shape) < 0.3
    some = measure_row_noise(image, mask)
    monkeypatch.setattr(residuals, "CLIP_FROM_ROWS", 1025)
    assert_allclose(some, measure_row_noise(image, mask), rtol=0.01)
    mask[::4] = True
    monkeypatch.undo()
    assert_allclose(measure_row_noise(image, mask).rms, some.rms, rtol=0.2)


def test_nothing_usable_is_unknown(sky):
    assert np.isnan(measure_row_noise(sky, np.ones(sky.shape, bool))).all()
    assert np.isnan(measure_row_noise(sky[:2], np.zeros((2, SIZE), bool))).all()
    assert np.isnan(measure_wisp_curve(sky, np.ones(sky.shape, bool), sky, np.ones(3))).all()


def test_the_scatter_is_least_at_the_strength_of_the_wisp(sky):
    yy, xx = np.mgrid[:SIZE, :SIZE]
    wisp = 0.1 * np.exp(-0.5 * (((xx - 200) / 30) ** 2 + ((yy - 260) / 120) ** 2))
    image = (sky - 0.05 * np.linspace(0, 1, SIZE)[:, None] + 0.7 * wisp).astype(np.float32)
    before = image.copy()
    factors = np.linspace(0, 1.4, 15)
    curve = measure_wisp_curve(image, np.zeros(image.shape, bool), wisp, factors)
    assert factors[curve.argmin()] == pytest.approx(0.7)
    assert curve[0] > 3 * curve.min()
    assert_allclose(curve.min(), WHITE / 8, rtol=0.15)
    np.testing.assert_array_equal(image, before)


def test_the_hidden_part_of_a_wisp_does_not_hang_on_its_noise(rng):
    wisp = np.zeros((SIZE, SIZE))
    wisp[100:300, 96:296] = 0.1
    mask = np.zeros(wisp.shape, bool)
    mask[104:304, 96:146] = True
    mask[400:] = True  # where no wisp is
    noisy = wisp + 0.02 * rng.normal(size=wisp.shape)
    # Bins at the edge, half in light, count as a whole: 26 x 25 of them, 25 x 6.25 under the mask.
    assert hidden_share(mask, wisp) == pytest.approx(0.25, abs=0.01)
    assert hidden_share(mask, noisy) == pytest.approx(hidden_share(mask, wisp), abs=0.02)
    assert hidden_share(np.ones(wisp.shape, bool), wisp) == 1
    assert np.isnan(hidden_share(mask, np.zeros(wisp.shape)))
