"""A response that sets in late, as corrections derived from the data themselves assume."""

import numpy as np
import pytest

from detectorist.simulate.core import detector
from detectorist.simulate.lrs.components import late_curve

LATE_CURVE = late_curve(pedestal_dn=9_000.0)


def test_late_curve_is_straight_before_it_sets_in():
    curve = detector.Nonlinearity(LATE_CURVE)
    early = np.linspace(5_000, 20_000, 200)
    measured = curve.measured(early)
    line = np.polyfit(early, measured, 1)
    assert np.max(np.abs(measured - np.polyval(line, early))) < 1e-3 * early.max()
    assert np.polyval(line, 50_000) == pytest.approx(50_000, rel=2e-4)
    assert 1 - curve.measured(np.array(50_000.0)) / 50_000 == pytest.approx(0.06, abs=1e-6)
