"""The jump step, in the engine."""

from __future__ import annotations

import multiprocessing
from typing import Any, ClassVar

import numpy as np
from jwst.jump import jump_step
from jwst.jump.jump_step import JumpStep
from stcal.jump.jump_class import JumpData
from stcal.multiprocessing import compute_num_cores

from detectorist.engine import NotCovered
from detectorist.engine.jump import flag_jumps
from detectorist.engine.snowballs import SnowballRule, flag_large_events
from detectorist.reduction.engine_steps.base import EngineStep, float32


class EngineJumpStep(EngineStep, JumpStep):
    """Detect jumps as `JumpStep` does; `maximum_cores` counts threads of this process instead of processes.

    Standard code runs for showers, uneven read patterns, and clipping over groups and integrations together.
    """

    stock: ClassVar = JumpStep
    place: ClassVar = (jump_step, "detect_jumps_data")

    @staticmethod
    def covered(jump_data: JumpData) -> tuple[np.ndarray, np.ndarray, int, int]:
        """Do what stcal's `detect_jumps_data` does: group and pixel flags, numbers of cosmic rays and large events."""
        return _detect(jump_data)

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._jump_tiles_nb import flag_tiles

        return flag_tiles


def _detect(settings: JumpData) -> tuple[np.ndarray, np.ndarray, int, int]:
    if settings.find_showers:
        raise NotCovered("showers are to be found")
    if not settings.only_use_ints:
        raise NotCovered("clipping is over groups and integrations together")
    if settings.dt_group.size != 1 or settings.n_reads_groupdiff.size != 1:
        raise NotCovered("the groups are not evenly spaced")
    jumps = flag_jumps(
        float32(settings.data, "ramp"),
        settings.gdq,
        settings.pdq,
        float32(settings.gain_2d, "gain"),
        float32(settings.rnoise_2d, "read noise"),
        n_frames=settings.n_reads_groupdiff[0] / 2,
        threshold_sigma=settings.rejection_thresh,
        three_group_threshold_sigma=settings.three_grp_thresh,
        four_group_threshold_sigma=settings.four_grp_thresh,
        flag_4_neighbors=settings.flag_4_neighbors,
        min_neighbor_sigma=settings.min_jump_to_flag_neighbors,
        max_neighbor_sigma=settings.max_jump_to_flag_neighbors,
        after_jump_dn=(settings.after_jump_flag_dn1, settings.after_jump_flag_dn2),
        after_jump_groups=(settings.after_jump_flag_n1, settings.after_jump_flag_n2),
        min_diffs_single_pass=settings.min_diffs_single_pass,
        min_sigclip_ints=settings.minimum_sigclip_groups,
        threads=threads_of(settings.max_cores, settings.data.shape[2]),
    )
    groupdq, n_events = jumps.groupdq, 0
    if settings.expand_large_events:
        groupdq, n_events = flag_large_events(groupdq, _snowball_rule(settings))
    return groupdq, jumps.pixeldq, jumps.n_primary, n_events


def _snowball_rule(settings: JumpData) -> SnowballRule:
    return SnowballRule(
        min_jump_area=settings.min_jump_area,
        min_sat_area=settings.min_sat_area,
        expand_factor=settings.expand_factor,
        sat_required=settings.sat_required_snowball,
        min_sat_axis=settings.min_sat_radius_extend,
        sat_expand=settings.sat_expand,
        edge_size=settings.edge_size,
        max_axis=settings.max_extended_width,
        mask_next_int=settings.mask_persist_grps_next_int,
        next_int_groups=settings.persist_grps_flagged,
    )


def threads_of(maximum_cores: str | None, n_rows: int) -> int:
    """Return the number of threads for a value of `maximum_cores`: "none", "half", "all", or a number."""
    return compute_num_cores(maximum_cores, n_rows, multiprocessing.cpu_count())
