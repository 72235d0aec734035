"""The fit of the white light curve: what a run measures and its report shows is fitted once."""

import numpy as np
import pytest

from detectorist.algorithms.spectra.light_curves import LightCurve
from detectorist.modes.lrs import measurements


@pytest.fixture
def fits(monkeypatch):
    found, original = [], measurements.fit_quick_transit
    monkeypatch.setattr(measurements, "fit_quick_transit", lambda *a, **k: found.append(a) or original(*a, **k))
    measurements._fit_once.cache_clear()
    yield found
    measurements._fit_once.cache_clear()


def test_equal_light_curves_are_fitted_once(rng, fits):
    n = 30
    arrays = {name: 0.01 * rng.normal(size=n) for name in measurements.REGRESSORS}
    arrays["time_mjd_utc"] = 60000 + np.arange(n) / 48
    white = LightCurve(1 + 1e-3 * rng.normal(size=n), np.full(n, 1e-3))
    first = measurements.fit_white_light(white, arrays)
    again = measurements.fit_white_light(white, {name: values.copy() for name, values in arrays.items()})
    assert len(fits) == 1
    np.testing.assert_array_equal(first.model, again.model)
    moved = {**arrays, "x_shift": arrays["x_shift"][::-1]}
    measurements.fit_white_light(white, moved)
    assert len(fits) == 2
