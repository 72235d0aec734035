"""Components of a simulated NIRCam image: a frozen set of parameters for each, with their units.

Rates are DN/s as the pipeline measures them; detector properties are in electrons. Numbers per frame are for all 2048 x
2048 pixels and scaled for subarrays. Components shared with other modes are in `simulate.core`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from detectorist.detectors import NIRCAM_IPC_FRACTION
from detectorist.simulate.core import components as shared
from detectorist.simulate.core import nircam_components as nircam
from detectorist.simulate.core.scene import RATES_DN_S, Scene


@dataclass(frozen=True)
class Sky:
    """Level of the sky, DN/s, and its relative change from one side to the other."""

    RANGES: ClassVar = {"level_dn_s": RATES_DN_S}

    level_dn_s: float = 0.30
    gradient: float = 0.02


@dataclass(frozen=True)
class Stars:
    """Point sources: a Moffat profile (assumed).

    Attributes
    ----------
    per_frame : float
    min_dn_s, max_dn_s, slope : float
        Total rate: a power law N(> rate) ~ rate ** -slope between two limits.
    fwhm_pix, beta : float
        Of the profile.
    """

    per_frame: float = 250.0
    min_dn_s: float = 3.0
    max_dn_s: float = 30_000.0
    slope: float = 0.6
    fwhm_pix: float = 2.2
    beta: float = 3.0


@dataclass(frozen=True)
class Galaxies:
    """Sersic profiles: many small ones, a few large ones (assumed).

    Attributes
    ----------
    per_frame : float
    min_dn_s, max_dn_s, slope : float
        Total rate, as for stars.
    radius_pix, radius_scatter : float
        Half-light radius: median, and scatter of its logarithm.
    large_per_frame : float
    large_peak_dn_s, large_radius_pix : tuple of float
        Ranges for the large ones.
    """

    per_frame: float = 1_400.0
    min_dn_s: float = 0.6
    max_dn_s: float = 600.0
    slope: float = 1.2
    radius_pix: float = 2.5
    radius_scatter: float = 0.45
    large_per_frame: float = 6.0
    large_peak_dn_s: tuple[float, float] = (0.8, 3.0)
    large_radius_pix: tuple[float, float] = (28.0, 90.0)


@dataclass(frozen=True)
class Wisps:
    """Stray light of fixed shape, on the detectors and in the filters that have it.

    Attributes
    ----------
    strengths : tuple of float
        Factor of each component's template; if they differ, no single template for both can fit.
    peak_dn_s : float
        Brightest pixel of a template.
    """

    RANGES: ClassVar = {"strengths": (0.0, 1e6)}

    strengths: tuple[float, float] = (0.8, 0.8)
    peak_dn_s: float = 0.10


@dataclass(frozen=True)
class FlickerNoise:
    """1/f noise of the outputs, e- rms over one frame, and its spectrum (facts of NIRCam; `group_flicker`).

    Attributes
    ----------
    common_e, own_e, alternating_e : float
        Common to all outputs, of each output alone, and of the part that changes sign from column to column.
    slope, shoulder_hz : float
        Of the spectrum.
    measured : str or None
        A spectrum measured in flight (a name of `flight_noise.SPECTRA`), with its own strength, instead of `common_e`,
        `own_e`, `slope` and `shoulder_hz`.
    """

    common_e: float = 3.0
    own_e: float = 1.0
    alternating_e: float = 0.7
    slope: float = 1.0
    shoulder_hz: float = 1.0
    measured: str | None = None


@dataclass(frozen=True)
class Drifts:
    """Random walk of each output's level, e- rms after 100 s; reference pixels see it too (assumed)."""

    walk_e: float = 5.0


@dataclass(frozen=True)
class ColumnDrifts:
    """Drift of each column, DN/s rms: stripes along the columns (assumed)."""

    rms_dn_s: float = 0.002


@dataclass(frozen=True)
class Ipc:
    """Inter-pixel capacitance: the fraction of a pixel's signal that appears in each of its four neighbours."""

    fraction: float = NIRCAM_IPC_FRACTION


@dataclass(frozen=True)
class DetectorHits:
    """Single cosmic rays: hits of the whole detector per second (5 per cm2 and s), and their charge (assumed)."""

    hits_per_s: float = 68.0
    median_charge_e: float = 2_000.0
    spread_dex: float = 0.5
    neighbour_fraction: float = 0.1


@dataclass(frozen=True)
class Snowballs:
    """Large events: a saturated core that widens, and a halo with a ragged edge (facts of NIRCam; shapes assumed).

    Attributes
    ----------
    per_s : float
        Events of the whole detector per second.
    min_radius_pix, max_radius_pix, slope : float
        Radius of the halo: N(> radius) ~ radius ** -slope between two limits.
    core_fraction : float
        Radius of the core over that of the halo.
    edge_charge_e, core_charge_e : float
        Charge at the halo's edge, and beside the core.
    ragged_pix : float
        Scatter of the halo's edge.
    widening_pix, widening_s : float
        Growth of the core by charge migration, and its time constant.
    afterglow_e_s, afterglow_s : float
        Current of the core in the next integration, and its decay.
    """

    per_s: float = 0.05
    min_radius_pix: float = 5.0
    max_radius_pix: float = 80.0
    slope: float = 1.3
    core_fraction: float = 0.4
    edge_charge_e: float = 500.0
    core_charge_e: float = 20_000.0
    ragged_pix: float = 0.6
    widening_pix: float = 2.0
    widening_s: float = 100.0
    afterglow_e_s: float = 100.0
    afterglow_s: float = 3_000.0


@dataclass(frozen=True)
class ImagingComponents(Scene):
    """All components of a scene of NIRCam. Every field but `detector` can be left out by its name."""

    sky: Sky = field(default_factory=Sky)
    stars: Stars = field(default_factory=Stars)
    galaxies: Galaxies = field(default_factory=Galaxies)
    wisps: Wisps = field(default_factory=Wisps)
    photon_noise: shared.PhotonNoise = field(default_factory=shared.PhotonNoise)
    read_noise: nircam.ReadNoise = field(default_factory=nircam.ReadNoise)
    flicker: FlickerNoise = field(default_factory=FlickerNoise)
    drift: Drifts = field(default_factory=Drifts)
    columns: ColumnDrifts = field(default_factory=ColumnDrifts)
    reset_noise: nircam.ResetNoise = field(default_factory=nircam.ResetNoise)
    dark: nircam.Dark = field(default_factory=nircam.Dark)
    flat: nircam.Flat = field(default_factory=nircam.Flat)
    ipc: Ipc = field(default_factory=Ipc)
    nonlinearity: shared.NonlinearityCurve = field(default_factory=shared.NonlinearityCurve)
    cosmic_rays: DetectorHits = field(default_factory=DetectorHits)
    snowballs: Snowballs = field(default_factory=Snowballs)
    bad_pixels: nircam.BadPixels = field(default_factory=nircam.BadPixels)
    detector: nircam.Detector = field(default_factory=nircam.Detector)
    left_out: frozenset[str] = frozenset()
