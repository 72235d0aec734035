"""Components of a simulated MIRI LRS exposure: a frozen set of parameters for each, with their units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from detectorist.detectors import LRS_SLITLESS, MIRI_SUBARRAYS, MiriSubarray
from detectorist.simulate.core import components as shared
from detectorist.simulate.core import miri_components as miri
from detectorist.simulate.core.scene import Scene


@dataclass(frozen=True)
class Star:
    """A star without lines except for a few broad dips.

    Attributes
    ----------
    mag : float
        Magnitude on an arbitrary scale: 9.0 gives a brightest pixel of `peak_dn_s_at_mag_9`.
    peak_dn_s_at_mag_9 : float
        DN/s of the brightest pixel. The default is right for stars of K = 9 within a factor of two (assumed).
    trace_column : float
        Column of the trace's centre, 0-based.
    sigma_pix, sigma_growth_pix_per_um : float
        Width of the trace at 5 micron and its growth with wavelength, pixel.
    """

    #: Stars of magnitude -4.5 are the brightest; columns are those of the subarray.
    RANGES: ClassVar = {"mag": (-10.0, 40.0), "trace_column": (0.0, MIRI_SUBARRAYS["SLITLESSPRISM"].n_cols - 1.0)}

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
        unrealistically short, but the light curve has the right shape.
    a_over_rs, inclination_deg : float
        Orbit in stellar radii, and its inclination.
    limb_darkening : tuple of float
        Quadratic coefficients at 5 micron; both fall as 5 micron / wavelength.
    """

    RANGES: ClassVar = {"depth": (0.0, 1.0)}

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
        DN/s at row 390, and the excess at row 0, growing with the square of the distance from row 390.
    drift : float
        Relative change from the first to the last integration.
    column_slope : float
        Relative change across all columns.
    """

    short_dn_s: float = 18.0
    long_dn_s: float = 50.0
    drift: float = 0.002
    column_slope: float = 0.0


def late_curve(
    *, pedestal_dn: float, onset_dn: float = 14_000.0, top_dn: float = 50_000.0, loss: float = 0.06
) -> tuple[float, ...]:
    """Return a correction polynomial that hardly differs from 1:1 up to its onset.

    In raw DN x (zero level `pedestal_dn` included) the correction is c x^2 (x - r)^2 with its double zero r at the
    onset: it needs neither a constant nor a linear term in x, like a correction derived from the data themselves. With
    the defaults a line fitted to ramps between 5,000 and 20,000 DN (groups 10 to 40 of 100 that end at 50,000) meets
    the true signal at 50,000 DN to 0.01 %, and no read in between is off by 0.1 %.

    onset_dn : float
        Signal (measured DN above the zero level) at which the curve is exactly 1:1.
    top_dn, loss : float
        Linear signal, DN, of which the fraction `loss` is missing in the measurement.
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
class LrsComponents(Scene):
    """All components of an LRS scene. Every field but `detector` can be left out by its name."""

    star: Star = field(default_factory=Star)
    transit: Transit = field(default_factory=Transit)
    background: Background = field(default_factory=Background)
    jitter: shared.Jitter = field(default_factory=shared.Jitter)
    photon_noise: shared.PhotonNoise = field(default_factory=shared.PhotonNoise)
    read_noise: miri.ReadNoise = field(default_factory=miri.ReadNoise)
    reset_noise: miri.ResetNoise = field(default_factory=miri.ResetNoise)
    dark: miri.Dark = field(default_factory=miri.Dark)
    flat: miri.Flat = field(default_factory=miri.Flat)
    nonlinearity: shared.NonlinearityCurve = field(default_factory=shared.NonlinearityCurve)
    rscd: miri.Rscd = field(default_factory=miri.Rscd)
    reset_decay: miri.ResetDecay = field(default_factory=miri.ResetDecay)
    first_frame: miri.FirstFrame = field(default_factory=lambda: miri.FirstFrame(offset_dn=0.0))
    last_frame: miri.LastFrame = field(default_factory=miri.LastFrame)
    emi: miri.Emi = field(default_factory=miri.Emi)
    drift: miri.OutputDrift = field(default_factory=miri.OutputDrift)
    cosmic_rays: shared.CosmicRayHits = field(default_factory=shared.CosmicRayHits)
    bad_pixels: miri.BadPixels = field(default_factory=miri.BadPixels)
    detector: miri.Detector = field(default_factory=miri.Detector)
    left_out: frozenset[str] = frozenset()

    subarray: ClassVar[MiriSubarray] = MIRI_SUBARRAYS["SLITLESSPRISM"]
