from detectorist.stage_1.drop_groups import DropGroupsStep

__all__ = ["DropGroupsStep"]
