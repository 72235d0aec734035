"""Where a wisp lies: told where its template is out of place, and not where it is right."""

import numpy as np
import pytest

from detectorist.algorithms.wisps.wisp_place import find_wisp_place

SIZE, WHITE = 512, 0.02
Y, X = np.mgrid[:SIZE, :SIZE].astype(float)


def arc(y0, x0, radius, width, length, light):
    across = np.hypot(Y - y0 - radius, X - x0) - radius
    return light * np.exp(-0.5 * (across / width) ** 2 - (np.abs(X - x0) / length) ** 3)


TEMPLATE = arc(170, 250, 300, 10, 130, 0.1) + arc(320, 290, 160, 14, 90, 0.07)


def galaxies(rng, n):
    light = np.zeros((SIZE, SIZE))
    for y, x, peak, width in zip(*rng.uniform(0, SIZE, (2, n)), rng.lognormal(0, 1, n), rng.uniform(3, 8, n)):  # noqa: B905
        light += peak * np.exp(-np.hypot(Y - y, X - x) / width)
    return light


def stripes(rng):
    return np.repeat(rng.normal(0, 0.01, (SIZE, 4)), SIZE // 4, axis=1)


def image_of(rng, wisp, n_galaxies=6):
    return 0.3 + wisp + galaxies(rng, n_galaxies) + stripes(rng) + WHITE * rng.normal(size=(SIZE, SIZE))


NOTHING_BAD = np.zeros((SIZE, SIZE), bool)


@pytest.mark.parametrize("moved", [(24, 24), (0, -32), (-48, 16)])
@pytest.mark.parametrize("strength", [0.8, 1.5])
def test_a_template_out_of_place_is_told_with_its_direction(rng, moved, strength):
    image = image_of(rng, strength * np.roll(TEMPLATE, moved, (0, 1)), n_galaxies=3)
    place = find_wisp_place(image, NOTHING_BAD, TEMPLATE)
    assert np.abs(np.subtract(place.displacement, moved)).max() <= 8
    assert place.sigma_there > place.sigma + 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wisp", [0 * TEMPLATE, TEMPLATE, np.roll(TEMPLATE, (2, -2), (0, 1)), TEMPLATE * X / SIZE])
def test_a_template_in_its_place_raises_no_alarm(seed, wisp):
    rng = np.random.default_rng(seed)
    assert find_wisp_place(image_of(rng, wisp), NOTHING_BAD, TEMPLATE).displacement == (0, 0)


def test_gaps_are_no_wisp(rng):
    image, template, bad = image_of(rng, TEMPLATE), TEMPLATE.copy(), NOTHING_BAD.copy()
    bad[100:180, 200:330] = True
    image[bad], template[:40] = np.nan, np.nan
    assert find_wisp_place(image, bad, template).displacement == (0, 0)


@pytest.mark.parametrize(
    ("image", "template"),
    [
        (np.ones((SIZE, SIZE)), TEMPLATE),
        (np.full((SIZE, SIZE), np.nan), TEMPLATE),
        (np.random.default_rng(0).normal(size=(SIZE, SIZE)), np.zeros((SIZE, SIZE))),
        (np.random.default_rng(0).normal(size=(64, 64)), TEMPLATE[200:264, 200:264]),
    ],
    ids=["no noise", "no data", "no light", "too small"],
)
def test_where_nothing_can_be_told_nothing_is_said(image, template):
    assert find_wisp_place(image, np.zeros(image.shape, bool), template) is None
