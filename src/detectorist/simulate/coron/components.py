"""Components of a simulated coronagraphic exposure, other than those shared by all modes, with units.

The light around the mask is an analytic halo with frozen speckles, not physical optics: a power law in radius, times
one plus a field of speckles, times the transmission of the mask. It is meant for tests of detector corrections, not of
star subtraction at high contrast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from detectorist.detectors import MiriSubarray
from detectorist.simulate.core import components as shared
from detectorist.simulate.core import miri_components as miri
from detectorist.simulate.core import nircam_components as nircam
from detectorist.simulate.core.scene import RATES_DN_S, Scene
from detectorist.simulate.coron.coronagraphs import MIRI_1140, NIRCAM_335R, CoronMode


@dataclass(frozen=True)
class MaskedStar:
    """A star behind a mask: halo with speckles, a core that leaks, spikes.

    Attributes
    ----------
    brightness : float
        Factor of all its light.
    halo_dn_s, halo_radius_pix, halo_slope : float
        halo / (1 + (radius / halo_radius) ** slope), DN/s.
    speckle_contrast, speckle_pix, speckle_reach_pix : float
        Relative scatter of the speckles, their size (sigma), and the radius over which they fade.
    core_dn_s, core_sigma_pix : float
        Peak and width of the light that leaks through the centre.
    spike_dn_s : float
        Brightness of the spikes near the centre.
    serial : int
        The speckles of a telescope: another number gives another wavefront.
    """

    brightness: float = 1.0
    halo_dn_s: float = 120.0
    halo_radius_pix: float = 9.0
    halo_slope: float = 2.4
    speckle_contrast: float = 0.35
    speckle_pix: float = 1.5
    speckle_reach_pix: float = 90.0
    core_dn_s: float = 15_000.0
    core_sigma_pix: float = 1.2
    spike_dn_s: float = 6.0
    serial: int = 1


@dataclass(frozen=True)
class ReferenceStar:
    """The reference star: brightness over that of the target, and the fraction of its speckles that differ."""

    brightness: float = 2.0
    speckle_change: float = 0.1


@dataclass(frozen=True)
class Companion:
    """A planet beside the target: total rate, distance, position angle on the sky (north over east), width."""

    RANGES: ClassVar = {"rate_dn_s": RATES_DN_S}

    rate_dn_s: float = 150.0
    separation_arcsec: float = 1.6
    position_angle_deg: float = 40.0
    fwhm_pix: float = 2.3


@dataclass(frozen=True)
class SmallGridDither:
    """Steps of the reference star behind the mask, arcsec: centre, then the corners of a square."""

    step_arcsec: float = 0.015


@dataclass(frozen=True)
class Background:
    """Sky and telescope, DN/s, and a glowing stripe along a boundary of the mask (4QPM), DN/s and pixels (sigma)."""

    level_dn_s: float = 0.6
    glow_dn_s: float = 0.0
    glow_sigma_pix: float = 4.0


@dataclass(frozen=True)
class ReadoutFlicker:
    """1/f noise on the time line of an integration.

    Attributes
    ----------
    rms_dn, slope : float
        DN rms over all of it (strong ones, assumed), and the slope of its spectrum.
    measured : str or None
        A spectrum measured in flight (a name of `flight_noise.SPECTRA`), with its own strength, instead of both.
    """

    rms_dn: float = 4.0
    slope: float = 1.0
    measured: str | None = None


@dataclass(frozen=True)
class ReferenceDrift:
    """Drift of a subarray's level, DN rms: a walk from group to group, and odd against even columns (assumed)."""

    walk_dn: float = 3.0
    odd_even_dn: float = 0.5


@dataclass(frozen=True)
class ChargeSpill:
    """Part of the electrons above the full well that reaches the four neighbours; the rest is lost (assumed)."""

    fraction: float = 0.6


@dataclass(frozen=True)
class RcPixels:
    """Pixels with a delayed response, flagged RC: their fraction, and an offset that builds up in a few seconds.

    The offset is level_dn (1 - exp(-time / time_constant)), time since the reset (assumed sizes).
    """

    fraction: float = 3e-4
    level_dn: float = 2_000.0
    time_constant_s: float = 2.0


@dataclass(frozen=True)
class OutlyingIntegrations:
    """Pixels whose rate is too high in one integration, without a step in its ramp.

    Attributes
    ----------
    fraction : float
        Of all pixels of all integrations.
    min_sigma, max_sigma : float
        Excess over the expected noise of a slope, log-uniform.
    """

    fraction: float = 3e-4
    min_sigma: float = 15.0
    max_sigma: float = 300.0


class CoronComponents(Scene):
    """Components of scenes of both instruments. Every field but `detector` can be left out by its name."""

    star: MaskedStar
    reference: ReferenceStar
    companion: Companion
    dither: SmallGridDither
    background: Background
    jitter: shared.Jitter
    photon_noise: shared.PhotonNoise
    read_noise: Any
    reset_noise: Any
    dark: Any
    nonlinearity: shared.NonlinearityCurve
    cosmic_rays: shared.CosmicRayHits
    outliers: OutlyingIntegrations
    bad_pixels: Any
    detector: Any

    mode: ClassVar[CoronMode]


@dataclass(frozen=True)
class NircamCoronComponents(CoronComponents):
    """All components of a scene behind NIRCam's round mask MASKA335R, in SUB320A335R (one output)."""

    star: MaskedStar = field(default_factory=MaskedStar)
    reference: ReferenceStar = field(default_factory=ReferenceStar)
    companion: Companion = field(default_factory=Companion)
    dither: SmallGridDither = field(default_factory=SmallGridDither)
    background: Background = field(default_factory=Background)
    jitter: shared.Jitter = field(default_factory=shared.Jitter)
    photon_noise: shared.PhotonNoise = field(default_factory=shared.PhotonNoise)
    read_noise: nircam.ReadNoise = field(default_factory=nircam.ReadNoise)
    reset_noise: nircam.ResetNoise = field(default_factory=nircam.ResetNoise)
    flicker: ReadoutFlicker = field(default_factory=ReadoutFlicker)
    drift: ReferenceDrift = field(default_factory=ReferenceDrift)
    dark: nircam.Dark = field(default_factory=nircam.Dark)
    nonlinearity: shared.NonlinearityCurve = field(default_factory=shared.NonlinearityCurve)
    spill: ChargeSpill = field(default_factory=ChargeSpill)
    rc_pixels: RcPixels = field(default_factory=RcPixels)
    cosmic_rays: shared.CosmicRayHits = field(default_factory=lambda: shared.CosmicRayHits(hits_per_s=1.7))
    outliers: OutlyingIntegrations = field(default_factory=OutlyingIntegrations)
    bad_pixels: nircam.BadPixels = field(default_factory=nircam.BadPixels)
    detector: nircam.Detector = field(
        default_factory=lambda: nircam.Detector(
            name=NIRCAM_335R.detector,
            filter=NIRCAM_335R.filter,
            subarray=NIRCAM_335R.subarray.name,
            pattern=NIRCAM_335R.read_pattern,
        )
    )
    left_out: frozenset[str] = frozenset()

    mode: ClassVar[CoronMode] = NIRCAM_335R


@dataclass(frozen=True)
class MiriCoronComponents(CoronComponents):
    """All components of a scene behind MIRI's four-quadrant phase mask, in MASK1140."""

    star: MaskedStar = field(default_factory=lambda: MaskedStar(halo_dn_s=400.0, core_dn_s=14_000.0, spike_dn_s=20.0))
    reference: ReferenceStar = field(default_factory=ReferenceStar)
    companion: Companion = field(default_factory=lambda: Companion(rate_dn_s=600.0, separation_arcsec=2.4))
    dither: SmallGridDither = field(default_factory=SmallGridDither)
    background: Background = field(default_factory=lambda: Background(level_dn_s=25.0, glow_dn_s=40.0))
    jitter: shared.Jitter = field(default_factory=shared.Jitter)
    photon_noise: shared.PhotonNoise = field(default_factory=shared.PhotonNoise)
    read_noise: miri.ReadNoise = field(default_factory=miri.ReadNoise)
    reset_noise: miri.ResetNoise = field(default_factory=miri.ResetNoise)
    dark: miri.Dark = field(default_factory=miri.Dark)
    flat: miri.Flat = field(default_factory=miri.Flat)
    nonlinearity: shared.NonlinearityCurve = field(default_factory=shared.NonlinearityCurve)
    rscd: miri.Rscd = field(default_factory=miri.Rscd)
    reset_decay: miri.ResetDecay = field(default_factory=miri.ResetDecay)
    first_frame: miri.FirstFrame = field(default_factory=miri.FirstFrame)
    last_frame: miri.LastFrame = field(default_factory=miri.LastFrame)
    emi: miri.Emi = field(default_factory=miri.Emi)
    cosmic_rays: shared.CosmicRayHits = field(default_factory=lambda: shared.CosmicRayHits(hits_per_s=2.0))
    outliers: OutlyingIntegrations = field(default_factory=OutlyingIntegrations)
    bad_pixels: miri.BadPixels = field(default_factory=miri.BadPixels)
    detector: miri.Detector = field(default_factory=miri.Detector)
    left_out: frozenset[str] = frozenset()

    mode: ClassVar[CoronMode] = MIRI_1140
    subarray: ClassVar[MiriSubarray] = MIRI_1140.subarray
