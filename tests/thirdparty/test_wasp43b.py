"""WASP-43b in white light, MIRI LRS, three exposures (Bell et al. 2024, Nature Astronomy 8, 879)."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectorist.algorithms.spectra.transit_models import Orbit
from detectorist.modes.lrs.spectrum.fit import fit_white_light
from detectorist.modes.lrs.spectrum.light_curve_file import read_light_curve
from detectorist.modes.lrs.spectrum.settings import FitSettings, LimbDarkening

pytestmark = pytest.mark.thirdparty

#: Published transit depth, ppm.
PUBLISHED_PPM = 24_880
ORBIT = Orbit(0.813474, 59914.621, 4.87, 82.1)
WHOLE = FitSettings(
    ORBIT,
    event="phase_curve",
    limb_darkening=LimbDarkening("quadratic", (0.05, 0.05)),
    baseline_order=0,
    n_harmonics=2,
)


@pytest.fixture(scope="module")
def curve():
    folder = os.environ.get("DETECTORIST_THIRDPARTY")
    if not folder:
        pytest.skip("DETECTORIST_THIRDPARTY is not set")
    return read_light_curve(Path(folder) / "wasp43b_lrs_white_light.csv")


def test_the_whole_phase_curve(curve):
    found = fit_white_light(curve.time, curve.flux, curve.error, WHOLE)
    fit = found.curve.fit
    assert sum("order 0" in name for name in fit.problem.names) == 3  # a level for each exposure
    assert abs(1e6 * found.depth - PUBLISHED_PPM) < 60
    white = fit_white_light(curve.time, curve.flux, curve.error, replace(WHOLE, noise="white"))
    assert 1.4 < found.depth_error / white.depth_error < 3  # red noise is there, and counted
    assert 1e6 * fit.value("eclipse_depth") == pytest.approx(5750, abs=150)  # published: 5,752 ppm
    assert fit.chi2 / fit.n_free == pytest.approx(1.02, abs=0.02)


def test_the_transit_alone(curve):
    near = np.abs(curve.time - ORBIT.mid_time) < 0.1
    settings = replace(WHOLE, event="transit", baseline_order=2)
    found = fit_white_light(curve.time[near], curve.flux[near], curve.error[near], settings)
    assert abs(1e6 * found.depth - PUBLISHED_PPM) < 60
