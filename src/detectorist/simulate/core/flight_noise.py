"""1/f noise of NIRCam as measured in flight.

Power per Hz of a single frame, in electrons squared: common to the four outputs, and of each output alone. Measured by
`benchmarks/flight_noise.py` on the difference of two integrations after the standard reference-pixel correction. Below
the frequency of the frames used (1 / 1.3 s) nothing was measured, and the power is taken to be constant.
"""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.simulate.core.noise_spectra import MeasuredSpectrum


@dataclass(frozen=True)
class FlightNoise:
    """Power spectra, e-**2/Hz, of the noise that all outputs share and of each output's own."""

    common: MeasuredSpectrum
    own: MeasuredSpectrum


#: NRCA3, programme 1366, 2022-07-22, 256 rows through four outputs. White noise beside it: 12.9 e- rms.
_NRCA3_HZ = (1.27, 2.03, 3.25, 5.21, 8.35, 13.4, 21.4, 34.3, 55.0, 88.2, 141, 226, 363, 582, 932, 1_490, 2_390, 3_830,
             6_140, 9_850, 15_800, 25_300)  # fmt: skip
_NRCA3_COMMON = (1.3, 0.39, 0.81, 1.3, 0.49, 0.29, 0.19, 0.088, 0.074, 0.025, 0.023, 0.0159, 0.0094, 0.0048, 0.0028,
                 1.89e-3, 1.33e-3, 6.9e-4, 2.9e-4, 1.67e-4, 1.1e-4, 6e-5)  # fmt: skip
#: The last two are lost in white noise: a tenth of the one before.
_NRCA3_OWN = (0.161, 0.165, 0.142, 0.096, 0.034, 0.0108, 0.024, 0.0116, 0.011, 6.3e-3, 3.8e-3, 2.44e-3, 2.4e-3, 1.44e-3,
              8.2e-4, 4.4e-4, 2.36e-4, 2.14e-4, 1.06e-4, 5.5e-5, 5.5e-6, 5.5e-6)  # fmt: skip

#: By detector and year.
SPECTRA = {
    "nrca3-2022": FlightNoise(
        MeasuredSpectrum(_NRCA3_HZ, _NRCA3_COMMON),
        MeasuredSpectrum(_NRCA3_HZ, _NRCA3_OWN),
    ),
}
