"""What a simulated NIRCam image is made of: a frozen set of parameters for each ingredient, with their units.

Rates are DN/s as the pipeline measures them; what belongs to the detector is in electrons. Numbers per frame are for
all 2048 x 2048 pixels: a subarray has its share. Ingredients that other modes have too are in `ingredients`.
"""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.detectors import NIRCAM_IPC_FRACTION, NIRCAM_KTC_E


@dataclass(frozen=True)
class ImagingDetector:
    """The detector, the part of it that is read, and how.

    Attributes
    ----------
    name, filter : str
        DETECTOR and FILTER.
    subarray : str
        FULL, SUB640, SUB320 or SUB160; any other name together with `size`.
    size : int or None
        Rows and columns of a square subarray of one's own, in the middle of the detector.
    outputs : int or None
        1 or 4; None stands for 4 on a full frame and 1 otherwise.
    pattern : str
        READPATT: frames averaged per group and skipped between groups.
    serial : int
        Another number is another detector: other flat, bias and bad pixels; it needs its own reference files.
    gain : float or None
        e-/DN; None is the detector's own.
    bias_dn, bias_scatter_dn, bias_output_dn : float
        Level after a reset, its scatter between pixels, and between outputs.
    saturation_fraction : float
        Part of the full well from which the saturation reference calls a read saturated.
    """

    name: str = "NRCB4"
    filter: str = "F200W"
    subarray: str = "FULL"
    size: int | None = None
    outputs: int | None = None
    pattern: str = "MEDIUM8"
    serial: int = 1
    gain: float | None = None
    bias_dn: float = 8_000.0
    bias_scatter_dn: float = 50.0
    bias_output_dn: float = 100.0
    saturation_fraction: float = 0.9


@dataclass(frozen=True)
class Sky:
    """Level of the sky, DN/s, and its relative change from one side to the other."""

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
        Factor of each component's template; they may differ, and then one template for both cannot fit.
    peak_dn_s : float
        Brightest pixel of a template.
    """

    strengths: tuple[float, float] = (0.8, 0.8)
    peak_dn_s: float = 0.10


@dataclass(frozen=True)
class FlatField:
    """Relative sensitivity about 1: scatter between pixels, and over the frame (assumed)."""

    scatter: float = 0.01
    large_scale: float = 0.02


@dataclass(frozen=True)
class WhiteNoise:
    """Noise of one read that no other pixel shares, e- rms; None is the detector's own."""

    rms_e: float | None = None


@dataclass(frozen=True)
class FlickerNoise:
    """1/f noise of the outputs, e- rms over one frame, and its spectrum (facts of NIRCam; `group_flicker`)."""

    common_e: float = 3.0
    own_e: float = 1.0
    alternating_e: float = 0.7
    slope: float = 1.0
    shoulder_hz: float = 1.0


@dataclass(frozen=True)
class Drifts:
    """Random walk of each output's level, e- rms after 100 s; reference pixels see it too (assumed)."""

    walk_e: float = 5.0


@dataclass(frozen=True)
class ColumnDrifts:
    """Drift of each column, DN/s rms: stripes along the columns (assumed)."""

    rms_dn_s: float = 0.002


@dataclass(frozen=True)
class ResetOffsets:
    """Reset (kTC) noise: a pixel's offset after a reset, e- rms."""

    rms_e: float = NIRCAM_KTC_E


@dataclass(frozen=True)
class Ipc:
    """Inter-pixel capacitance: the part of a pixel's signal that each of its four neighbours sees."""

    fraction: float = NIRCAM_IPC_FRACTION


@dataclass(frozen=True)
class DarkCurrent:
    """Dark current, e-/s (None is the detector's own), and its relative scatter between pixels."""

    rate_e_s: float | None = None
    scatter: float = 0.3


@dataclass(frozen=True)
class BadImagingPixels:
    """Bad pixels, all in the mask reference.

    Attributes
    ----------
    hot_fraction, hot_dn_s : float, tuple of float
        Pixels with an excess rate, log-uniform over the range; flagged HOT and DO_NOT_USE.
    dead_fraction : float
        Pixels that see nothing; flagged DEAD and DO_NOT_USE.
    hot_map : str or None
        FITS image of a whole detector whose non-zero pixels are hot, instead of `hot_fraction`.
    """

    hot_fraction: float = 0.001
    hot_dn_s: tuple[float, float] = (3.0, 300.0)
    dead_fraction: float = 0.001
    hot_map: str | None = None


@dataclass(frozen=True)
class ImagingHits:
    """Single cosmic rays: hits of the whole detector per second (5 per cm2 and s), and what they deposit (assumed)."""

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
        How far the core grows by charge migration, and how fast.
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
