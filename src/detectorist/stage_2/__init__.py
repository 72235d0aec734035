"""Steps on integrations of MIRI LRS slitless spectra."""

from detectorist.stage_2.align_spectra import AlignSpectraStep
from detectorist.stage_2.background_subtract import BackgroundSubtractStep
from detectorist.stage_2.clean_outliers import CleanOutliersStep
from detectorist.stage_2.extract_1d_box import Extract1DBoxStep
from detectorist.stage_2.extract_1d_optimal import Extract1DOptimalStep
from detectorist.stage_2.inspect_dq_flags import InspectDQFlagsStep
from detectorist.stage_2.subtract_showers import SubtractShowersStep

__all__ = [
    "AlignSpectraStep",
    "BackgroundSubtractStep",
    "CleanOutliersStep",
    "Extract1DBoxStep",
    "Extract1DOptimalStep",
    "InspectDQFlagsStep",
    "SubtractShowersStep",
]
