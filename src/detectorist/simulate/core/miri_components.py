"""Components of a simulated MIRI detector: a frozen set of parameters for each, with their units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from detectorist.detectors import MIRI, MIRI_INTERFERENCE


@dataclass(frozen=True)
class Detector:
    """The detector itself, its fixed patterns drawn once from its serial number: not from an exposure's seed.

    Attributes
    ----------
    serial : int
        Another number gives another detector with its own flat, pedestal and bad pixels; it needs its own reference
        files. The default has its share of bad pixels on the trace (16), but none among the brightest rows' central
        pixels.
    gain : float
        e-/DN.
    pedestal_dn, pedestal_scatter_dn : float
        Zero level of a pixel, and its scatter from pixel to pixel.
    saturation_dn : float
        Raw DN from which the saturation reference calls a read saturated.
    full_well_e : float
        Electrons that a pixel holds.
    """

    RANGES: ClassVar = {"gain": (0.01, 1_000.0)}

    serial: int = 4
    gain: float = MIRI.gain
    pedestal_dn: float = 9_000.0
    pedestal_scatter_dn: float = 50.0
    saturation_dn: float = 60_000.0
    full_well_e: float = MIRI.full_well_e


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
class Rscd:
    """Signal missing at the start of a ramp, in proportion to the end of the last one; dropping groups helps.

    Attributes
    ----------
    fraction, first_fraction : float
        Fraction of a ramp's final signal that is missing in the first group, in later integrations and in the first one
        of an exposure (assumed).
    time_constant_groups : float
        Decay of the missing signal. The default affects two groups; published reductions drop 5 to 12 of long ramps.
    """

    fraction: float = 0.005
    first_fraction: float = 0.002
    time_constant_groups: float = 0.5


@dataclass(frozen=True)
class ResetDecay:
    """Charge of the reset switch: a decaying offset in the electronics, in the reset reference (assumed sizes).

    Attributes
    ----------
    amplitude_dn, first_amplitude_dn : float
        In the first group, of later integrations and of the first.
    scatter : float
        Relative scatter from pixel to pixel.
    time_constant_groups, first_time_constant_groups : float
        Decay, and that in the first integration (None: the same).
    """

    amplitude_dn: float = 250.0
    first_amplitude_dn: float = 150.0
    scatter: float = 0.1
    time_constant_groups: float = 2.0
    first_time_constant_groups: float | None = None

    def of(self, *, first: bool) -> tuple[float, float]:
        """Return amplitude and time constant in the `first` integration of an exposure, or in a later one."""
        if not first:
            return self.amplitude_dn, self.time_constant_groups
        return self.first_amplitude_dn, self.first_time_constant_groups or self.time_constant_groups


@dataclass(frozen=True)
class FirstFrame:
    """Offset of the first group of a ramp, DN (assumed).

    Attributes
    ----------
    offset_dn : float
        In all rows.
    parity_dn : float
        Added in odd rows and subtracted in even ones.
    """

    offset_dn: float = -80.0
    parity_dn: float = 0.0


@dataclass(frozen=True)
class LastFrame:
    """Signal missing in the last group of a ramp, DN, in even and odd rows, plus a part of the signal (assumed)."""

    even_dn: float = 60.0
    odd_dn: float = 25.0
    fraction: float = 0.005


@dataclass(frozen=True)
class Emi:
    """Electromagnetic interference.

    Attributes
    ----------
    amplitudes_dn : tuple
        (harmonic, DN) of every wave.
    keep_phase : bool
        Whether the wave continues through the resets of an exposure; otherwise its phase is drawn for every
        integration.
    """

    amplitudes_dn: tuple[tuple[int, float], ...] = MIRI_INTERFERENCE.harmonic_amplitudes_dn
    keep_phase: bool = False


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
    common_dn : float
        Scatter of all outputs together from group to group, half of which persists in the next group.
    rows_dn : float
        Scatter of the rows of every group, all outputs together, correlated over some five rows.
    """

    walk_dn: float = 1.0
    odd_even_dn: float = 2.0
    slow_dn: float = 2.0
    slow_cycles: float = 1.5
    common_dn: float = 0.0
    rows_dn: float = 0.0


@dataclass(frozen=True)
class BadPixels:
    """Parts of the pixels that are bad; all are in the mask reference (assumed sizes).

    Attributes
    ----------
    hot_fraction : float
        Pixels with an excess rate, log-uniform over `hot_dn_s`; flagged HOT, and DO_NOT_USE from 300 DN/s on.
    dead_fraction : float
        Pixels that are not sensitive to light; flagged DEAD and DO_NOT_USE.
    unusable_fraction : float
        Pixels of unreliable response, DO_NOT_USE: the pipeline sets them to NaN.
    """

    hot_fraction: float = 0.002
    hot_dn_s: tuple[float, float] = (30.0, 3_000.0)
    dead_fraction: float = 0.001
    unusable_fraction: float = 0.001


#: Electronics of a real MIRI array, by component. Source: ground ramps of 2018 on a test bench, dark, FAST, SUB64,
#: 5 integrations of 50 groups (tests of STScI's MIRI-Pixel-DB), measured about the line of late groups. There the first
#: integration decays from -73 DN over 8 groups and later ones from -11 DN over 3.5; the first group lies 18 DN lower in
#: even and higher in odd rows, the last one 12 and 23 DN above the line; the 390.625 Hz wave has 1.76, 0.38 and 0.09 DN
#: and runs on through the resets, in phase to 0.01 cycle; read noise is 4.2 DN; all outputs together wander by 0.8 DN
#: from group to group, each by 0.25 DN by itself; rows scatter by 0.6 DN; even and odd rows do not differ (0.1 DN).
#: In flight the electronics are others, so that signs and sizes may differ: the setting shows what a reduction takes.
MEASURED: dict[str, dict[str, Any]] = {
    "reset_decay": {
        "amplitude_dn": -10.5,
        "first_amplitude_dn": -72.5,
        "time_constant_groups": 3.5,
        "first_time_constant_groups": 8.0,
    },
    "first_frame": {"offset_dn": 0.0, "parity_dn": 18.0},
    "last_frame": {"even_dn": -12.0, "odd_dn": -23.0, "fraction": 0.0},
    "emi": {"amplitudes_dn": ((1, 1.76), (2, 0.38), (3, 0.09)), "keep_phase": True},
    "drift": {
        "walk_dn": 0.15,
        "odd_even_dn": 0.1,
        "slow_dn": 0.0,
        "common_dn": 0.8,
        "rows_dn": 0.6,
    },
    "read_noise": {"rms_dn": 4.2},
}
