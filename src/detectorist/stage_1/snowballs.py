"""Flag snowballs in ramps, between jump detection and ramp fitting."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps.snowballs import Snowball, flag_snowballs, flag_snowballs_ceers
from detectorist.errors import InputError, ParameterError
from detectorist.stage_1.rate_images import naming
from detectorist.step import DetectoristStep

log = logging.getLogger(__name__)


class SnowballsStep(DetectoristStep):
    """Flag large cosmic-ray events to their full extent, as JUMP_DET.

    Belongs after the standard jump step, for instance as its post-hook: one ramp fit then sees all flags. The jump
    step's own `expand_large_events` has to be off; otherwise grown events are taken for larger ones. A second run does
    not change the flags.

    The record lists every event as [integration, group, y, x, radius, radius of the saturated core], from 0, in pixels,
    and counts them group by group. Where groups are averages of frames, an event shows in two groups and counts in the
    first. `n_released` counts jumps that were taken away: where charge reached most groups of a short ramp, the jump
    detection has flagged the one without.
    """

    class_alias = "snowballs"
    instruments: ClassVar = ("NIRCAM",)

    spec = """
        method = option("default", "ceers", default="default")  # by the shape of events, or by disk medians
        min_radius_pix = float(min=1.0, default=4.0)  # default: radius of the smallest event
        expand_factor = float(min=1.0, default=1.7)  # default: flagged radius over radius of the jumps
        core_grow_pix = float(min=0.0, default=3.0)  # default: pixels around saturated cores, all later groups
        core_glow_s = float(min=0.0, default=4000.0)  # default: a core is flagged for so long after the reset, s
        detection_radii = int_list(default=list(7, 15))  # ceers: radii of the disks that find events
        grow_radii = int_list(default=list(7, 35))  # ceers: radii by which the found grow
        draw_snowballs = boolean(default=False)  # draw events and flags
    """

    def process(self, input_data):
        """Return the ramps with the flags of snowballs."""
        model = self.open_input(input_data, RampModel)
        if models.state(model, self.class_alias) == "COMPLETE":
            log.info("%s: snowballs are flagged already; nothing changed", models.describe(model))
            self.record = models.records(model)[self.class_alias]
            return model
        self._require_jumps(model)
        flags = models.group_flags(model)
        averaged = (model.meta.exposure.nframes or 1) > 1
        with naming(model):
            found = self._flag(flags, np.asarray(model.data), averaged, model.meta.exposure.group_time)
        model.groupdq = found.groupdq
        events = [
            [e.integration, e.group, *(round(v, 1) for v in (e.y, e.x, e.radius_pix, e.core_radius_pix))]
            for e in (first_seen(found.events) if averaged else found.events)
        ]
        if self.draw_snowballs:
            from detectorist.figures.snowballs import draw_snowballs

            jumps = dq.has(found.groupdq, dq.JUMP_DET).any(axis=(0, 1))
            self.draw(lambda: draw_snowballs(jumps, events, n_groups=flags.shape[1]), model)
        what = f"{len(events)} events, " if self.method == "default" else ""
        return self.complete(
            model,
            f"{what}{found.n_flagged} flags set, {found.n_released} taken away ({self.method})",
            method=self.method,
            n_events=len(events),
            events=events,
            events_per_group=np.bincount([event[1] for event in events], minlength=flags.shape[1]),
            n_flagged=found.n_flagged,
            n_released=found.n_released,
        )

    def _require_jumps(self, model):
        """Refuse impossible times and jumps that are grown already; warn where no jumps have been looked for."""
        group_time = model.meta.exposure.group_time
        if group_time is not None and group_time <= 0:
            raise InputError(f"{models.describe(model)}: TGROUP is {group_time}; a positive time is needed")
        if models.state(model, "jump") != "COMPLETE":
            log.warning("%s: jump detection has not been run; snowballs are made of its flags", models.describe(model))
        if getattr(self.parent, "expand_large_events", False):
            raise ParameterError(
                f"{models.describe(model)}: {self.parent.class_alias}.expand_large_events is on; it has to be off: "
                "what it has grown would be taken for the size of events",
                parameter="expand_large_events",
            )

    def _flag(self, flags, ramps, averaged, group_time_s):
        if self.method == "ceers":
            radii = {"detection_radii": tuple(self.detection_radii), "grow_radii": tuple(self.grow_radii)}
            return flag_snowballs_ceers(flags, **radii)
        return flag_snowballs(
            flags,
            data=ramps,
            min_radius_pix=self.min_radius_pix,
            expand_factor=self.expand_factor,
            core_grow_pix=self.core_grow_pix,
            core_glow_s=self.core_glow_s,
            averaged=averaged,
            group_time_s=group_time_s,
        )


def first_seen(events: Sequence[Snowball]) -> list[Snowball]:
    """Return events without those found at the same place in the group before."""
    kept: list[Snowball] = []
    for event in events:
        before = [e for e in events if (e.integration, e.group) == (event.integration, event.group - 1)]
        if not any(np.hypot(e.y - event.y, e.x - event.x) < 0.5 * max(e.radius_pix, event.radius_pix) for e in before):
            kept.append(event)
    return kept
