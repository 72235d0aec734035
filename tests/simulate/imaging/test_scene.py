"""The NIRCam scene: what can be left out, and what is refused."""

import numpy as np
import pytest

from detectorist.errors import ParameterError
from detectorist.simulate.imaging.scene import ImagingScene


def read(scene, *, n_groups=4, ints=1, seed=3, integration=0):
    observation = scene.observe(ints=ints, groups=n_groups, seed=seed)
    light = observation.sources() + observation.sky() + observation.wisp()
    return observation, light, observation.read_out(0, integration, light)


def test_components_can_be_left_out_and_nothing_else_changes():
    scene = ImagingScene().with_detector(size=64, pattern="RAPID").without("bad_pixels")
    _, _, whole = read(scene)
    _, _, part = read(scene.without("cosmic_rays"))
    changed = np.any(whole.raw != part.raw, axis=0)
    struck = np.zeros((64, 64), bool)
    struck[whole.hits.row, whole.hits.column] = True
    # Capacitance spreads charge to the four neighbours.
    grown = struck | np.roll(struck, 1, 0) | np.roll(struck, -1, 0) | np.roll(struck, 1, 1) | np.roll(struck, -1, 1)
    assert not np.any(changed & ~grown)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ParameterError, match="snowballs"):
        ImagingScene().without("snowbals")
    with pytest.raises(ParameterError, match="MEDIUM8"):
        ImagingScene().with_detector(pattern="MEDUIM8")
    with pytest.raises(ParameterError, match="NRCB4"):
        ImagingScene().with_detector(name="NRCB44")
    with pytest.raises(ParameterError, match="outputs"):
        ImagingScene().with_detector(size=66, outputs=4)
