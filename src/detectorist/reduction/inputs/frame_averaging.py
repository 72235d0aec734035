"""Groups that are means of frames: the frames are summed on board, and the sum is divided by a power of two."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from detectorist.reduction.inputs.headers import read_header

log = logging.getLogger(__name__)


def odd_frame_divisor(pipeline: Any, path: Path) -> str:
    """Return in words that ramps are scaled by a factor that no averaging on board explains; "" where one does.

    The standard group_scale multiplies all groups by FRMDIVSR / NFRAMES. On board the divisor is a power of two next to
    the number of frames, so that the factor lies between a half and two, and is 1 where that number is such a power.

    pipeline : Pipeline
        With its steps constructed.
    path : Path
        A file of raw ramps.
    """
    meta = read_header(path)
    n_frames, divisor = (meta.get(f"exposure.{name}") for name in ("nframes", "frame_divisor"))
    if pipeline.group_scale.skip or not n_frames or divisor is None or n_frames < 2 * divisor < 4 * n_frames:
        return ""
    told = f"NFRAMES is {n_frames} and FRMDIVSR {divisor}: all groups are multiplied by {divisor / n_frames:g}"
    log.warning("%s: %s", path, told)
    return told
