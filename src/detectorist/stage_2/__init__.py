"""Steps on integrations of MIRI LRS slitless spectra."""

from detectorist.stage_2.clean_outliers import CleanOutliersStep
from detectorist.stage_2.inspect_dq_flags import InspectDQFlagsStep

__all__ = [
    "CleanOutliersStep",
    "InspectDQFlagsStep",
]
