"""Simulated coronagraphic exposures: everything determined by a seed, made integration by integration."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from detectorist.simulate.core import miri_detector, nircam_detector
from detectorist.simulate.core.exposure_times import SECONDS_PER_DAY, Clock
from detectorist.simulate.core.noise import expected_slope_noise
from detectorist.simulate.core.pointing import Pointing, draw_pointing
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.coron import nircam_readout, sky
from detectorist.simulate.coron.components import CoronComponents
from detectorist.simulate.coron.programme import BETWEEN_EXPOSURES_S, START_MJD, Visit, plan_visits

#: Positions of the small grid in units of its step.
_GRID = ((0.0, 0.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, 1.0), (1.0, -1.0))
#: Random streams of exposure e, integration i are numbered e * this + i.
_NUMBERS = 10_000


class Light(NamedTuple):
    """The parts of an exposure's light in one integration, (ny, nx) each, DN/s, before any flat."""

    star: np.ndarray
    companion: np.ndarray
    background: np.ndarray
    outliers: np.ndarray

    @property
    def steady(self) -> np.ndarray:
        """All but the excess of outlying integrations."""
        return self.star + self.companion + self.background


class CoronExposures:
    """The exposures of a scene, determined by a seed. Integrations are made one by one.

    Attributes
    ----------
    scene : CoronComponents
    n_ints, n_groups, seed : int
    visits : tuple of Visit
    """

    def __init__(
        self,
        scene: CoronComponents,
        *,
        n_ints: int,
        n_groups: int,
        rolls: int,
        dithers: int,
        backgrounds: bool,
        seed: int,
    ):
        self.scene, self.n_ints, self.n_groups, self.seed = scene, n_ints, n_groups, seed
        self.mode = scene.mode
        self.visits = plan_visits(rolls=rolls, dithers=dithers, backgrounds=backgrounds)

    @property
    def is_nircam(self) -> bool:
        """Whether the instrument is NIRCam, not MIRI."""
        return self.mode.instrument == "NIRCAM"

    @cached_property
    def window(self) -> nircam_detector.Window:
        """The part of NIRCam's detector that is read."""
        return nircam_readout.window_of(self.scene)

    @cached_property
    def patterns(self) -> nircam_readout.CoronPatterns | miri_detector.FixedPatterns:
        """The detector's fixed patterns."""
        if self.is_nircam:
            return nircam_readout.coron_patterns(self.scene, self.window)
        return miri_detector.fixed_patterns(self.scene)

    @property
    def frame_time_s(self) -> float:
        """Time of a frame, s."""
        return self.window.frame_time_s if self.is_nircam else self.scene.subarray.frame_time_s

    @property
    def frames_of_group(self) -> tuple[int, int]:
        """Frames averaged per group, and skipped between groups."""
        return (self.window.n_frames, self.window.n_skipped) if self.is_nircam else (1, 0)

    @property
    def group_time_s(self) -> float:
        """Time from group to group, s."""
        return sum(self.frames_of_group) * self.frame_time_s

    @property
    def gain(self) -> float:
        """Electrons per DN."""
        return nircam_detector.gain_of(self.scene) if self.is_nircam else self.scene.detector.gain

    @property
    def read_noise_dn(self) -> float:
        """White noise of one read, DN; 0 where it is left out."""
        if self.is_nircam:
            return nircam_detector.read_noise_e(self.scene) / self.gain
        return self.scene.read_noise.rms_dn if self.scene.has("read_noise") else 0.0

    def clock(self, visit: Visit) -> Clock:
        """Return when the integrations of an exposure begin and end."""
        start = START_MJD + visit.number * BETWEEN_EXPOSURES_S / SECONDS_PER_DAY
        return Clock(start, self.frame_time_s, self.n_groups, self.n_ints, *self.frames_of_group)

    @cached_property
    def pointing(self) -> Pointing:
        """Offsets of the star behind its mask in all integrations of all exposures, one after the other."""
        jitter = self.scene.jitter if self.scene.has("jitter") else None
        return draw_pointing(jitter, len(self.visits) * self.n_ints, self.seed)

    def offset_arcsec(self, visit: Visit) -> tuple[float, float]:
        """Return the dither of an exposure, (x, y)."""
        step = self.scene.dither.step_arcsec if self.scene.has("dither") else 0.0
        x, y = _GRID[visit.dither]
        return step * x, step * y

    def offset_pix(self, visit: Visit, integration: int) -> tuple[float, float]:
        """Return the offset of the star behind its mask, dither and pointing together, (x, y)."""
        x, y = self.offset_arcsec(visit)
        scale, k = self.mode.pixel_scale_arcsec, visit.number * self.n_ints + integration
        return x / scale + float(self.pointing.x_pix[k]), y / scale + float(self.pointing.y_pix[k])

    def companion_place(self, visit: Visit) -> tuple[float, float] | None:
        """Return (x, y) of the companion, pixels from 0; None where there is none."""
        if visit.kind != "SCI" or not self.scene.has("companion"):
            return None
        return sky.companion_place(self.scene.companion, self.mode.centre, visit.roll_deg, self.mode.pixel_scale_arcsec)

    def light(self, visit: Visit, integration: int) -> Light:
        """Return the light of one integration (from 0)."""
        scene, mode = self.scene, self.mode
        x, y = self.offset_pix(visit, integration)
        star = sky.moved(self._star(visit), x, y)
        place = self.companion_place(visit)
        companion = np.zeros(mode.shape)
        if place is not None:
            companion = sky.companion_image(scene.companion, mode.shape, (place[0] + x, place[1] + y))
        background = np.zeros(mode.shape)
        if scene.has("background"):
            background = sky.background_image(scene.background, mode.shape, mode.centre)
        steady = star + companion + background
        return Light(star, companion, background, self._outliers(steady, visit.number * _NUMBERS + integration))

    def _star(self, visit: Visit) -> np.ndarray:
        scene, mode = self.scene, self.mode
        if visit.is_background or not scene.has("star") or (visit.is_reference and not scene.has("reference")):
            return np.zeros(mode.shape)
        if visit.observation not in self._stars:
            change = scene.reference.speckle_change if visit.is_reference else 0.0
            speckles = sky.speckle_field(scene.star, mode.shape, change=change, change_key=visit.observation)
            image = sky.star_image(scene.star, mode.shape, mode.centre, speckles, quadrants=mode.quadrants)
            self._stars[visit.observation] = image * (scene.reference.brightness if visit.is_reference else 1.0)
        return self._stars[visit.observation]

    @cached_property
    def _stars(self) -> dict[int, np.ndarray]:
        return {}

    def _outliers(self, steady: np.ndarray, number: int) -> np.ndarray:
        if not self.scene.has("outliers"):
            return np.zeros(self.mode.shape)
        outliers = self.scene.outliers
        rng = stream(self.seed, "outliers", number)
        struck = rng.random(self.mode.shape) < outliers.fraction
        sigma = np.exp(rng.uniform(*np.log((outliers.min_sigma, outliers.max_sigma)), size=self.mode.shape))
        return np.where(struck, sigma * self.expected_noise(steady), 0.0)

    def collected_rate(self, light: np.ndarray) -> np.ndarray:
        """Return the rate collected under `light` (ny, nx), dark current and hot pixels included, DN/s."""
        if self.is_nircam:
            return nircam_detector.collected_rate(self.scene, self.patterns.fixed, light)
        return miri_detector.collected_rate(self.scene, self.patterns, light)

    def expected_noise(self, light: np.ndarray, n_groups: int | None = None) -> np.ndarray:
        """Return photon and read noise of the best slope over consecutive groups (by default all), (ny, nx), DN/s."""
        rate = self.collected_rate(light)
        return expected_slope_noise(
            rate if self.scene.has("photon_noise") else np.zeros_like(rate),
            gain=self.gain,
            read_noise_dn=self.read_noise_dn,
            group_time_s=self.group_time_s,
            n_groups=self.n_groups if n_groups is None else n_groups,
            n_frames=self.frames_of_group[0],
            frame_time_s=self.frame_time_s,
        )

    def read_out(
        self, visit: Visit, integration: int, light: Light | None = None
    ) -> nircam_readout.CoronReadout | miri_detector.Readout:
        """Return one integration as the detector writes it, with the random draws behind it."""
        light = self.light(visit, integration) if light is None else light
        total, number = light.steady + light.outliers, visit.number * _NUMBERS + integration
        if self.is_nircam:
            return nircam_readout.read_out(
                self.scene, self.window, self.patterns, total, n_groups=self.n_groups, seed=self.seed, number=number
            )
        return miri_detector.read_out(
            self.scene,
            self.patterns,
            total,
            n_groups=self.n_groups,
            seed=self.seed,
            integration=number,
            first=integration == 0,
        )

    def stem(self, visit: Visit) -> str:
        """Return the beginning of an exposure's file names."""
        root = f"jw09999{visit.observation:03d}001_03102_{visit.exposure:05d}"
        return f"{root}_{self.mode.detector.lower()}"
