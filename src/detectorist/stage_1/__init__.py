"""Steps on ramps, before a slope is fitted."""

from detectorist.stage_1.drop_groups import DropGroupsStep
from detectorist.stage_1.drop_integrations import DropIntegrationsStep
from detectorist.stage_1.flag_persistence import FlagPersistenceStep
from detectorist.stage_1.group_background_subtract import GroupBackgroundSubtractStep
from detectorist.stage_1.mask_groups import MaskGroupsStep
from detectorist.stage_1.rateints_outliers import RateintsOutliersStep
from detectorist.stage_1.reference_pixel import ReferencePixelStep
from detectorist.stage_1.regroup import RegroupStep
from detectorist.stage_1.snowballs import SnowballsStep
from detectorist.stage_1.stripes import StripesStep
from detectorist.stage_1.subtract_1overf import SubtractOneOverFStep
from detectorist.stage_1.subtract_group_offsets import SubtractGroupOffsetsStep
from detectorist.stage_1.subtract_ktc import SubtractKtcStep
from detectorist.stage_1.wisps import WispsStep

__all__ = [
    "DropGroupsStep",
    "DropIntegrationsStep",
    "FlagPersistenceStep",
    "GroupBackgroundSubtractStep",
    "MaskGroupsStep",
    "RateintsOutliersStep",
    "ReferencePixelStep",
    "RegroupStep",
    "SnowballsStep",
    "StripesStep",
    "SubtractGroupOffsetsStep",
    "SubtractKtcStep",
    "SubtractOneOverFStep",
    "WispsStep",
]
