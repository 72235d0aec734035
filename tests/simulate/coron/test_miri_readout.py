"""What MIRI's detector makes of the light."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.coron.scene import MiriCoronScene


class TestMiriReadout:
    def test_interference_advances_by_five_eighths_of_a_cycle(self):
        scene = MiriCoronScene().only("emi").with_("emi", amplitudes_dn=((1, 50.0),))
        observed = scene.observe(ints=1, groups=9, dithers=0, backgrounds=False, seed=1)
        raw = observed.read_out(observed.visits[0], 0).raw.astype(float) - observed.patterns.pedestal_dn
        assert_allclose(raw[0], raw[8], atol=1.01)
        phase = np.exp(-2j * np.pi * 0.625 * np.arange(8))[:, None, None]
        amplitude = 2 * np.abs((raw[:8] * phase).mean(axis=0))
        assert_allclose(amplitude, 50.0, atol=1.0)

    def test_first_and_last_frame_stand_out(self):
        scene = MiriCoronScene().only("background", "first_frame", "last_frame")
        observed = scene.observe(ints=1, groups=6, dithers=0, backgrounds=False)
        ramp = observed.read_out(observed.visits[0], 0).raw[:, :, 10:].astype(float)
        assert (ramp[0] - (2 * ramp[1] - ramp[2])).mean() == pytest.approx(-80, abs=1)
        missing = 2 * ramp[-2] - ramp[-3] - ramp[-1]
        assert missing[0::2].mean() == pytest.approx(60, abs=3)
        assert missing[1::2].mean() == pytest.approx(25, abs=3)

    def test_only_the_first_integration_of_every_exposure_starts_afresh(self):
        scene = MiriCoronScene().only("background", "reset_decay")
        observed = scene.observe(ints=2, groups=5, rolls=2, dithers=0, backgrounds=False)
        first = [observed.read_out(visit, 0).raw for visit in observed.visits]
        second = observed.read_out(observed.visits[1], 1).raw
        assert_array_equal(*first)
        assert (second.astype(float) - first[1])[0, :, 10:].mean() == pytest.approx(100, abs=2)
