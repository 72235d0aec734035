"""Ramps: light without noise, and the drifts of outputs."""

import numpy as np

from detectorist.detectors import NIRCAM
from detectorist.simulate.imaging.scene import ImagingScene

NOISE = ("photon_noise", "read_noise", "flicker", "drift", "columns", "reset_noise")
EVENTS = ("cosmic_rays", "snowballs", "bad_pixels")
QUIET = ImagingScene().with_detector(size=64, outputs=1, pattern="RAPID").without(*NOISE, *EVENTS)


def read(scene, *, n_groups=4, ints=1, seed=3, integration=0):
    observation = scene.observe(ints=ints, groups=n_groups, seed=seed)
    light = observation.sources() + observation.sky() + observation.wisp()
    return observation, light, observation.read_out(0, integration, light)


def test_truth_tells_the_slope_of_each_output():
    left_out = ("sky", "stars", "galaxies", "wisps", "dark", "ipc", "flat", "nonlinearity", *EVENTS)
    only_drift = [name for name in NOISE if name != "drift"]
    scene = ImagingScene().with_detector(size=64, outputs=4).without(*left_out, *only_drift)
    observation, _, readout = read(scene.with_("drift", walk_e=500.0), n_groups=6)
    rate = np.polyfit(observation.window.group_times_s(6), readout.raw.reshape(6, -1), 1)[0].reshape(64, 4, 16)
    assert np.ptp(readout.levels) > 0.1
    np.testing.assert_allclose(rate.mean(axis=(0, 2)), readout.levels, rtol=1e-3, atol=0.05)


def test_a_ramp_without_noise_rises_by_the_light():
    scene = QUIET.without("nonlinearity", "ipc").with_("sky", level_dn_s=400.0).with_detector(pattern="SHALLOW4")
    observation, light, readout = read(scene, n_groups=5)
    times = observation.window.group_times_s(5)
    rate = np.polyfit(times, readout.raw.reshape(5, -1), 1)[0].reshape(64, 64)
    gain = NIRCAM["NRCB4"].gain
    expected = light * observation.patterns.response + observation.patterns.dark_e_s / gain
    np.testing.assert_allclose(rate, expected, atol=2 / (times[-1] - times[0]))
