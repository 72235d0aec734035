"""Images as colours: the stretch, what a colour stands for, ticks, shrinking."""

import numpy as np
import pytest

from detectorist.figures.stretch import Stretch, coloured, difference_stretch, limits_of, shrink, stretch_of


def test_pictures_are_shrunk_by_averaging_and_stand_upright():
    image = np.arange(16.0).reshape(4, 4)
    image[0, 0] = np.nan
    np.testing.assert_allclose(shrink(image, 2), [[np.mean([1, 4, 5]), 4.5], [10.5, 12.5]])
    assert shrink(image, 4) is image
    pixels = coloured(np.array([[0.0, 0.0], [1.0, np.nan]]), Stretch(0, 1))
    assert pixels.shape == (2, 2, 3)
    assert tuple(pixels[0, 1]) == (128, 128, 128)  # not a number, and the last row is on top
    assert tuple(pixels[1, 0]) == tuple(pixels[1, 1])


def test_a_stretch_exists_for_any_image():
    assert limits_of(np.full((3, 3), np.nan)) == (0.0, 1.0)
    assert limits_of(np.zeros((3, 3))) == (0.0, 1.0)
    for image in (np.full((3, 3), np.nan), np.zeros((3, 3)), np.arange(9.0)):
        stretch = stretch_of(image)
        assert stretch.high > stretch.low
        assert difference_stretch(image).high > 0
        assert np.isfinite(stretch.scale(np.array([stretch.low, stretch.high]))).all()


def test_a_stretch_shows_noise_and_bright_sources(rng):
    image = 5 + 0.1 * rng.normal(size=(200, 200))
    image[50:60, 50:60] += 1000
    stretch = stretch_of(image)
    colours = stretch.indexes(image)
    # The noise of the sky spans a good part of the colours, and a source a thousand times brighter has one of its own.
    assert np.ptp(colours[100:, 100:].astype(int)) > 50
    assert colours[55, 55] > colours[100:, 100:].max()
    assert stretch.low < 5 - 0.2 < 5 < stretch.high


def test_the_same_value_has_the_same_colour_before_and_after(rng):
    before, after = rng.normal(size=(50, 50)) + 3, rng.normal(size=(50, 50))
    stretch = stretch_of(before, after)
    assert stretch.low <= max(before.min(), after.min()) or stretch.low < 0
    np.testing.assert_array_equal(stretch.indexes(before), stretch.indexes(before.copy()))


@pytest.mark.parametrize("stretch", [Stretch(-3, 200, soft=1.0, middle=0.1), Stretch(0, 1), Stretch(-2, 2, 0, 0, True)])
def test_colours_can_be_read_back(stretch):
    from detectorist.report.image_view import _values

    told = _values(stretch)
    assert told[0] == pytest.approx(stretch.low)
    assert told[-1] == pytest.approx(stretch.high)
    np.testing.assert_array_equal(stretch.indexes(told), np.arange(255))
    assert len({tuple(colour) for colour in stretch.palette()}) >= 255  # each colour stands for one value


@pytest.mark.parametrize(
    "stretch",
    [
        Stretch(-3, 200, soft=1.0, middle=0.1),
        Stretch(0.25, 0.7, soft=0.02, middle=0.3),
        Stretch(0, 100),
        Stretch(-0.004, 0.004, difference=True),
        Stretch(1e-5, 3e-5),
        Stretch(995, 1010, soft=2, middle=1000),
    ],
)
def test_ticks_are_round_and_apart(stretch):
    ticks = stretch.ticks()
    assert 3 <= len(ticks) <= 9
    assert all(stretch.low <= tick <= stretch.high for tick in ticks)
    places = stretch.scale(np.array(ticks))
    assert np.all(np.diff(places) > 0.1)
    assert all(len(f"{tick:.4g}".replace("-", "").replace(".", "").lstrip("0")) <= 7 for tick in ticks)


@pytest.mark.parametrize("shape", [(100, 70), (97, 301), (5, 200)])
def test_a_shrunk_image_has_the_means_of_its_blocks(rng, shape):
    image = rng.normal(size=shape).astype(np.float32)
    size = -(-max(shape) // 32)
    rows, columns = min(size, shape[0]), min(size, shape[1])
    image[0, :columns] = np.nan
    small = shrink(image, 32)
    assert small.shape == (shape[0] // rows, shape[1] // columns)
    for y, x in np.ndindex(small.shape):
        block = image[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns]
        wanted = np.nan if np.isnan(block).all() else np.nanmean(block)
        np.testing.assert_allclose(small[y, x], wanted, atol=1e-6)
    assert not np.isnan(shrink(np.nan_to_num(image), 32)).any()
