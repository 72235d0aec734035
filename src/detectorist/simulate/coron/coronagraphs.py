"""The simulated coronagraphs: their positions on the detectors, and their header keywords."""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.detectors import MIRI, MIRI_SUBARRAYS, NIRCAM, Subarray


@dataclass(frozen=True)
class CoronMode:
    """Facts of a coronagraph.

    Attributes
    ----------
    instrument, detector, filter, coronagraph, exposure_type, read_pattern, aperture, template : str
        As in the header; `aperture` is APERNAME and PPS_APER.
    pupil, module, channel : str or None
        NIRCam only.
    subarray : Subarray
    centre : (x, y)
        The mask's centre in the subarray, pixels from 0.
    pixel_scale_arcsec : float
    n_outputs, fast_axis : int
        NOUTPUTS and FASTAXIS.
    v2_v3_arcsec : (float, float)
        Position in the telescope's focal plane.
    v3_to_y_deg : float
        V3I_YANG: from V3 to the columns of the detector.
    quadrants : bool
        Whether a phase mask parts the light in quadrants.
    mjy_sr_per_dn_s : float
        PHOTMJSR.
    """

    instrument: str
    detector: str
    filter: str
    coronagraph: str
    exposure_type: str
    read_pattern: str
    aperture: str
    template: str
    subarray: Subarray
    centre: tuple[float, float]
    pixel_scale_arcsec: float
    n_outputs: int
    fast_axis: int
    v2_v3_arcsec: tuple[float, float]
    mjy_sr_per_dn_s: float
    pupil: str | None = None
    module: str | None = None
    channel: str | None = None
    v3_to_y_deg: float = 0.0
    quadrants: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.subarray.n_rows, self.subarray.n_cols


#: Places of subarray and mask as in a flight header of 2023.
NIRCAM_335R = CoronMode(
    instrument="NIRCAM",
    detector="NRCALONG",
    filter="F335M",
    pupil="MASKRND",
    module="A",
    channel="LONG",
    coronagraph="MASKA335R",
    exposure_type="NRC_CORON",
    read_pattern="RAPID",
    aperture="NRCA5_MASK335R",
    template="NIRCam Coronagraphic Imaging",
    subarray=Subarray("SUB320A335R", 492, 1502, 320, 320),
    centre=(149.1, 173.2),
    pixel_scale_arcsec=0.063,
    n_outputs=1,
    fast_axis=NIRCAM["NRCALONG"].fast_axis,
    v2_v3_arcsec=(107.309, -405.150),
    mjy_sr_per_dn_s=8.474,  # of the same flight header
    v3_to_y_deg=0.0543,
)
MIRI_1140 = CoronMode(
    instrument="MIRI",
    detector=MIRI.name,
    filter="F1140C",
    coronagraph="4QPM_1140",
    exposure_type="MIR_4QPM",
    read_pattern="FASTR1",
    aperture="MIRIM_MASK1140",
    template="MIRI Coronagraphic Imaging",
    subarray=MIRI_SUBARRAYS["MASK1140"],
    centre=(119.0, 111.2),
    pixel_scale_arcsec=MIRI.pixel_scale_arcsec,
    n_outputs=MIRI.n_outputs,
    fast_axis=MIRI.fast_axis,
    v2_v3_arcsec=(-389.0, -386.0),
    mjy_sr_per_dn_s=4.0,  # assumed
    quadrants=True,
)
#: Place of the mask in its subarray, and of that in the focal plane: assumed.
MIRI_LYOT = CoronMode(
    instrument="MIRI",
    detector=MIRI.name,
    filter="F2300C",
    coronagraph="LYOT_2300",
    exposure_type="MIR_LYOT",
    read_pattern="FASTR1",
    aperture="MIRIM_MASKLYOT",
    template="MIRI Coronagraphic Imaging",
    subarray=MIRI_SUBARRAYS["MASKLYOT"],
    centre=(144.0, 159.0),
    pixel_scale_arcsec=MIRI.pixel_scale_arcsec,
    n_outputs=MIRI.n_outputs,
    fast_axis=MIRI.fast_axis,
    v2_v3_arcsec=(-386.0, -333.0),
    mjy_sr_per_dn_s=4.0,
)
