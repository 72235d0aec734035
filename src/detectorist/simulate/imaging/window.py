"""The part of a NIRCam detector that an image covers: the full frame or a square in the middle."""

from __future__ import annotations

from detectorist.detectors import NIRCAM, NIRCAM_FILTERS, NIRCAM_READOUT_PATTERNS
from detectorist.errors import ParameterError
from detectorist.simulate.core.nircam_components import Detector
from detectorist.simulate.core.nircam_detector import Window
from detectorist.simulate.core.scene import require_known
from detectorist.simulate.core.time_line import TimeLine

#: Square subarrays by name, and the name of one of a size of one's own.
SUBARRAYS = {"FULL": 2048, "SUB640": 640, "SUB320": 320, "SUB160": 160}
OWN_SUBARRAY = "GENERIC"


def make_window(parameters: Detector) -> Window:
    """Return the window that the parameters describe.

    Raises
    ------
    ParameterError
        For a detector, filter, subarray or pattern that does not exist, or a size that is not a multiple of the number
        of outputs.
    """
    require_known(parameters.name, NIRCAM, "detector of NIRCam")
    require_known(parameters.filter, NIRCAM_FILTERS, "filter of NIRCam")
    require_known(parameters.pattern, NIRCAM_READOUT_PATTERNS, "readout pattern of NIRCam")
    facts = NIRCAM[parameters.name]
    name, size = parameters.subarray, parameters.size
    if size is None:
        require_known(name, SUBARRAYS, "square subarray of NIRCam")
        size = SUBARRAYS[name]
    elif not 16 <= size <= facts.n_rows:
        raise ParameterError(f"size is {size}: 16 to {facts.n_rows} pixels are needed")
    else:
        name = "FULL" if size == facts.n_rows else OWN_SUBARRAY
    outputs = parameters.outputs or (4 if name == "FULL" else 1)
    if outputs not in (1, 4) or size % outputs:
        raise ParameterError(f"outputs is {outputs} for {size} columns: 1, or 4 that share the columns, is needed")
    start = (facts.n_rows - size) // 2 + 1
    n_frames, n_skipped = NIRCAM_READOUT_PATTERNS[parameters.pattern]
    time_line = TimeLine(
        size,
        size,
        outputs,
        fast_direction=facts.fast_axis,
        slow_direction=1 if facts.slow_axis > 0 else -1,
        row_overhead_clocks=facts.row_overhead_clocks,
        frame_overhead_rows=1 if outputs > 1 else 2,
    )
    return Window(name, start, start, time_line, n_frames, n_skipped, facts)
