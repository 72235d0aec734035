"""NIRCam images as immutable chains: `ImagingScene().with_("sky", level_dn_s=1.0).write("sim")`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectorist.errors import ParameterError
from detectorist.simulate.core import exposure_times as exposure
from detectorist.simulate.core import miri_components as ingredients
from detectorist.simulate.core import nircam_components as parts
from detectorist.simulate.core import nircam_detector as imaging_detector
from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.core.truth_file import write_truth
from detectorist.simulate.imaging import header as imaging_header
from detectorist.simulate.imaging import readout as imaging_readout
from detectorist.simulate.imaging import sky as imaging_sky
from detectorist.simulate.imaging.references import build_imaging_cache, write_wisp_templates
from detectorist.simulate.imaging.truth import record_truth
from detectorist.simulate.lrs.scene import Progress, Scene

if TYPE_CHECKING:
    from detectorist.simulate.core.nircam_detector import FixedPatterns, Window
    from detectorist.simulate.imaging.readout import Readout

CACHE_NAME, WISPS_NAME = "crds", "wisps"
#: Largest dither between exposures, pixel.
_DITHER_PIX = 40.0
#: Integrations that one exposure may have: random streams are numbered through all exposures.
_MAX_INTS = 1000


@dataclass(frozen=True)
class ImagingScene(Scene):
    """A field of stars and galaxies seen by one detector of NIRCam.

    Every field but `detector` is an ingredient that can be left out by its name; each has its own random numbers, so
    that leaving one out changes no other (photon noise follows the light that is left). `imaging_ingredients`
    describes their parameters.

    Examples
    --------
    >>> scene = ImagingScene().with_detector(size=512, outputs=4, pattern="SHALLOW4").without("wisps")
    >>> scene.write("sim", groups=6, seed=3)
    """

    sky: parts.Sky = field(default_factory=parts.Sky)
    stars: parts.Stars = field(default_factory=parts.Stars)
    galaxies: parts.Galaxies = field(default_factory=parts.Galaxies)
    wisps: parts.Wisps = field(default_factory=parts.Wisps)
    photon_noise: ingredients.PhotonNoise = field(default_factory=ingredients.PhotonNoise)
    read_noise: parts.WhiteNoise = field(default_factory=parts.WhiteNoise)
    flicker: parts.FlickerNoise = field(default_factory=parts.FlickerNoise)
    drift: parts.Drifts = field(default_factory=parts.Drifts)
    columns: parts.ColumnDrifts = field(default_factory=parts.ColumnDrifts)
    reset_noise: parts.ResetOffsets = field(default_factory=parts.ResetOffsets)
    dark: parts.DarkCurrent = field(default_factory=parts.DarkCurrent)
    flat: parts.FlatField = field(default_factory=parts.FlatField)
    ipc: parts.Ipc = field(default_factory=parts.Ipc)
    nonlinearity: ingredients.NonlinearityCurve = field(default_factory=ingredients.NonlinearityCurve)
    cosmic_rays: parts.ImagingHits = field(default_factory=parts.ImagingHits)
    snowballs: parts.Snowballs = field(default_factory=parts.Snowballs)
    bad_pixels: parts.BadImagingPixels = field(default_factory=parts.BadImagingPixels)
    detector: parts.ImagingDetector = field(default_factory=parts.ImagingDetector)
    left_out: frozenset[str] = frozenset()

    def with_detector(self, **changes: Any) -> ImagingScene:
        """Return the scene on another detector, subarray or readout: parameters of `ImagingDetector`.

        Raises
        ------
        ParameterError
            As `imaging_detector.make_window`.
        """
        scene = self.with_("detector", **changes)
        imaging_detector.make_window(scene.detector)
        return scene

    def observe(self, *, ints: int = 1, groups: int = 9, exposures: int = 1, seed: int = 0) -> ImagingObservation:
        """Return the exposures of the scene: everything that a seed decides, ready to be read out or written.

        Raises
        ------
        ParameterError
            When a number is too small.
        """
        for name, value, least in (("ints", ints, 1), ("groups", groups, 1), ("exposures", exposures, 1)):
            if value < least:
                raise ParameterError(f"{name} is {value}: at least {least} is needed", parameter=name)
        if ints >= _MAX_INTS:
            raise ParameterError(f"ints is {ints}: less than {_MAX_INTS} is needed", parameter="ints")
        if seed < 0:
            raise ParameterError(f"seed is {seed}: 0 or more is needed", parameter="seed")
        return ImagingObservation(self, n_ints=ints, n_groups=groups, n_exposures=exposures, seed=seed)

    def write(
        self,
        folder: Path | str,
        *,
        ints: int = 1,
        groups: int = 9,
        exposures: int = 1,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write uncal files, a truth beside each, templates `wisps/` and references `crds/`; return the uncal files.

        Raises
        ------
        ParameterError
            As `observe`.
        OutputError
            When the folder holds such files already and `overwrite` is False, or cannot be written.
        """
        observation = self.observe(ints=ints, groups=groups, exposures=exposures, seed=seed)
        return observation.write(folder, overwrite=overwrite, progress=progress)


class ImagingObservation:
    """Dithered exposures of a scene, made one by one; one exposure is held at a time. Made by `ImagingScene.observe`.

    Attributes
    ----------
    scene : ImagingScene
    n_ints, n_groups, n_exposures, seed : int
    window : Window
        The part of the detector that is read, and its clocks.
    """

    def __init__(self, scene: ImagingScene, *, n_ints: int, n_groups: int, n_exposures: int, seed: int):
        self.scene, self.seed = scene, seed
        self.n_ints, self.n_groups, self.n_exposures = n_ints, n_groups, n_exposures
        self.window: Window = imaging_detector.make_window(scene.detector)

    @cached_property
    def patterns(self) -> FixedPatterns:
        """The detector's fixed patterns."""
        return imaging_detector.fixed_patterns(self.scene, self.window)

    @cached_property
    def _field(self) -> list[imaging_sky.Source]:
        scene, shape = self.scene, self.window.shape
        found = imaging_sky.draw_stars(scene.stars, shape, self.seed) if scene.has("stars") else []
        return found + (imaging_sky.draw_galaxies(scene.galaxies, shape, self.seed) if scene.has("galaxies") else [])

    @cached_property
    def wisp_templates(self) -> np.ndarray | None:
        """The components of the detector's wisps, shape (2, ny, nx); None where it has none in this filter."""
        detector = self.scene.detector
        if not imaging_sky.has_wisps(detector.name, detector.filter):
            return None
        return imaging_sky.wisp_templates(detector.name, detector.filter, self.window.shape, self.scene.wisps.peak_dn_s)

    def dither(self, number: int) -> tuple[float, float]:
        """Return how far the telescope moved the field in an exposure (from 0), (x, y) in pixels."""
        if number == 0:
            return 0.0, 0.0
        x, y = stream(self.seed, "dither", number).uniform(-_DITHER_PIX, _DITHER_PIX, 2)
        return float(x), float(y)

    def sources(self, number: int = 0) -> np.ndarray:
        """Return the light of stars and galaxies in an exposure, shape (ny, nx), DN/s."""
        return imaging_sky.source_image(self._field, self.scene.stars, self.window.shape, self.dither(number))

    def sky(self) -> np.ndarray:
        """Return the light of the sky, shape (ny, nx), DN/s."""
        if not self.scene.has("sky"):
            return np.zeros(self.window.shape, np.float32)
        return imaging_sky.sky_image(self.scene.sky, self.window.shape)

    def wisp(self) -> np.ndarray:
        """Return the light of the wisps, shape (ny, nx), DN/s."""
        if self.wisp_templates is None or not self.scene.has("wisps"):
            return np.zeros(self.window.shape, np.float32)
        return np.tensordot(np.float32(self.scene.wisps.strengths), self.wisp_templates, axes=1)

    def read_out(self, number: int, integration: int, light: np.ndarray, on_group: Any = None) -> Readout:
        """Return one integration of an exposure (both from 0) under `light` (ny, nx), DN/s before the flat."""
        return imaging_readout.read_out(
            self.scene,
            self.window,
            self.patterns,
            light,
            n_groups=self.n_groups,
            seed=self.seed,
            integration=integration,
            number=number * _MAX_INTS + integration,
            on_group=on_group,
        )

    def write(self, folder: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
        """Write uncal files, truth, templates and references; `ImagingScene.write` says how."""
        folder = Path(folder)
        stem = f"{imaging_header.PREFIX}*_"
        ours = (f"{stem}uncal.fits", f"{stem}truth.nc", WISPS_NAME, CACHE_NAME)
        exposure.make_room(folder, ours, overwrite=overwrite)
        paths = [self._write_exposure(folder, number, progress) for number in range(self.n_exposures)]
        if self.wisp_templates is not None:
            write_wisp_templates(folder / WISPS_NAME, self.scene, self.wisp_templates)
        build_imaging_cache(folder / CACHE_NAME, self.scene, n_groups=self.n_groups, patterns=self.patterns)
        return paths

    def _write_exposure(self, folder: Path, number: int, progress: Progress | None) -> Path:
        from stdatamodels.jwst.datamodels import Level1bModel

        sources = self.sources(number)
        light = sources + self.sky() + self.wisp()
        raw = np.empty((self.n_ints, self.n_groups, *self.window.shape), np.uint16)
        zero_frames = np.empty((self.n_ints, *self.window.shape), np.uint16)
        readouts = []
        total = self.n_exposures * self.n_ints * self.n_groups
        for integration in range(self.n_ints):
            before = (number * self.n_ints + integration) * self.n_groups

            def tell(done: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total, f"exposure {number + 1}, group {done}")

            readout = self.read_out(number, integration, light, tell)
            raw[integration], zero_frames[integration] = readout.raw, readout.zero_frame
            readouts.append(readout)
        model = Level1bModel(data=raw)
        if self.window.n_frames > 1:
            model.zeroframe = zero_frames
        clock = imaging_header.fill_header(model, self, number)
        path = folder / imaging_header.file_name(self.scene.detector.name, number)
        exposure.save_reproducibly(model, path, clock.date)
        model.close()
        truth = record_truth(self, number, sources, light, readouts)
        compressed = {name: {"zlib": True, "complevel": 1} for name in truth.data_vars if truth[name].ndim > 1}
        write_truth(truth, path.with_name(path.name.replace("_uncal.fits", "_truth.nc")), compressed)
        return path
