"""Inter-pixel capacitance and its correction."""

import numpy as np
import pytest

from detectorist.simulate.imaging.ipc import coupling_kernel, decoupling_kernel


def test_capacitance_is_undone_to_second_order():
    image = np.zeros((9, 9))
    image[4, 4] = 1.0
    from scipy.ndimage import convolve

    seen = convolve(image, coupling_kernel(0.005))
    assert seen[4, 5] == pytest.approx(0.005)
    undone = convolve(seen, decoupling_kernel(0.005))
    np.testing.assert_allclose(undone, image, atol=2e-4)
    assert decoupling_kernel(0.0) == pytest.approx(np.pad([[1.0]], 1))
