"""The profile model recovers what was put in, in units of its errors, and finds what does not belong."""

import numpy as np
import pytest
from scipy.special import ndtr

from detectorist.algorithms.profile import clean_outliers


class Scene:
    """Frames of a trace on a background, with the truth: (n_ints, n_rows, n_cols)."""

    def __init__(self, rng, *, n_ints=2, n_rows=120, n_cols=72, centre=36.0, flux=2500.0, background=50.0, gain=55.0,
                 width=1.7):  # fmt: skip
        rows, cols = np.arange(n_rows), np.arange(n_cols)
        line = 1 - 0.4 * np.exp(-0.5 * ((rows - n_rows / 3) / 2.0) ** 2)
        self.spectrum = flux * np.exp(-rows / n_rows) * line
        sigma = width + 0.3 * rows / n_rows
        middle = centre + 0.3 * rows / n_rows
        edges = (np.arange(n_cols + 1)[None] - 0.5 - middle[:, None]) / sigma[:, None]
        self.profile = np.diff(ndtr(edges), axis=1)
        self.level = background * (1 + 0.5 * rows / n_rows)
        self.truth = np.broadcast_to(
            self.spectrum[:, None] * self.profile + self.level[:, None], (n_ints, n_rows, n_cols)
        )
        self.err = np.sqrt(np.clip(self.truth, 0, None) / gain + 9.0)
        self.data = self.truth + self.err * rng.normal(size=self.truth.shape)
        self.dq = np.zeros(self.truth.shape, np.uint32)
        self.cols = cols


def test_core(rng):
    scene = Scene(rng)
    found = clean_outliers(scene.data, scene.err, scene.dq, outlier_threshold=6.0)
    assert found.replaced.sum() == 0
    np.testing.assert_allclose(found.profile.sum(axis=2), 1.0, atol=1e-5)
