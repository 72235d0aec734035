"""Running medians are those of scipy, at the borders too."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.median_filter import median_filter


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("box", [1, 3, 5, (1, 25), (5, 1), (3, 7)])
@pytest.mark.parametrize("shape", [(40, 300), (300, 20), (5, 13)])
def test_running_medians_are_those_of_scipy(rng, kind, box, shape):
    rows, columns = np.broadcast_to(box, 2)
    if rows // 2 > shape[0] or columns // 2 > shape[1]:
        pytest.skip("mirrored more than once")
    image = rng.normal(size=shape).astype(kind)
    found = median_filter(image, box)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, ndimage.median_filter(image, box))


def test_an_image_in_the_order_of_columns_is_no_other(rng):
    image = rng.normal(size=(30, 40))
    np.testing.assert_array_equal(median_filter(np.asfortranarray(image), 3), median_filter(image, 3))
    np.testing.assert_array_equal(median_filter(image[::-1], 3), median_filter(image, 3)[::-1])


def test_equal_values_and_infinite_ones_are_in_order():
    image = np.repeat([[1.0, np.inf, 1.0, -np.inf, 2.0]], 5, axis=0)
    np.testing.assert_array_equal(median_filter(image, 3), ndimage.median_filter(image, 3))


def test_a_box_has_a_middle():
    with pytest.raises(ValueError, match="odd"):
        median_filter(np.zeros((4, 4)), (2, 3))
