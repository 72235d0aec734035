"""Steps on ramps, before a slope is fitted."""

from detectorist.stage_1.drop_groups import DropGroupsStep
from detectorist.stage_1.drop_integrations import DropIntegrationsStep
from detectorist.stage_1.group_background_subtract import GroupBackgroundSubtractStep
from detectorist.stage_1.reference_pixel import ReferencePixelStep
from detectorist.stage_1.regroup import RegroupStep

__all__ = [
    "DropGroupsStep",
    "DropIntegrationsStep",
    "GroupBackgroundSubtractStep",
    "ReferencePixelStep",
    "RegroupStep",
]
