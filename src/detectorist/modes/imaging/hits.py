"""Jumps of hits that fell into averaged groups, after the search for jumps."""

from __future__ import annotations

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.hit_rests import flag_hit_rests
from detectorist.algorithms.ramps.lone_hits import flag_lone_hits
from detectorist.algorithms.ramps.split_hits import mend_split_hits


def mend_jumps(ramp: RampModel, gain: np.ndarray, read_noise: np.ndarray) -> dict[str, int]:
    """Mend the flags of hits that fell into averaged groups, in place; return what was done, where anything was.

    `split_hits`: ramps of which the search had flagged the wrong difference. `hit_rests`: differences beside flagged
    ones that hold a part of a hit. `lone_hits`: differences of ramps of three groups that were both raised.
    """
    n_frames = ramp.meta.exposure.nframes or 1
    if n_frames == 1:
        return {}
    unusable = dq.has(np.asarray(ramp.pixeldq), dq.REFERENCE_PIXEL | dq.DO_NOT_USE)
    done, flags = {}, ramp.groupdq
    for name, mend in (("split_hits", mend_split_hits), ("hit_rests", flag_hit_rests), ("lone_hits", flag_lone_hits)):
        flags, number = mend(ramp.data, flags, unusable, gain, read_noise, n_frames=n_frames)
        if number:
            done[name] = number
    if done:
        ramp.groupdq = flags
    return done
