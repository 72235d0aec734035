"""Components of a simulated NIRCam detector: a frozen set of parameters for each, with their units."""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.detectors import NIRCAM_KTC_E


@dataclass(frozen=True)
class Detector:
    """The detector, the part of it that is read, and how.

    Attributes
    ----------
    name, filter : str
        DETECTOR and FILTER.
    subarray : str
        FULL, SUB640, SUB320 or SUB160; any other name together with `size`.
    size : int or None
        Rows and columns of a square subarray of any size, in the middle of the detector.
    outputs : int or None
        1 or 4; None means 4 on a full frame and 1 otherwise.
    pattern : str
        READPATT: frames averaged per group and skipped between groups.
    serial : int
        Another number gives another detector with its own flat, bias and bad pixels; it needs its own reference files.
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
class ReadNoise:
    """Noise of one read, independent from pixel to pixel, e- rms; None is the detector's own."""

    rms_e: float | None = None


@dataclass(frozen=True)
class ResetNoise:
    """Reset (kTC) noise: a pixel's offset after a reset, e- rms."""

    rms_e: float = NIRCAM_KTC_E


@dataclass(frozen=True)
class Dark:
    """Dark current, e-/s (None is the detector's own), and its relative scatter between pixels."""

    rate_e_s: float | None = None
    scatter: float = 0.3


@dataclass(frozen=True)
class Flat:
    """Relative sensitivity about 1: scatter between pixels, and over the frame (assumed)."""

    scatter: float = 0.01
    large_scale: float = 0.02


@dataclass(frozen=True)
class BadPixels:
    """Bad pixels, all in the mask reference.

    Attributes
    ----------
    hot_fraction, hot_dn_s : float, tuple of float
        Pixels with an excess rate, log-uniform over the range; flagged HOT and DO_NOT_USE.
    dead_fraction : float
        Pixels that are not sensitive to light; flagged DEAD and DO_NOT_USE.
    hot_map : str or None
        FITS image of a whole detector whose non-zero pixels are hot, instead of `hot_fraction`.
    """

    hot_fraction: float = 0.001
    hot_dn_s: tuple[float, float] = (3.0, 300.0)
    dead_fraction: float = 0.001
    hot_map: str | None = None
