"""Random numbers: streams are independent, and 1/f noise has the slope asked for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.core.random_streams import one_over_f, stream


class TestStreams:
    def test_same_key_same_numbers(self):
        assert_array_equal(stream(3, "emi", 5).random(4), stream(3, "emi", 5).random(4))

    @pytest.mark.parametrize("other", [(4, "emi", 5), (3, "drift", 5), (3, "emi", 6)])
    def test_another_key_other_numbers(self, other):
        a, b = stream(3, "emi", 5).normal(size=5_000), stream(*other).normal(size=5_000)
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(5_000)

    def test_one_over_f_has_the_slope_asked_for(self):
        power = np.mean(
            [np.abs(np.fft.rfft(one_over_f(1024, stream(k, "x")) * np.hanning(1024))) ** 2 for k in range(200)], axis=0
        )
        frequency = np.arange(power.size)
        used = slice(8, 300)
        slope = np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0]
        assert_allclose(slope, -1.0, atol=0.06)

    def test_one_over_f_is_normalised(self, rng):
        series = one_over_f(50, rng)
        assert_allclose([series.mean(), series.std()], [0, 1], atol=1e-12)
        assert_array_equal(one_over_f(1, rng), [0.0])
