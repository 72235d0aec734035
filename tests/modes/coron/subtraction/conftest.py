"""A subtraction made of chosen numbers, without one being run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectorist.algorithms.stars.contrast import Companion, ContrastCurve, PointSource
from detectorist.algorithms.stars.karhunen_loeve import Modes
from detectorist.algorithms.stars.star_alignment import Alignment
from detectorist.algorithms.stars.star_subtraction import Ring, SubtractedStar
from detectorist.modes.coron.subtraction.images import CoronImage
from detectorist.modes.coron.subtraction.settings import SubtractionSettings
from detectorist.modes.coron.subtraction.subtract import SubtractedExposure, SubtractedTarget

SIZE, CENTRE = 31, (15.0, 15.0)
RADII = np.array([4.0, 8.0, 12.0])


@pytest.fixture
def make_image():
    """Return a function that makes an image of NIRCam in MJy/sr; the columns' direction in degrees."""

    def make(name="t1", angle=0.0, **changed):
        data = np.zeros((SIZE, SIZE))
        path = Path(f"/data/{name}_cal.fits")
        image = CoronImage(path, data, np.ones_like(data), CENTRE, 0.063, angle, "MJy/sr", "F335M", 1e-7)
        return replace(image, **changed)

    return make


@pytest.fixture
def make_exposure(make_image):
    """Return a function that makes an exposure whose companions are given as (separation, angle, flux, its error)."""

    def make(name="t1", angle=0.0, companions=(), noise=0.5, data=None, **changed):
        image = make_image(name, angle, **changed)
        data = np.zeros((SIZE, SIZE)) if data is None else data
        aligned = Alignment(np.full(data.shape, 3.0), np.ones(data.shape, bool), 1.5, (0.25, -0.5), 0.1)
        ring = Ring(np.arange(data.size), Modes(np.zeros((2, data.size)), np.zeros((2, 1))), np.ones(1))
        star = SubtractedStar(data, np.full(data.shape, 4.0), image.centre, (ring,), (aligned,))
        curve = ContrastCurve(RADII, np.full(3, noise), 6 * np.full(3, noise), np.array([8.0, 16.0, 24.0]))
        found = tuple(
            one and Companion(image.place(*one[:2]), (0.1, 0.3), one[2], one[3], 0.8 + 0.1 * (noise > 1))
            for one in companions
        )
        throughput = (np.array([4.0, 12.0]), np.array([0.6, 1.0]))
        return SubtractedExposure(image, star, data.copy(), throughput, curve, found)

    return make


@pytest.fixture
def make_target(make_image):
    """Return a function that makes a target of exposures."""

    def make(*exposures, **settings):
        source = PointSource(np.ones((5, 5)), 2.0)
        curve = ContrastCurve(RADII, np.full(3, 0.25), np.full(3, 1.5), np.array([8.0, 16.0, 24.0]))
        image = np.zeros((SIZE, SIZE))
        references = (make_image("r1"),)
        return SubtractedTarget(
            exposures, references, source, image, image.copy(), curve, SubtractionSettings(**settings)
        )

    return make
