"""The level of a wisp template where there is no wisp."""

import numpy as np
import pytest

from detectorist.algorithms.wisps.template_level import dark_level

SHAPE = (512, 500)
WHITE = 0.004


@pytest.fixture
def wisp():
    """A broad wisp over a third of the frame, 0.2 at most."""
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return 0.2 * np.exp(-((np.hypot(yy - 100, xx - 60) - 260) ** 2) / 2500)


@pytest.mark.parametrize("level", [-0.03, 0.0, 0.012, 0.5])
def test_a_level_is_told_beside_wisp_residuals_and_holes(rng, wisp, level):
    template = wisp + level + WHITE * rng.normal(size=SHAPE)
    template[300:380, 200:280] -= 0.1
    for y, x in rng.integers(20, 480, (40, 2)):
        template[y - 5 : y + 5, x - 5 : x + 5] += rng.uniform(-0.1, 0.4)
    template[:40] = np.nan
    before = template.copy()
    # The mean error of a bin is WHITE / 16, and a sixteenth of the 1024 bins is behind the level.
    assert dark_level(template) == pytest.approx(level, abs=3 * WHITE / 16)
    np.testing.assert_array_equal(template, before)


def test_a_template_that_is_zero_off_the_wisp_has_no_level(wisp):
    assert dark_level(np.where(wisp > 0.02, wisp, 0)) == 0.0


def test_nothing_finite_has_no_level():
    assert dark_level(np.full((40, 40), np.nan)) == 0.0
