"""Simulated NIRCam exposures: everything determined by a seed, made integration by integration."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from detectorist.simulate.core import nircam_detector
from detectorist.simulate.core.nircam_detector import FixedPatterns
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.imaging import readout, sky
from detectorist.simulate.imaging.components import ImagingComponents
from detectorist.simulate.imaging.window import make_window

#: Integrations that one exposure may have: random streams are numbered through all exposures.
MAX_INTS = 1000
#: Largest dither between exposures, pixel.
_DITHER_PIX = 40.0


class ImagingExposures:
    """Dithered exposures of a scene, determined by a seed. Integrations are made one by one.

    Exposures and integrations count from 0.

    Attributes
    ----------
    scene : ImagingComponents
    n_ints, n_groups, n_exposures, seed : int
    window : Window
        The part of the detector that is read, and its clocks.
    """

    def __init__(self, scene: ImagingComponents, *, n_ints: int, n_groups: int, n_exposures: int, seed: int):
        self.scene, self.seed = scene, seed
        self.n_ints, self.n_groups, self.n_exposures = n_ints, n_groups, n_exposures
        self.window = make_window(scene.detector)

    @cached_property
    def patterns(self) -> FixedPatterns:
        """The detector's fixed patterns."""
        return nircam_detector.fixed_patterns(self.scene, self.window)

    @cached_property
    def _field(self) -> list[sky.Source]:
        scene, shape = self.scene, self.window.shape
        found = sky.draw_stars(scene.stars, shape, self.seed) if scene.has("stars") else []
        return found + (sky.draw_galaxies(scene.galaxies, shape, self.seed) if scene.has("galaxies") else [])

    @cached_property
    def wisp_templates(self) -> np.ndarray | None:
        """The components of the detector's wisps, shape (2, ny, nx); None if it has none in this filter."""
        detector = self.scene.detector
        if not sky.has_wisps(detector.name, detector.filter):
            return None
        return sky.wisp_templates(detector.name, detector.filter, self.window.shape, self.scene.wisps.peak_dn_s)

    def dither(self, number: int) -> tuple[float, float]:
        """Return how far the telescope moved the field in an exposure (from 0), (x, y) in pixels."""
        if number == 0:
            return 0.0, 0.0
        x, y = stream(self.seed, "dither", number).uniform(-_DITHER_PIX, _DITHER_PIX, 2)
        return float(x), float(y)

    def sources(self, number: int = 0) -> np.ndarray:
        """Return the light of stars and galaxies in an exposure, shape (ny, nx), DN/s."""
        return sky.source_image(self._field, self.scene.stars, self.window.shape, self.dither(number))

    def sky(self) -> np.ndarray:
        """Return the light of the sky, shape (ny, nx), DN/s."""
        if not self.scene.has("sky"):
            return np.zeros(self.window.shape, np.float32)
        return sky.sky_image(self.scene.sky, self.window.shape)

    def wisp(self) -> np.ndarray:
        """Return the light of the wisps, shape (ny, nx), DN/s."""
        if self.wisp_templates is None or not self.scene.has("wisps"):
            return np.zeros(self.window.shape, np.float32)
        return np.tensordot(np.float32(self.scene.wisps.strengths), self.wisp_templates, axes=1)

    def read_out(self, number: int, integration: int, light: np.ndarray, on_group: Any = None) -> readout.Readout:
        """Return one integration of an exposure (both from 0) under `light` (ny, nx), DN/s before the flat."""
        return readout.read_out(
            self.scene,
            self.window,
            self.patterns,
            light,
            n_groups=self.n_groups,
            seed=self.seed,
            integration=integration,
            number=number * MAX_INTS + integration,
            on_group=on_group,
        )
