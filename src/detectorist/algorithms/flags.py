"""How many pixels carry each data-quality flag."""

from __future__ import annotations

import numpy as np


def count_flags(dq: np.ndarray) -> np.ndarray:
    """Count the pixels with each bit set, frame by frame.

    dq : ndarray of unsigned int, shape (n_frames, ...), 8 to 32 bits. Not modified.

    Returns
    -------
    ndarray of int64, shape (n_frames, 33)
        Column b: pixels with bit 2**b; the last column: pixels without any flag. One pass over the array.
    """
    from detectorist.algorithms._flags_nb import count_bits

    counts = np.zeros((len(dq), 33), np.int64)
    for frame, row in zip(dq, counts, strict=True):
        count_bits(np.ascontiguousarray(frame, np.uint32).ravel(), row)
    return counts
