"""Simulated coronagraphic exposures of a target and its reference star: from the scene to files, truth, references."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectorist.simulate.core import exposure_times as exposure
from detectorist.simulate.core import miri_detector
from detectorist.simulate.core import nircam_detector as imaging_detector
from detectorist.simulate.core.noise import expected_slope_noise
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.core.truth_file import write_truth
from detectorist.simulate.coron import nircam_readout as coron_detector
from detectorist.simulate.coron import sky as coron_sky
from detectorist.simulate.lrs import sky as lrs_sky

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

    from detectorist.simulate.coron.scene import CoronagraphScene
    from detectorist.simulate.lrs.scene import Progress

#: Start of the first exposure: 2026-07-01, MJD UTC; each later one begins this much later, s.
START_MJD, BETWEEN_EXPOSURES_S = 61_222.0, 1_800.0
DATE = "2026-07-01T00:00:00.000"
#: Target and reference star: name, right ascension and declination, degrees.
TARGET, REFERENCE = ("SIMULATED HOST", 80.0, -69.5), ("SIMULATED REFERENCE", 84.0, -66.0)
FIRST_ROLL_DEG, ROLL_STEP_DEG = 100.0, 10.0
#: Positions of the small grid in units of its step.
_GRID = ((0.0, 0.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, 1.0), (1.0, -1.0))
#: Random streams of exposure e, integration i are numbered e * this + i.
_NUMBERS = 10_000
CACHE_NAME = "crds"


@dataclass(frozen=True)
class Visit:
    """One exposure of the programme.

    Attributes
    ----------
    number : int
        From 0 in the programme.
    kind : str
        SCI, REF, SCI_BG or REF_BG.
    observation : int
        OBSERVTN.
    exposure : int
        From 1 in its observation.
    roll_deg : float
    dither : int
        Position in the small grid, from 0.
    """

    number: int
    kind: str
    observation: int
    exposure: int
    roll_deg: float
    dither: int = 0

    @property
    def is_reference(self) -> bool:
        """Whether it belongs to the reference star."""
        return self.kind.startswith("REF")

    @property
    def is_background(self) -> bool:
        """Whether it is of an empty field."""
        return self.kind.endswith("_BG")


def plan_visits(*, rolls: int, dithers: int, backgrounds: bool) -> tuple[Visit, ...]:
    """Return all exposures in the order in which they are taken."""
    angles = [FIRST_ROLL_DEG + ROLL_STEP_DEG * k for k in range(rolls)]
    plan = [("SCI", k + 1, 1, angle, 0) for k, angle in enumerate(angles)]
    plan += [("REF", rolls + 1, k + 1, angles[-1], k) for k in range(dithers)]
    if backgrounds:
        plan.append(("SCI_BG", rolls + 2, 1, angles[0], 0))
        plan += [("REF_BG", rolls + 3, 1, angles[-1], 0)] if dithers else []
    return tuple(Visit(number, *visit) for number, visit in enumerate(plan))


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


class CoronObservation:
    """The exposures of a scene. Integrations are made one by one. Made by `CoronScene.observe`.

    Attributes
    ----------
    scene : CoronagraphScene
    n_ints, n_groups, seed : int
    visits : tuple of Visit
    """

    def __init__(
        self,
        scene: CoronagraphScene,
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
    def window(self) -> imaging_detector.Window:
        """The part of NIRCam's detector that is read."""
        return coron_detector.window_of(self.scene)

    @cached_property
    def patterns(self) -> coron_detector.CoronPatterns | miri_detector.FixedPatterns:
        """The detector's fixed patterns."""
        if self.is_nircam:
            return coron_detector.coron_patterns(self.scene, self.window)
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
        return imaging_detector.gain_of(self.scene) if self.is_nircam else self.scene.detector.gain

    @property
    def read_noise_dn(self) -> float:
        """White noise of one read, DN; 0 where it is left out."""
        if self.is_nircam:
            return imaging_detector.read_noise_e(self.scene) / self.gain
        return self.scene.read_noise.rms_dn if self.scene.has("read_noise") else 0.0

    def clock(self, visit: Visit) -> exposure.Clock:
        """Return when the integrations of an exposure begin and end."""
        start = START_MJD + visit.number * BETWEEN_EXPOSURES_S / exposure.SECONDS_PER_DAY
        return exposure.Clock(start, self.frame_time_s, self.n_groups, self.n_ints, *self.frames_of_group)

    @cached_property
    def pointing(self) -> lrs_sky.Pointing:
        """Offsets of the star behind its mask in all integrations of all exposures, one after the other."""
        jitter = self.scene.jitter if self.scene.has("jitter") else None
        return lrs_sky.draw_pointing(jitter, len(self.visits) * self.n_ints, self.seed)

    def offset_arcsec(self, visit: Visit) -> tuple[float, float]:
        """Return the dither of an exposure, (x, y)."""
        step = self.scene.dither.step_arcsec if self.scene.has("dither") else 0.0
        x, y = _GRID[visit.dither]
        return step * x, step * y

    def offset_pix(self, visit: Visit, integration: int) -> tuple[float, float]:
        """Return where the star is behind its mask, dither and pointing together, (x, y)."""
        x, y = self.offset_arcsec(visit)
        scale, k = self.mode.pixel_scale_arcsec, visit.number * self.n_ints + integration
        return x / scale + float(self.pointing.x_pix[k]), y / scale + float(self.pointing.y_pix[k])

    def companion_place(self, visit: Visit) -> tuple[float, float] | None:
        """Return (x, y) of the companion, pixels from 0; None where there is none."""
        if visit.kind != "SCI" or not self.scene.has("companion"):
            return None
        return coron_sky.companion_place(
            self.scene.companion, self.mode.centre, visit.roll_deg, self.mode.pixel_scale_arcsec
        )

    def light(self, visit: Visit, integration: int) -> Light:
        """Return the light of one integration (from 0)."""
        scene, mode = self.scene, self.mode
        x, y = self.offset_pix(visit, integration)
        star = coron_sky.moved(self._star(visit), x, y)
        place = self.companion_place(visit)
        companion = np.zeros(mode.shape)
        if place is not None:
            companion = coron_sky.companion_image(scene.companion, mode.shape, (place[0] + x, place[1] + y))
        background = np.zeros(mode.shape)
        if scene.has("background"):
            background = coron_sky.background_image(scene.background, mode.shape, mode.centre)
        steady = star + companion + background
        return Light(star, companion, background, self._outliers(steady, visit.number * _NUMBERS + integration))

    def _star(self, visit: Visit) -> np.ndarray:
        scene, mode = self.scene, self.mode
        if visit.is_background or not scene.has("star") or (visit.is_reference and not scene.has("reference")):
            return np.zeros(mode.shape)
        if visit.observation not in self._stars:
            change = scene.reference.speckle_change if visit.is_reference else 0.0
            speckles = coron_sky.speckle_field(scene.star, mode.shape, change=change, change_key=visit.observation)
            image = coron_sky.star_image(scene.star, mode.shape, mode.centre, speckles, quadrants=not self.is_nircam)
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
        """Return what the pixels collect under `light` (ny, nx), dark current and hot pixels included, DN/s."""
        if self.is_nircam:
            return coron_detector.collected_rate(self.scene, self.patterns.fixed, light)
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
    ) -> coron_detector.CoronReadout | miri_detector.Readout:
        """Return one integration as the detector writes it, with what was drawn."""
        light = self.light(visit, integration) if light is None else light
        total, number = light.steady + light.outliers, visit.number * _NUMBERS + integration
        if self.is_nircam:
            return coron_detector.read_out(
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

    def write(self, folder: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
        """Write uncal files, truths and references; `CoronScene.write` says how."""
        from detectorist.simulate.coron.references import build_coron_cache

        folder, detector = Path(folder), self.mode.detector.lower()
        written = (f"jw09999*_03102_*_{detector}_uncal.fits", f"jw09999*_03102_*_{detector}_truth.nc", CACHE_NAME)
        exposure.make_room(folder, written, overwrite=overwrite)
        paths, total = [], len(self.visits) * self.n_ints
        for visit in self.visits:

            def report(integration: int, visit: Visit = visit) -> None:
                if progress is not None:
                    progress(visit.number * self.n_ints + integration + 1, total, self.stem(visit))

            paths.append(self._write_visit(folder, visit, report))
        build_coron_cache(folder / CACHE_NAME, self.scene, n_groups=max(self.n_groups, 40))
        return paths

    def _write_visit(self, folder: Path, visit: Visit, report: object) -> Path:
        from stdatamodels.jwst.datamodels import Level1bModel

        from detectorist.simulate.coron.truth import TruthRecorder

        recorder = TruthRecorder(self, visit)
        raw = np.empty((self.n_ints, self.n_groups, *self.mode.shape), np.uint16)
        zero_frames = np.empty((self.n_ints, *self.mode.shape), np.uint16) if self.frames_of_group[0] > 1 else None
        for integration in range(self.n_ints):
            light = self.light(visit, integration)
            readout = self.read_out(visit, integration, light)
            raw[integration] = readout.raw
            if zero_frames is not None:
                zero_frames[integration] = readout.zero_frame
            recorder.add(integration, light, readout)
            report(integration)  # type: ignore[operator]
        model = Level1bModel(data=raw)
        if zero_frames is not None:
            model.zeroframe = zero_frames
        star = REFERENCE if visit.is_reference else TARGET
        model.int_times = exposure.integration_times(self.clock(visit), ra_deg=star[1], dec_deg=star[2])
        self.fill_header(model, visit)
        path = folder / f"{self.stem(visit)}_uncal.fits"
        exposure.save_reproducibly(model, path, DATE)
        model.close()
        dataset = recorder.dataset()
        write_truth(dataset, folder / f"{self.stem(visit)}_truth.nc", recorder.encoding(dataset))
        return path

    def fill_header(self, model: JwstDataModel, visit: Visit) -> None:
        """Fill the metadata of an exposure."""
        from detectorist.simulate.coron.header import fill_header

        fill_header(model, self, visit)
