"""Coronagraphic scenes: `CoronScene().with_("companion", rate_dn_s=300.0).write("sim", seed=5)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectorist.detectors import MiriSubarray
from detectorist.errors import ParameterError
from detectorist.simulate.core import miri_components as miri
from detectorist.simulate.core import nircam_components as nircam
from detectorist.simulate.coron import components as coron
from detectorist.simulate.coron.coronagraphs import MIRI_1140, NIRCAM_335R, CoronMode
from detectorist.simulate.lrs.scene import Progress, Scene

if TYPE_CHECKING:
    from detectorist.simulate.coron.observation import CoronObservation


class CoronagraphScene(Scene):
    """What scenes of both instruments have in common: how they are observed."""

    mode: ClassVar[CoronMode]
    default_groups: ClassVar[int]
    default_backgrounds: ClassVar[bool]

    def observe(
        self,
        *,
        ints: int = 10,
        groups: int | None = None,
        rolls: int = 2,
        dithers: int = 3,
        backgrounds: bool | None = None,
        seed: int = 0,
    ) -> CoronObservation:
        """Return the exposures of a target and its reference star: everything that a seed decides.

        ints, groups : int
            Of every exposure; by default 4 groups with NIRCam, 12 with MIRI.
        rolls : int
            Orientations of the telescope on the target, 10 degrees apart.
        dithers : int
            Positions of the reference star behind the mask, up to 5; 0 for none.
        backgrounds : bool, optional
            Empty fields for target and reference star; by default with MIRI.

        Raises
        ------
        ParameterError
            When a number is too small or too large.
        """
        from detectorist.simulate.coron.observation import CoronObservation

        groups = self.default_groups if groups is None else groups
        limits = (("ints", ints, 1, 9_999), ("groups", groups, 2, 9_999), ("rolls", rolls, 1, 3))
        for name, value, least, most in (*limits, ("dithers", dithers, 0, 5), ("seed", seed, 0, 2**63)):
            if not least <= value <= most:
                raise ParameterError(f"{name} is {value}: {least} to {most} is possible", parameter=name)
        backgrounds = self.default_backgrounds if backgrounds is None else backgrounds
        return CoronObservation(
            self, n_ints=ints, n_groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
        )

    def write(
        self,
        folder: Path | str,
        *,
        ints: int = 10,
        groups: int | None = None,
        rolls: int = 2,
        dithers: int = 3,
        backgrounds: bool | None = None,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write uncal files, a `_truth.nc` beside each and references `crds/` into a folder; return the uncal files.

        Raises
        ------
        ParameterError
            As `observe`.
        OutputError
            When the folder holds such files already and `overwrite` is False, or cannot be written.
        """
        observation = self.observe(
            ints=ints, groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
        )
        return observation.write(folder, overwrite=overwrite, progress=progress)


@dataclass(frozen=True)
class CoronScene(CoronagraphScene):
    """A star with a companion behind NIRCam's round mask MASKA335R, in SUB320A335R (one output).

    Every field but `detector` is an ingredient that can be left out by its name; leaving one out changes no other's
    random numbers (photon noise follows the light that is left).

    Examples
    --------
    >>> CoronScene().without("flicker").write("sim", ints=5, seed=7)
    """

    star: coron.MaskedStar = field(default_factory=coron.MaskedStar)
    reference: coron.ReferenceStar = field(default_factory=coron.ReferenceStar)
    companion: coron.Companion = field(default_factory=coron.Companion)
    dither: coron.SmallGridDither = field(default_factory=coron.SmallGridDither)
    background: coron.CoronBackground = field(default_factory=coron.CoronBackground)
    jitter: miri.Jitter = field(default_factory=miri.Jitter)
    photon_noise: miri.PhotonNoise = field(default_factory=miri.PhotonNoise)
    read_noise: nircam.WhiteNoise = field(default_factory=nircam.WhiteNoise)
    reset_noise: nircam.ResetOffsets = field(default_factory=nircam.ResetOffsets)
    flicker: coron.ReadoutFlicker = field(default_factory=coron.ReadoutFlicker)
    drift: coron.ReferenceDrift = field(default_factory=coron.ReferenceDrift)
    dark: nircam.DarkCurrent = field(default_factory=nircam.DarkCurrent)
    nonlinearity: miri.NonlinearityCurve = field(default_factory=miri.NonlinearityCurve)
    spill: coron.ChargeSpill = field(default_factory=coron.ChargeSpill)
    rc_pixels: coron.RcPixels = field(default_factory=coron.RcPixels)
    cosmic_rays: miri.CosmicRayHits = field(default_factory=lambda: miri.CosmicRayHits(hits_per_s=1.7))
    outliers: coron.OutlyingIntegrations = field(default_factory=coron.OutlyingIntegrations)
    bad_pixels: nircam.BadImagingPixels = field(default_factory=nircam.BadImagingPixels)
    detector: nircam.ImagingDetector = field(
        default_factory=lambda: nircam.ImagingDetector(
            name=NIRCAM_335R.detector,
            filter=NIRCAM_335R.filter,
            subarray=NIRCAM_335R.subarray.name,
            pattern=NIRCAM_335R.read_pattern,
        )
    )
    left_out: frozenset[str] = frozenset()

    mode: ClassVar[CoronMode] = NIRCAM_335R
    default_groups: ClassVar[int] = 4
    default_backgrounds: ClassVar[bool] = False


@dataclass(frozen=True)
class MiriCoronScene(CoronagraphScene):
    """A star with a companion behind MIRI's four-quadrant phase mask, in MASK1140.

    Ingredients that it shares with `LrsScene` mean the same.
    """

    star: coron.MaskedStar = field(
        default_factory=lambda: coron.MaskedStar(halo_dn_s=400.0, core_dn_s=14_000.0, spike_dn_s=20.0)
    )
    reference: coron.ReferenceStar = field(default_factory=coron.ReferenceStar)
    companion: coron.Companion = field(default_factory=lambda: coron.Companion(rate_dn_s=600.0, separation_arcsec=2.4))
    dither: coron.SmallGridDither = field(default_factory=coron.SmallGridDither)
    background: coron.CoronBackground = field(
        default_factory=lambda: coron.CoronBackground(level_dn_s=25.0, glow_dn_s=40.0)
    )
    jitter: miri.Jitter = field(default_factory=miri.Jitter)
    photon_noise: miri.PhotonNoise = field(default_factory=miri.PhotonNoise)
    read_noise: miri.ReadNoise = field(default_factory=miri.ReadNoise)
    reset_noise: miri.ResetNoise = field(default_factory=miri.ResetNoise)
    dark: miri.Dark = field(default_factory=miri.Dark)
    flat: miri.Flat = field(default_factory=miri.Flat)
    nonlinearity: miri.NonlinearityCurve = field(default_factory=miri.NonlinearityCurve)
    rscd: miri.Rscd = field(default_factory=miri.Rscd)
    reset_decay: miri.ResetDecay = field(default_factory=miri.ResetDecay)
    first_frame: coron.FirstFrame = field(default_factory=coron.FirstFrame)
    last_frame: miri.LastFrame = field(default_factory=miri.LastFrame)
    emi: miri.Emi = field(default_factory=miri.Emi)
    cosmic_rays: miri.CosmicRayHits = field(default_factory=lambda: miri.CosmicRayHits(hits_per_s=2.0))
    outliers: coron.OutlyingIntegrations = field(default_factory=coron.OutlyingIntegrations)
    bad_pixels: miri.BadPixels = field(default_factory=miri.BadPixels)
    detector: miri.Detector = field(default_factory=miri.Detector)
    left_out: frozenset[str] = frozenset()

    mode: ClassVar[CoronMode] = MIRI_1140
    subarray: ClassVar[MiriSubarray] = MIRI_1140.subarray
    default_groups: ClassVar[int] = 12
    default_backgrounds: ClassVar[bool] = True


SCENES = {"nircam": CoronScene, "miri": MiriCoronScene}
