"""References: made, looked up, and read from the exposure itself."""

from detectorist.reference.get_default_gain import GetDefaultGain
from detectorist.reference.get_default_read_noise import GetDefaultReadNoise
from detectorist.reference.get_integration_times import GetIntegrationTimes
from detectorist.reference.get_wavelength_map import GetWavelengthMap
from detectorist.reference.set_custom_gain import SetCustomGain
from detectorist.reference.set_custom_linearity import SetCustomLinearity

__all__ = [
    "GetDefaultGain",
    "GetDefaultReadNoise",
    "GetIntegrationTimes",
    "GetWavelengthMap",
    "SetCustomGain",
    "SetCustomLinearity",
]
