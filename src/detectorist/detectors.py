"""Facts of the detectors: geometry, outputs, clocks, gains and noise. Numbers with their unit and source, no behaviour.

Sources are named where a number stands: "emicorr" is the clock table of the EMI correction in jwst 3.0; "JDox" the
JWST user documentation; "pynrc" the NIRCam simulator; "header" the keywords of public exposures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Time to read one pixel of one output, s, MIRI and NIRCam alike (emicorr; JDox).
PIXEL_TIME_S = 1e-5


@dataclass(frozen=True)
class Subarray:
    """Where a subarray lies on its detector.

    Attributes
    ----------
    name : str
        As in the SUBARRAY keyword.
    x_start, y_start : int
        First column and row, 1-based as in SUBSTRT1 and SUBSTRT2.
    n_cols, n_rows : int
        Size in pixels.
    """

    name: str
    x_start: int
    y_start: int
    n_cols: int
    n_rows: int


@dataclass(frozen=True)
class MiriSubarray(Subarray):
    """A MIRI subarray and its clocks in fast mode.

    Attributes
    ----------
    row_clocks : int
        Pixel clocks per row of the subarray (emicorr).
    """

    row_clocks: int

    @property
    def frame_clocks(self) -> int:
        """Pixel clocks per frame: rows inside the subarray are read, those outside are skipped through (emicorr)."""
        skipped_rows = MIRI.n_rows - self.n_rows
        return self.n_rows * self.row_clocks + MIRI.skipped_row_clocks * skipped_rows

    @property
    def frame_time_s(self) -> float:
        """Time per frame, s."""
        return self.frame_clocks * PIXEL_TIME_S


@dataclass(frozen=True)
class MiriDetector:
    """The MIRI imager's detector (Si:As, 1024 rows, 1032 columns of which 4 + 4 see no light)."""

    name: str = "MIRIMAGE"
    n_rows: int = 1024
    n_cols: int = 1032
    #: Outputs, interleaved by column: output = column mod 4 (emicorr).
    n_outputs: int = 4
    #: Reference columns at the left edge, one per output (JDox).
    n_reference_cols: int = 4
    #: Clocks that a row outside the subarray costs (emicorr).
    skipped_row_clocks: int = 7
    #: Direction of the fast and slow readout axes, as in FASTAXIS and SLOWAXIS (header).
    fast_axis: int = 1
    slow_axis: int = 2
    #: e-/DN (Bell et al. 2023, arXiv:2301.06350; JDox quotes about 4).
    gain: float = 3.1
    #: DN rms of one read in fast mode (JDox).
    read_noise_dn: float = 6.0
    #: e-/s (JDox).
    dark_current_e_s: float = 0.2
    #: e- (JDox).
    full_well_e: float = 210_000.0
    #: Largest number its converter writes: 16 bit.
    max_dn: int = 65_535
    #: arcsec per pixel (JDox).
    pixel_scale_arcsec: float = 0.11


@dataclass(frozen=True)
class MiriInterference:
    """Electromagnetic interference in MIRI subarrays: a wave of fixed frequency, sampled by the pixel clock (emicorr).

    Its phase keeps running from frame to frame; it is constant within an integration relative to the clock.
    """

    #: Hz; 256 pixel clocks exactly.
    frequency_hz: float = 390.625
    #: DN of the waves at 1, 2 and 4 times the frequency. The fundamental is "about +-4 DN" (JDox); the others keep the
    #: ratios of the amplitudes seen in differences of groups (3.73, 0.75, 0.22 DN), undone for the phase advance.
    harmonic_amplitudes_dn: tuple[tuple[int, float], ...] = ((1, 4.0), (2, 0.43), (4, 0.09))

    @property
    def period_clocks(self) -> float:
        """Pixel clocks per cycle."""
        return 1 / (self.frequency_hz * PIXEL_TIME_S)


MIRI = MiriDetector()
MIRI_INTERFERENCE = MiriInterference()

#: Subarrays of the MIRI imager by name: place (header), clocks (emicorr; JDox).
MIRI_SUBARRAYS = {
    subarray.name: subarray
    for subarray in (
        MiriSubarray("SLITLESSPRISM", 1, 529, 72, 416, row_clocks=28),
        MiriSubarray("MASK1065", 1, 19, 288, 224, row_clocks=82),
        MiriSubarray("MASK1140", 1, 245, 288, 224, row_clocks=82),
        MiriSubarray("MASK1550", 1, 467, 288, 224, row_clocks=82),
        MiriSubarray("MASKLYOT", 1, 717, 320, 304, row_clocks=90),
        MiriSubarray("FULL", 1, 1, 1032, 1024, row_clocks=271),
    )
}


@dataclass(frozen=True)
class LrsSlitless:
    """The slitless mode of the low-resolution spectrometer."""

    exposure_type: str = "MIR_LRS-SLITLESS"
    filter: str = "P750L"
    read_pattern: str = "FASTR1"
    #: Column of the trace, 0-based (public exposures; 36 to 39 occur).
    trace_column: int = 36
    #: Columns beside the trace without its light, ends exclusive.
    background_columns: tuple[tuple[int, int], tuple[int, int]] = ((8, 17), (56, 72))
    #: Width (sigma) of the trace at its short-wavelength end, pixel; it grows with wavelength.
    trace_sigma_pix: float = 1.6
    #: (row, micron), row 0-based: flight wavelength calibration at the trace, sampled; NaN beyond its ends.
    wavelength_table: tuple[tuple[int, float], ...] = (
        (7, 14.048),
        (10, 14.007),
        (50, 13.445),
        (100, 12.690),
        (150, 11.855),
        (200, 10.918),
        (250, 9.847),
        (300, 8.568),
        (330, 7.653),
        (350, 6.939),
        (370, 6.084),
        (380, 5.557),
        (390, 4.833),
        (394, 4.063),
    )


LRS_SLITLESS = LrsSlitless()

#: EXP_TYPE of coronagraphic exposures.
CORONAGRAPHIC_TYPES = ("NRC_CORON", "MIR_4QPM", "MIR_LYOT")


@dataclass(frozen=True)
class NircamDetector:
    """One of NIRCam's ten detectors (H2RG, 2048 x 2048 with a frame of 4 reference pixels).

    Attributes
    ----------
    name : str
        As in the DETECTOR keyword.
    gain : float
        e-/DN (pynrc).
    fast_axis : int
        As in FASTAXIS: -1 where the first output is the rightmost of the image and scans toward lower columns
        (header). Neighbouring outputs scan in opposite directions. Stripes are horizontal on every detector.
    """

    name: str
    gain: float
    fast_axis: int
    n_rows: int = field(default=2048, kw_only=True)
    n_cols: int = field(default=2048, kw_only=True)
    #: Outputs of 512 columns each (JDox).
    n_outputs: int = field(default=4, kw_only=True)
    #: Width of the frame of reference pixels (JDox).
    n_reference_pix: int = field(default=4, kw_only=True)
    #: Clocks lost at the end of every row (pynrc).
    row_overhead_clocks: int = field(default=12, kw_only=True)

    @property
    def slow_axis(self) -> int:
        """As in SLOWAXIS: rows are read upwards where columns are read downwards, and the other way round (pynrc)."""
        return 2 if self.fast_axis < 0 else -2

    @property
    def is_long_wave(self) -> bool:
        """Whether this is one of the two long-wavelength detectors."""
        return self.name.endswith("LONG")

    @property
    def read_noise_e(self) -> float:
        """Noise of one read, e- rms (pynrc). Reference files hold that of a difference of two reads, in DN."""
        return 10.0 if self.is_long_wave else 11.5

    @property
    def full_well_e(self) -> float:
        """Electrons (pynrc)."""
        return 83_000.0 if self.is_long_wave else 105_000.0

    @property
    def dark_current_e_s(self) -> float:
        """Electrons per second (pynrc)."""
        return 0.034 if self.is_long_wave else 0.002


#: NIRCam's detectors by the name in DETECTOR.
NIRCAM = {
    detector.name: detector
    for detector in (
        NircamDetector("NRCA1", 2.13, -1),
        NircamDetector("NRCA2", 2.17, 1),
        NircamDetector("NRCA3", 2.25, -1),
        NircamDetector("NRCA4", 2.08, 1),
        NircamDetector("NRCALONG", 1.88, -1),
        NircamDetector("NRCB1", 2.00, 1),
        NircamDetector("NRCB2", 2.24, -1),
        NircamDetector("NRCB3", 2.09, 1),
        NircamDetector("NRCB4", 2.18, -1),
        NircamDetector("NRCBLONG", 1.90, 1),
    )
}

_SHORT_FILTERS = "F070W F090W F115W F140M F150W F150W2 F162M F164N F182M F187N F200W F210M F212N"
_LONG_FILTERS = "F250M F277W F300M F322W2 F323N F335M F356W F360M F405N F410M F430M F444W F460M F466N F470N F480M"
#: Filters of NIRCam's two channels (JDox), with those in the pupil wheels (F162M, F323N, ...).
NIRCAM_FILTERS = (*_SHORT_FILTERS.split(), *_LONG_FILTERS.split())

#: Offset that a reset leaves in a NIRCam pixel, e- rms (pynrc).
NIRCAM_KTC_E = 37.0
#: Part of a pixel's charge seen by each of its four neighbours, NIRCam (pynrc).
NIRCAM_IPC_FRACTION = 0.005

#: NIRCam readout patterns: frames averaged per group, frames skipped between groups (JDox).
NIRCAM_READOUT_PATTERNS = {
    "RAPID": (1, 0),
    "BRIGHT1": (1, 1),
    "BRIGHT2": (2, 0),
    "SHALLOW2": (2, 3),
    "SHALLOW4": (4, 1),
    "MEDIUM2": (2, 8),
    "MEDIUM8": (8, 2),
    "DEEP2": (2, 18),
    "DEEP8": (8, 12),
}
