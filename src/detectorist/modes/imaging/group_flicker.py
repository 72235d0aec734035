"""The 1/f noise of the groups of ramps, as far as their rates need it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist.algorithms import dq
from detectorist.algorithms.flicker.group_spectrum import noise_of_groups
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.algorithms.images.large_events import large_events
from detectorist.algorithms.ramps.event_noise import without_noise_beside_lines
from detectorist.stage_1.nircam_readout import readout_of, times_of_groups


def group_noise_of(ramp: RampModel) -> FlickerNoise | None:
    """Return the 1/f noise of an integration's rate as differences of groups tell it."""
    if not ramp.meta.exposure.group_time:
        return None
    times = times_of_groups(ramp)
    return noise_of_groups(ramp.data, ramp.groupdq, _unusable(ramp), readout=readout_of(ramp), times_s=times)


@contextmanager
def with_noise_of_whole_ramps(ramp: RampModel) -> Iterator[None]:
    """Let ramps that lost groups to large events have the 1/f noise that the slopes of whole ramps have."""
    unusable = _unusable(ramp)
    jumps = (np.any(dq.has(flags, dq.JUMP_DET), axis=0) for flags in ramp.groupdq)
    events = np.array([large_events(one) for one in jumps]) & ~unusable
    if not events.any():
        yield
        return
    *where, before = without_noise_beside_lines(ramp.data, ramp.groupdq, unusable, events, readout_of(ramp))
    integration, y, x = where
    try:
        yield
    finally:
        ramp.data[integration, :, y, x] = before


def _unusable(ramp):
    return dq.has(np.asarray(ramp.pixeldq), dq.REFERENCE_PIXEL | dq.DO_NOT_USE)
