"""What a simulated MIRI LRS exposure is made of: a frozen set of parameters for each ingredient, with their units."""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.detectors import LRS_SLITLESS, MIRI, MIRI_INTERFERENCE
from detectorist.simulate.core.detector import Nonlinearity

#: Correction polynomial of an ordinary detector in measured DN above the zero level: 1.3 % at 11,000, 6 % at 50,000.
CLASSIC_CURVE = (0.0, 1.0, 1.1e-6, 5.5e-12)


def late_curve(
    *, pedestal_dn: float, onset_dn: float = 14_000.0, top_dn: float = 50_000.0, loss: float = 0.06
) -> tuple[float, ...]:
    """Return a correction polynomial that hardly differs from 1:1 up to its onset and then sets in.

    In raw DN x (zero level `pedestal_dn` included) the correction is c x^2 (x - r)^2 with its double zero r at the
    onset: it needs neither a constant nor a linear term in x, which is what a correction derived from the data
    themselves can express. With the defaults a line fitted to ramps between 5,000 and 20,000 DN (groups 10 to 40 of 100
    that end at 50,000) meets the true signal at 50,000 DN to 0.01 %, and no read in between is off by 0.1 %.

    onset_dn : float
        Signal (measured DN above the zero level) at which the curve is exactly 1:1.
    top_dn, loss : float
        Linear signal, DN, of which the part `loss` is missing in the measurement.
    """
    root = pedestal_dn + onset_dn
    shape = (0.0, 0.0, root**2, -2 * root, 1.0)
    binomial = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1))
    about_zero = [sum(shape[k] * binomial[k][j] * pedestal_dn ** (k - j) for k in range(j, 5)) for j in range(5)]
    at = top_dn * (1 - loss)
    scale = top_dn * loss / sum(about_zero[k] * at**k for k in range(1, 5))
    correction = [0.0, *(scale * value for value in about_zero[1:])]
    correction[1] += 1.0
    return tuple(correction)


@dataclass(frozen=True)
class Star:
    """A star without lines of its own but a few broad dips.

    Attributes
    ----------
    mag : float
        Magnitude on a scale of the simulator's own: 9.0 gives a brightest pixel of `peak_dn_s_at_mag_9`.
    peak_dn_s_at_mag_9 : float
        DN/s of the brightest pixel. The default is what stars of K = 9 reach within a factor of two (assumed).
    trace_column : float
        Column of the trace's centre, 0-based.
    sigma_pix, sigma_growth_pix_per_um : float
        Width of the trace at 5 micron and its growth with wavelength, pixel.
    """

    mag: float = 9.0
    peak_dn_s_at_mag_9: float = 3_500.0
    trace_column: float = float(LRS_SLITLESS.trace_column)
    sigma_pix: float = LRS_SLITLESS.trace_sigma_pix
    sigma_growth_pix_per_um: float = 0.1


@dataclass(frozen=True)
class Transit:
    """A transit across a limb-darkened star, its depth a function of wavelength.

    Attributes
    ----------
    depth : float
        Squared ratio of radii outside the band.
    band_um, band_width_um, band_depth : float
        Place and width (sigma) of a molecular band, micron, and the depth it adds.
    depth_spectrum : tuple of (micron, depth), or None
        Replaces the three above: interpolated linearly, constant beyond its ends.
    mid : float
        Middle of the transit, as a part of the exposure.
    duration : float
        First to last contact, as a part of the exposure. The period follows from it: with a few integrations it is
        not one a planet has, but the light curve has the right shape.
    a_over_rs, inclination_deg : float
        Orbit in stellar radii, and its inclination.
    limb_darkening : tuple of float
        Quadratic coefficients at 5 micron; both fall as 5 micron / wavelength.
    """

    depth: float = 0.010
    band_um: float = 7.7
    band_width_um: float = 0.6
    band_depth: float = 0.001
    depth_spectrum: tuple[tuple[float, float], ...] | None = None
    mid: float = 0.5
    duration: float = 0.45
    a_over_rs: float = 9.0
    inclination_deg: float = 88.5
    limb_darkening: tuple[float, float] = (0.06, 0.10)


@dataclass(frozen=True)
class Background:
    """Sky and telescope: rises toward low rows.

    Attributes
    ----------
    short_dn_s, long_dn_s : float
        DN/s at row 390, and what is added at row 0, growing with the square of the distance between them.
    drift : float
        Relative change from the first to the last integration.
    column_slope : float
        Relative change across all columns.
    """

    short_dn_s: float = 18.0
    long_dn_s: float = 50.0
    drift: float = 0.002
    column_slope: float = 0.0


@dataclass(frozen=True)
class Jitter:
    """Pointing, one offset per integration: 1/f plus white, rms in pixels.

    The defaults are 0.5 mas, about what time series of the observatory show after averaging over an integration.
    """

    x_flicker_pix: float = 0.004
    x_white_pix: float = 0.001
    y_flicker_pix: float = 0.004
    y_white_pix: float = 0.001


@dataclass(frozen=True)
class Detector:
    """The detector itself, its fixed patterns drawn once from its serial number: not from an exposure's seed.

    Attributes
    ----------
    serial : int
        Another number is another detector: other flat, pedestal, bad pixels; it needs its own reference files. The
        default has its share of bad pixels on the trace (16), but none among the brightest rows' central pixels.
    gain : float
        e-/DN.
    pedestal_dn, pedestal_scatter_dn : float
        Zero level of a pixel, and its scatter from pixel to pixel.
    saturation_dn : float
        Raw DN from which the saturation reference calls a read saturated.
    full_well_e : float
        Electrons that a pixel holds.
    """

    serial: int = 4
    gain: float = MIRI.gain
    pedestal_dn: float = 9_000.0
    pedestal_scatter_dn: float = 50.0
    saturation_dn: float = 60_000.0
    full_well_e: float = MIRI.full_well_e


@dataclass(frozen=True)
class PhotonNoise:
    """Poisson noise, accumulated from group to group in electrons."""


@dataclass(frozen=True)
class ReadNoise:
    """White noise of every read, DN rms."""

    rms_dn: float = MIRI.read_noise_dn


@dataclass(frozen=True)
class ResetNoise:
    """Offset of a pixel after a reset, different in every integration, DN rms (assumed)."""

    rms_dn: float = 15.0


@dataclass(frozen=True)
class Dark:
    """Dark current, e-/s, and its relative scatter from pixel to pixel (assumed)."""

    rate_e_s: float = MIRI.dark_current_e_s
    scatter: float = 0.3


@dataclass(frozen=True)
class Flat:
    """Relative sensitivity of the pixels about 1: its scatter (assumed)."""

    scatter: float = 0.005


@dataclass(frozen=True)
class NonlinearityCurve:
    """How a pixel's response falls off: a polynomial that turns measured into linear DN above the zero level."""

    coefficients: tuple[float, ...] = CLASSIC_CURVE

    def curve(self) -> Nonlinearity:
        """Return the response."""
        return Nonlinearity(self.coefficients)


@dataclass(frozen=True)
class Rscd:
    """Signal missing at the start of a ramp, in proportion to the last one's end: only leaving out groups helps.

    Attributes
    ----------
    fraction, first_fraction : float
        Part of a ramp's final signal that the first group lacks, and in the first integration of an exposure, which
        follows no illuminated one (assumed).
    time_constant_groups : float
        Decay of what is missing. The default spoils two groups; published reductions drop 5 to 12 of long ramps.
    """

    fraction: float = 0.005
    first_fraction: float = 0.002
    time_constant_groups: float = 0.5


@dataclass(frozen=True)
class ResetDecay:
    """Charge of the reset switch: a decaying offset in the electronics, known to the reset reference (assumed sizes).

    Attributes
    ----------
    amplitude_dn, first_amplitude_dn : float
        In the first group, of later integrations and of the first.
    scatter : float
        Relative scatter from pixel to pixel.
    time_constant_groups : float
        Decay.
    """

    amplitude_dn: float = 250.0
    first_amplitude_dn: float = 150.0
    scatter: float = 0.1
    time_constant_groups: float = 2.0


@dataclass(frozen=True)
class LastFrame:
    """What the last group of a ramp lacks, DN, in even and odd rows, plus a part of the signal (assumed)."""

    even_dn: float = 60.0
    odd_dn: float = 25.0
    fraction: float = 0.005


@dataclass(frozen=True)
class Emi:
    """Electromagnetic interference: amplitudes (harmonic, DN); the phase is drawn for every integration."""

    amplitudes_dn: tuple[tuple[int, float], ...] = MIRI_INTERFERENCE.harmonic_amplitudes_dn


@dataclass(frozen=True)
class OutputDrift:
    """Drift of the outputs, seen by reference and science pixels alike (assumed sizes).

    Attributes
    ----------
    walk_dn : float
        Step of a random walk from group to group, per output.
    odd_even_dn : float
        Scatter of even and odd rows, per group and output.
    slow_dn, slow_cycles : float
        Amplitude of a wave along the rows, and its cycles over all rows.
    """

    walk_dn: float = 1.0
    odd_even_dn: float = 2.0
    slow_dn: float = 2.0
    slow_cycles: float = 1.5


@dataclass(frozen=True)
class CosmicRayHits:
    """Hits of the whole subarray per second, and what they deposit (assumed: 5 per cm2 and s, 25 micron pixels)."""

    hits_per_s: float = 1.0
    median_charge_e: float = 3_000.0
    spread_dex: float = 0.5
    neighbour_fraction: float = 0.1


@dataclass(frozen=True)
class BadPixels:
    """Parts of the pixels that are bad; all are in the mask reference (assumed sizes).

    Attributes
    ----------
    hot_fraction : float
        Pixels with an excess rate, log-uniform over `hot_dn_s`; flagged HOT, and DO_NOT_USE from 300 DN/s on.
    dead_fraction : float
        Pixels that see nothing; flagged DEAD and DO_NOT_USE.
    unusable_fraction : float
        Pixels of unreliable response, DO_NOT_USE: the pipeline makes NaN of them.
    """

    hot_fraction: float = 0.002
    hot_dn_s: tuple[float, float] = (30.0, 3_000.0)
    dead_fraction: float = 0.001
    unusable_fraction: float = 0.001
