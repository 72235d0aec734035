"""Charge that full pixels pass on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.coron.charge_spill import spill_charge


class TestSpill:
    def test_nothing_spills_below_the_well(self, rng):
        electrons = rng.uniform(0, 900, (3, 8, 8)).cumsum(axis=0)
        assert_array_equal(spill_charge(electrons, 3_000.0, 0.6), electrons)

    def test_one_full_pixel_feeds_its_four_neighbours(self):
        electrons = np.zeros((3, 7, 7))
        electrons[:, 3, 3] = 800, 1_600, 2_400
        held = spill_charge(electrons, 1_000.0, 0.6)
        assert_allclose(held[:, 3, 3], [800, 1_000, 1_000])
        for place in ((2, 3), (4, 3), (3, 2), (3, 4)):
            assert_allclose(held[:, *place], [0, 600 * 0.15, 1_400 * 0.15])
        assert held[:, 2, 2].max() == 0

    def test_full_neighbours_pass_on_and_no_charge_is_made(self):
        electrons = np.zeros((4, 15, 15))
        electrons[:, 7, 7] = np.array([5_000, 10_000, 20_000, 30_000])
        held = spill_charge(electrons, 1_000.0, 1.0)
        assert held.max() <= 1_000
        assert held[-1, 7, 9] > 0
        assert np.all(np.diff(held, axis=0) >= -1e-9)
        assert np.all(held.sum(axis=(1, 2)) <= electrons.sum(axis=(1, 2)) + 1e-6)

    def test_charge_arrives_also_where_light_falls(self):
        electrons = np.full((2, 5, 5), 300.0) * np.array([1, 2])[:, None, None]
        electrons[:, 2, 2] = 900, 1_800
        held = spill_charge(electrons, 1_000.0, 0.5)
        assert held[1, 2, 3] == pytest.approx(600 + 800 / 8)
        assert held[1, 0, 0] == 600
