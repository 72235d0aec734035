"""Light that changes too much from place to place for a wide surface."""

import numpy as np
import pytest

from detectorist.algorithms.images.steep_light import tell_steep_light

SIZE, WHITE = 400, 1.0


def edge_on(scale, *, along):
    """Light of a galaxy along the rows or the columns that falls by e in `scale` pixels across."""
    across = np.abs(np.arange(SIZE) - SIZE / 2 + 0.5)
    light = np.repeat(3 * np.exp(-across / scale)[:, None], SIZE, axis=1)
    return light if along == "rows" else light.T


def tell(light):
    mask = light > 0.02
    known = mask & (light < WHITE)
    return tell_steep_light(np.where(known, light, 0), known, mask, white=WHITE), known


def test_the_outskirts_of_a_galaxy_along_the_rows_are_steep():
    light = edge_on(15, along="rows")
    steep, known = tell(light)
    assert not (steep & ~known).any()
    assert steep[known & (light > 0.15)].all()
    assert not steep[light < 0.09].any()


def test_outskirts_that_fade_slowly_are_wide():
    assert not tell(edge_on(100, along="rows"))[0].any()


def test_rows_that_other_pixels_tell_keep_all():
    """Across a galaxy along the columns a row has few steep pixels."""
    assert not tell(edge_on(8, along="columns"))[0].any()


def test_rows_whose_other_pixels_are_dark_keep_all():
    """Bright outskirts across the columns, of a sixth of a pixel's noise over all of a row; most of it is dark."""
    light = edge_on(30, along="columns")
    used = light < WHITE
    assert light[used].sum() > 0.17 * WHITE * used.sum()
    assert not tell(light)[0].any()


@pytest.mark.parametrize("shape", [(401, 398), (402, 399)])
def test_any_shape_is_taken(shape):
    light = np.resize(edge_on(15, along="rows"), shape)
    nothing = np.zeros(shape, bool)
    assert tell_steep_light(light, nothing, light > 0.02, white=WHITE).shape == shape
    assert not tell_steep_light(light, nothing, light > 0.02, white=WHITE).any()
